"""The ASGI entry point; server-sent events need it."""

import codecs
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.core.asgi import get_asgi_application

from portal.machine import private, starting

private.set_umask()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

with starting.without_collector():
    django = get_asgi_application()

    from portal import urls  # noqa: F401 - they need the apps, which are loaded by now.
    from portal.database import wal
    from portal.http import outages

CHARSET = re.compile(rb";\s*charset\s*=\s*([^;]*)", re.IGNORECASE)
# Django decodes URLs by the charset that a header names, before any of our code, and crashes on
# some (hex, undefined). This one decodes everything, and the middleware then refuses it with a
# message (portal/http/middleware.py).
REFUSED = b"; charset=iso-8859-1"


def with_readable_charset(content_type: bytes) -> bytes:
    """Return the header with a known charset replaced by REFUSED, unless it is UTF-8 or ASCII."""
    match = CHARSET.search(content_type)
    if match is None:
        return content_type
    try:
        charset = codecs.lookup(match[1].strip(b" \t\"'").decode("ascii")).name
    except (LookupError, ValueError):
        # Django ignores an unknown charset.
        return content_type
    return content_type if charset in {"utf-8", "ascii"} else CHARSET.sub(REFUSED, content_type)


def with_readable_headers(app: App) -> App:
    async def wrapped(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["headers"] = [
                (name, with_readable_charset(value) if name.lower() == b"content-type" else value)
                for name, value in scope["headers"]
            ]
        await app(scope, receive, send)

    return wrapped


async def _answer_full_disk(scope: Scope, receive: Any, send: Any) -> None:
    """Run Django, and answer for a disk that fills up while a request's body is written: that is
    before any middleware, and would be a bare 500."""
    if scope["type"] == "lifespan":
        # The server's start, which Django does not handle.
        wal.keep_wal_open()
    started = False

    async def send_and_note_start(message: Mapping[str, Any]) -> None:
        nonlocal started
        started = started or message["type"] == "http.response.start"
        await send(message)

    try:
        await django(scope, receive, send_and_note_start)
    except OSError as error:
        outage = outages.outage_of(error)
        if started or outage is None:
            raise
        by_program = str(scope.get("path", "")).startswith("/api/")
        body, content_type = outages.words(outage, by_program=by_program)
        headers = [
            (b"content-type", content_type.encode()),
            (b"retry-after", str(outage.again).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": outage.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


application = with_readable_headers(_answer_full_disk)
