"""What becomes of an error that nobody expected: the last place a request comes to."""

import sys

from django.http import HttpRequest, HttpResponse
from django.views.defaults import server_error

from portal import outages


def broken(request: HttpRequest) -> HttpResponse:
    """Django's handler500: what the machine cannot do now is told apart from our own mistakes."""
    if outage := outages.of(sys.exc_info()[1]):
        return outages.answer(request, outage)
    return server_error(request)
