"""The ASGI entry point; server-sent events need it."""

import codecs
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

CHARSET = re.compile(rb";\s*charset\s*=\s*([^;]*)", re.IGNORECASE)
# Django reads addresses by the alphabet that a header names, before any of our code, and falls over
# some (hex, undefined). This one reads everything, and is refused with a sentence behind it
# (portal/middleware.py).
REFUSED = b"; charset=iso-8859-1"


def readable(content_type: bytes) -> bytes:
    """The same header with no alphabet but UTF-8 and one that Django can read."""
    found = CHARSET.search(content_type)
    if found is None:
        return content_type
    try:
        known = codecs.lookup(found[1].strip(b" \t\"'").decode("ascii")).name
    except (LookupError, ValueError):
        # Django takes no notice of what nobody knows.
        return content_type
    return content_type if known in {"utf-8", "ascii"} else CHARSET.sub(REFUSED, content_type)


def with_readable_headers(app: App) -> App:
    async def wrapped(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["headers"] = [
                (name, readable(value) if name.lower() == b"content-type" else value)
                for name, value in scope["headers"]
            ]
        await app(scope, receive, send)

    return wrapped


application = with_readable_headers(get_asgi_application())
