"""Blobs over HTTP: byte ranges, entity tags, and headers that keep private audio private.

RFC 9110 sections 13 (conditional requests) and 14 (ranges). A request for several ranges gets
the whole file, which the RFC allows; browsers ask for one range when they play audio.
"""

import re
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from portal import storage
from portal.models import Blob

# What is shown where it is, beside sound, if whoever stored it has looked at what it is. No SVG: it
# may hold scripts.
SHOWN = frozenset({"image/png", "image/jpeg", "image/webp", "application/json"})
RANGE = re.compile(r"([0-9]*)-([0-9]*)")


@dataclass(frozen=True)
class Content:
    """Bytes in place of a blob's own: how many, of what kind, and a way to any span of them."""

    size: int
    media_type: str
    span: Callable[[int, int], Generator[bytes, None, None]]


class Unsatisfiable(ValueError):
    """The requested range begins after the end of the file."""


def safe_name(name: str) -> str:
    """Return a file name without path, control or quoting characters; never empty."""
    cleaned = re.sub(r'[\x00-\x1f\x7f"\\/:*?<>|;%]+', "-", name).strip(" .-")
    return cleaned[:120] or "file"


def ending(media_type: str) -> str:
    """Return a file name's extension, without the dot: "wav", "flac", "ogg", "mp3"."""
    return media_type.rpartition("/")[2].replace("mpeg", "mp3")


def disposition(name: str, *, attachment: bool) -> str:
    """Return a Content-Disposition value with an ASCII name and the full one (RFC 6266)."""
    name = safe_name(name)
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    kind = "attachment" if attachment else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def span(header: str, size: int) -> tuple[int, int] | None:
    """Return the first and last byte of a Range header; None if the header is to be ignored.

    A header may ask for several parts; it is answered only if it asks for one.
    """
    unit, _, ranges = header.partition("=")
    parts = [part.strip(" \t") for part in ranges.split(",") if part.strip(" \t")]
    match = RANGE.fullmatch(parts[0]) if len(parts) == 1 else None
    if unit.strip().lower() != "bytes" or match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        length = min(_position(last), size)
        if length == 0:
            raise Unsatisfiable
        return size - length, size - 1
    start, end = _position(first), _position(last) if last else size - 1
    if last and end < start:
        return None
    if start >= size:
        raise Unsatisfiable
    # A range that ends after the file gets what there is.
    return start, min(end, size - 1)


def _position(digits: str) -> int:
    """Return the number; longer ones are past the end of every file, and int() refuses some."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) < 19 else sys.maxsize


def matches(header: str, etag: str) -> bool:
    """Return whether an If-None-Match list names this entity (weak comparison)."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags


async def _in_threads(pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """Yield the same pieces, each waited for in a thread: Django reads a synchronous stream into
    memory as a whole when it serves by ASGI."""
    take = sync_to_async(lambda: next(pieces, b""), thread_sensitive=False)
    try:
        while piece := await take():
            yield piece
    finally:
        # If the client left during a read, the thread is still at work; it ends with its piece.
        with suppress(ValueError):
            pieces.close()


def stream_response(
    request: HttpRequest, pieces: Generator[bytes, None, None], media_type: str, filename: str
) -> StreamingHttpResponse:
    """Return a document that is made while it is sent, to be downloaded; it is stored nowhere.

    Its pieces may query the database: each is made in the request's own thread.
    """
    asynchronous = isinstance(request, ASGIRequest)
    response = StreamingHttpResponse(_one_by_one(pieces) if asynchronous else pieces)
    response.headers["Content-Type"] = media_type
    response.headers["Content-Disposition"] = disposition(filename, attachment=True)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def gathered(pieces: Iterator[str], size: int = 65_536) -> Generator[bytes, None, None]:
    """Yield the same text in pieces that are large enough to send."""
    buffer: list[str] = []
    length = 0
    for piece in pieces:
        buffer.append(piece)
        length += len(piece)
        if length >= size:
            yield "".join(buffer).encode()
            buffer, length = [], 0
    if buffer:
        yield "".join(buffer).encode()


async def _one_by_one(pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    take = sync_to_async(lambda: next(pieces, b""), thread_sensitive=True)
    while piece := await take():
        yield piece


def _requested_span(request: HttpRequest, etag: str, size: int) -> tuple[int, int] | None:
    header = request.headers.get("Range", "")
    condition = request.headers.get("If-Range", "")
    # If-Range compares strongly; we send no Last-Modified, so a date never matches.
    if not header or request.method not in {"GET", "HEAD"} or (condition and condition != etag):
        return None
    return span(header, size)


def blob_response(
    request: HttpRequest,
    blob: Blob,
    filename: str,
    max_age: int = 0,
    *,
    attachment: bool = False,
    tag: str = "",
    content: Content | None = None,
    shown: bool = False,
) -> HttpResponseBase:
    """Return the blob's bytes, or `content` made of them: whole (200), in part (206), unchanged
    (304), or a refusal (404, 416).

    `max_age` is in seconds; 0 says no-store, the right thing for audio that may be withheld
    at any moment. Shared caches never store either. `tag` replaces the digest in the entity tag
    where the digest would tell a listener what the audio is. `shown` lets a picture or JSON that
    was checked when it came in keep its type; all else but audio is only ever downloaded.
    """
    etag = f'"{tag or blob.sha256}{"-made" if content else ""}"'
    content = content or Content(blob.size, blob.media_type, partial(storage.span, blob.sha256))
    response: HttpResponseBase
    if matches(request.headers.get("If-None-Match", ""), etag):
        response = HttpResponse(status=304)
    else:
        response = _body(request, blob, content, etag)
    is_shown = shown and content.media_type in SHOWN
    inline = content.media_type.startswith("audio/") or is_shown
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, max-age={max_age}" if max_age else "private, no-store",
        "Vary": "Cookie, Authorization",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if response.status_code in {200, 206}:
        # So nothing uploaded can act as a page of ours.
        headers["Content-Type"] = content.media_type if inline else "application/octet-stream"
        headers["Content-Disposition"] = disposition(filename, attachment=attachment or not inline)
    for name, value in headers.items():
        response.headers[name] = value
    return response


def _body(request: HttpRequest, blob: Blob, content: Content, etag: str) -> HttpResponseBase:
    try:
        requested = _requested_span(request, etag, content.size)
    except Unsatisfiable:
        refusal = HttpResponse("The file ends before this range begins.", status=416)
        refusal.headers["Content-Range"] = f"bytes */{content.size}"
        return refusal
    start, end = requested or (0, content.size - 1)
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse()
    else:
        if not storage.exists(blob.sha256):
            return HttpResponse("The file is missing from storage.", status=404)
        # The file is opened when the first piece is wanted: a response that nobody reads keeps
        # no file open.
        pieces = content.span(start, end - start + 1)
        asynchronous = isinstance(request, ASGIRequest)
        response = StreamingHttpResponse(_in_threads(pieces) if asynchronous else pieces)
    response.headers["Content-Length"] = str(end - start + 1)
    if requested is not None:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{end}/{content.size}"
    return response
