"""Sessions whose saving never stands in the way of reading a page."""

import logging

from django.contrib.sessions.middleware import SessionMiddleware
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse

from portal.database import hints
from portal.http import outages

SAFE = {"GET", "HEAD", "OPTIONS"}
# How long a page waits for the database to keep what its reading left in the session.
PATIENCE = 2_000

log = logging.getLogger(__name__)


class Sessions(SessionMiddleware):
    """A page that was read may leave something in the session (long messages that it has shown).
    Where the database takes no writes now, that is let go of, and the page is read all the same."""

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
