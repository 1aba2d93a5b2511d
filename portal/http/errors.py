"""What people and programs get if a request fails: a sentence that says what to do next."""

import sys

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import requires_csrf_token
from django.views.defaults import server_error

from portal.http import outages

API = "/api/"
UNREADABLE = (
    "The portal could not read this request, and nothing was changed. Go back and try again; if "
    "you typed or pasted the address, look for signs in it that do not belong there."
)
TOO_BIG = "This is more than the portal takes at once, and nothing was changed. Send less of it."
TOO_MANY_FILES = (
    "More than {most} files came at once, and nothing was changed. Send them in several turns, or "
    "as one zip."
)
# For responses to which no view added a text: the status, with the heading and text of its page.
PAGE_TEXTS = {
    405: (
        "This cannot be done at this address",
        (
            "The address is right, but it is not asked in this way. Nothing was changed. Go back "
            "to the page that you came from, and use its links and buttons."
        ),
    ),
    410: (
        "No longer here",
        (
            "What was at this address has been taken back, and does not return. Whoever gave you "
            "the address can say what came in its place."
        ),
    ),
    413: ("Too much at once", TOO_BIG),
    429: (
        "Too many tries",
        "This was tried too often in a short time. Wait some minutes, and try again.",
    ),
    503: (
        "Not just now",
        (
            "The portal cannot do this at the moment. Nothing was changed; wait a minute, and try "
            "again. If it stays so, tell an operator the time and this address."
        ),
    ),
    507: (
        "No room left",
        (
            "The portal's storage is full, so nothing new can be kept. What is there can be read. "
            "Tell an operator."
        ),
    ),
}


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Return 400, or 413 for what is too long: as a page, or for a program as `detail`."""
    # Django's own messages are for developers; what we raise is a sentence.
    message = str(exception) if isinstance(exception, BadRequest) else ""
    sentence, status = message or UNREADABLE, 400
    if isinstance(exception, RequestDataTooBig | TooManyFieldsSent):
        sentence, status = TOO_BIG, 413
    if isinstance(exception, TooManyFilesSent):
        most = settings.DATA_UPLOAD_MAX_NUMBER_FILES
        sentence, status = TOO_MANY_FILES.format(most=most), 413
    if request.path.startswith(API):
        return JsonResponse({"detail": sentence}, status=status)
    return render(request, "400.html", {"sentence": sentence}, status=status)


def add_page(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Return the same refusal with a page that says what to do, if a person got it without one."""
    page_text = PAGE_TEXTS.get(response.status_code)
    if (
        page_text is None
        or not isinstance(response, HttpResponse)
        or response.content
        or request.path.startswith(API)
        or "HX-Request" in request.headers
    ):
        return response
    heading, sentence = page_text
    page = render(
        request,
        "failed.html",
        {"heading": heading, "sentence": sentence},
        status=response.status_code,
    )
    for name, value in response.headers.items():
        if name.lower() not in {"content-type", "content-length"}:
            page.headers[name] = value
    page.cookies.update(response.cookies)
    return page


def server_failure(request: HttpRequest) -> HttpResponse:
    """Django's handler500: tell outages of the machine apart from our own mistakes."""
    if outage := outages.outage_of(sys.exc_info()[1]):
        return outages.answer(request, outage)
    return server_error(request)
