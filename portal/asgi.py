"""The ASGI entry point; server-sent events need it."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.core.asgi import get_asgi_application

from portal import private

private.begin()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

django = get_asgi_application()

from portal import outages, wal  # noqa: E402 - they want the apps, which are loaded by now.


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """Django's, but for a disk that fills up while the body of a request is laid down: that is
    before any middleware, and would be a bare 500."""
    if scope["type"] == "lifespan":
        # The server's start, of which Django wants to know nothing.
        wal.hold()
    begun = False

    async def watched(message: Mapping[str, Any]) -> None:
        nonlocal begun
        begun = begun or message["type"] == "http.response.start"
        await send(message)

    try:
        await django(scope, receive, watched)
    except OSError as error:
        outage = outages.of(error)
        if begun or outage is None:
            raise
        by_program = str(scope.get("path", "")).startswith("/api/")
        body, kind = outages.words(outage, by_program=by_program)
        headers = [
            (b"content-type", kind.encode()),
            (b"retry-after", str(outage.again).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": outage.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
