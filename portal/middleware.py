"""Headers that every answer carries, and what a person reads where an act could not be kept."""

import logging
from collections.abc import Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.decorators import sync_and_async_middleware

from portal.endings import Unwritable

log = logging.getLogger(__name__)

# Plotly sets styles on elements, hence 'unsafe-inline' for styles; scripts are files of ours only.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)


@sync_and_async_middleware
def content_security_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Only our own scripts run: a text that slips through escaping still cannot act."""
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
    """An ending that the journal could not take was not done: 503, with the sentence that says so.

    Forms tell it beside what was typed (rights/forms/base.py); this is for all other acts.
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
