"""Responses while the machine fails: a database that is locked, full or away, a disk that is full
or read-only, a store that does not answer.

None of them is a mistake of ours or of the caller. The response says what is the matter, that
nothing was changed, and when to try again: 507 if there is no room, 503 for the rest. Clients keep
what they have and send it again.
"""

import errno
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from portal.storage import Full, Unreachable


@dataclass(frozen=True)
class Outage:
    """A failure of the machine and its response; `again`: try again after so many seconds."""

    status: int
    title: str
    sentence: str
    again: int

    @property
    def detail(self) -> str:
        return f"{self.sentence} It was not done."


FULL = Outage(
    507,
    "No room left",
    "The portal has no room left where it keeps its data. Reading goes on; an operator has to make "
    "room before anything can be added.",
    60,
)
READ_ONLY = Outage(
    503,
    "Reading only",
    "Where the portal keeps its data can only be read at the moment, so nothing can be added or "
    "changed. An operator has to look at the disk and the database.",
    60,
)
BUSY = Outage(
    503,
    "Busy",
    "Somebody else's change took too long, and yours could not wait for it any longer. Try again "
    "in a moment.",
    5,
)
BROKEN = Outage(
    503,
    "The disk answers with errors",
    "The disk under the portal's data answers with errors. An operator has to look at it.",
    60,
)
NO_DATABASE = Outage(
    503, "The database is away", "The database does not answer at the moment. Try again soon.", 10
)
NO_STORE = Outage(
    503,
    "The storage is away",
    "Where audio and checkpoints lie does not answer at the moment. Try again soon.",
    10,
)

BY_ERRNO = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EIO: BROKEN,
}
# The lowest byte of SQLite's result code says the kind.
BY_SQLITE = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_IOERR: BROKEN,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_CANTOPEN: NO_DATABASE,
}
# Some codes under "disk I/O error" are more precise: there was no room for a write.
FULL_ON_WRITE = {
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}
# PostgreSQL's codes; the longest prefix that matches counts.
BY_SQLSTATE = {
    "53100": FULL,
    "53": NO_DATABASE,
    "25006": READ_ONLY,
    "55P03": BUSY,
    "40001": BUSY,
    "40P01": BUSY,
    "58030": BROKEN,
    "57P": NO_DATABASE,
    "08": NO_DATABASE,
}


def outage_of(error: BaseException | None) -> Outage | None:
    """Return the outage that caused the error; None for mistakes, which stay 500."""
    for cause in _causes(error):
        if isinstance(cause, sqlite3.Error):
            outage = _of_sqlite(cause)
        elif isinstance(cause, psycopg.Error):
            outage = _of_postgres(cause)
        elif isinstance(cause, OSError):
            outage = _of_system(cause)
        else:
            outage = None
        if outage:
            return outage
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what it was raised from, the outermost first."""
    visited: set[int] = set()
    while error is not None and id(error) not in visited:
        visited.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _of_system(error: OSError) -> Outage | None:
    if isinstance(error, Full):
        return FULL
    outage = BY_ERRNO.get(error.errno or 0)
    if outage is None and isinstance(error, Unreachable):
        return NO_STORE
    return outage


def _of_sqlite(error: sqlite3.Error) -> Outage | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code in FULL_ON_WRITE:
        return FULL
    return BY_SQLITE.get(code & 0xFF)


def _of_postgres(error: psycopg.Error) -> Outage | None:
    state = error.sqlstate or ""
    for length in (5, 3, 2):
        if outage := BY_SQLSTATE.get(state[:length]):
            return outage
    # Without a code the connection failed, or none became free in time.
    is_connection_error = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return NO_DATABASE if is_connection_error and not state else None


def answer(request: HttpRequest, outage: Outage) -> HttpResponse:
    """Return the response, as a page or for a program as JSON. It does not query the database."""
    by_program = (
        request.path.startswith("/api/") or request.headers.get("Accept") == "application/json"
    )
    body, content_type = words(outage, by_program=by_program)
    response = HttpResponse(body, status=outage.status, content_type=content_type)
    response.headers["Retry-After"] = str(outage.again)
    response.headers["Cache-Control"] = "no-store"
    return response


def words(outage: Outage, *, by_program: bool) -> tuple[bytes, str]:
    """Return a sentence as JSON, or a page; and its content type."""
    if by_program:
        return json.dumps({"detail": outage.detail}).encode(), "application/json"
    page = render_to_string("outage.html", {"outage": outage})
    return page.encode(), "text/html; charset=utf-8"
