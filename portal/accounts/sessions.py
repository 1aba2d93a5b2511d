"""Sessions whose saving never keeps a page from being read."""

import logging

from django.contrib.sessions.middleware import SessionMiddleware
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse

from portal.database import hints
from portal.http import outages

SAFE = {"GET", "HEAD", "OPTIONS"}
# Milliseconds that a page waits for the database to save what reading changed in the session.
PATIENCE = 2_000

log = logging.getLogger(__name__)


class Sessions(SessionMiddleware):
    """Reading a page may change the session (long messages that it has shown). If the database
    takes no writes at the moment, that change is dropped and the page is shown all the same."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if request.method not in SAFE or not request.session.modified:
            return super().process_response(request, response)
        try:
            with hints.patience(PATIENCE):
                return super().process_response(request, response)
        except DatabaseError as error:
            if outages.outage_of(error) is None:
                raise
            log.warning("A session was not saved: %s", error)
            return response
