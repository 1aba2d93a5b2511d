"""Checks of every request, headers of every response, and what a person reads if an ending could
not be written to the journal."""

import codecs
import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin

from backline import bounds
from portal.endings import Unwritable
from portal.http import errors
from portal.inputs import parameters

log = logging.getLogger(__name__)

# Plotly sets styles on elements, hence 'unsafe-inline' for styles; scripts are only our own files.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)


@sync_and_async_middleware
def content_security_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Allow only our own scripts to run: a text that slips through escaping still cannot."""
    if iscoroutinefunction(get_response):

        async def middleware(request: HttpRequest) -> HttpResponse:
            response: HttpResponse = await get_response(request)
            response.headers.setdefault("Content-Security-Policy", POLICY)
            return response

        markcoroutinefunction(middleware)
        return middleware

    def sync_middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return sync_middleware


@sync_and_async_middleware
def unwritable(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Answer 503, with the exception's sentence, if the journal could not take an ending: it was
    not done.

    Forms show it beside what was typed (rights/forms/base.py); this is for all other acts.
    """

    def process_exception(request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, Unwritable):
            return None
        log.error("%s", exception)
        if request.path.startswith("/api/"):
            return JsonResponse({"detail": str(exception)}, status=503)
        return render(request, "503.html", {"sentence": str(exception)}, status=503)

    if iscoroutinefunction(get_response):

        async def middleware(request: HttpRequest) -> HttpResponse:
            response: HttpResponse = await get_response(request)
            return response

        markcoroutinefunction(middleware)
        middleware.process_exception = process_exception  # type: ignore[attr-defined]
        return middleware

    def sync_middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    sync_middleware.process_exception = process_exception  # type: ignore[attr-defined]
    return sync_middleware


class ReadableRequests(MiddlewareMixin):
    """The net under the readers of parameters, bodies and forms (portal/inputs/parameters.py).

    No view sees a NUL, a number that no row has, or letters that are not UTF-8, not even the views
    of other packages, whose forms are checked too. What cannot be read is refused with a sentence
    (400), what no address can have is not found (404).
    """

    def process_request(self, request: HttpRequest) -> None:
        if bounds.UNREADABLE.search(request.path_info):
            raise Http404
        _check_charset(request)
        parameters.check(request.GET)
        for name, value in list(request.COOKIES.items()):
            # A browser would send it again and again, so it is ignored.
            if bounds.UNREADABLE.search(value):
                del request.COOKIES[name]

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponseBase],
        args: Any,  # noqa: ARG002 - Django's signature.
        kwargs: dict[str, Any],
    ) -> None:
        if any(
            isinstance(argument, int) and argument > bounds.MAX_INT for argument in kwargs.values()
        ):
            raise Http404
        if not view.__module__.startswith(OUR_APPS) and request.method == "POST":
            parameters.check(request.POST)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        return errors.add_page(request, response)


# Views of these apps read what is sent through readers of their own.
OUR_APPS = ("portal.", "rights.", "experiments.", "audio_samples.", "listening.", "ninja.")


def _check_charset(request: HttpRequest) -> None:
    """Refuse charsets other than UTF-8: they would be read as something that nobody wrote."""
    if request.encoding and codecs.lookup(request.encoding).name not in {"utf-8", "ascii"}:
        request.encoding = "utf-8"
        raise parameters.Unreadable("Texts are read as UTF-8 alone. Send them so.")
