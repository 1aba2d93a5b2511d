"""The bytes of pictures, tables and figures: of a fixed type, and none of what is withheld."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from experiments.media import silence
from experiments.models import Media
from portal import storage
from portal.http.serving import Content, blob_response

ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


def answer(request: HttpRequest, row: Media, *, small: bool = False) -> HttpResponseBase:
    """Return the bytes of a judged row, or its thumbnail; 410 with the reason if it is withheld,
    404 where there are none."""
    if reason := silence.reason(row):
        response = HttpResponse(reason, status=410, content_type="text/plain; charset=utf-8")
        response.headers["Cache-Control"] = "private, no-store"
        return response
    blob = row.thumbnail if small and row.thumbnail else row.blob
    if blob is None:
        return HttpResponse("This has no file.", status=404, content_type="text/plain")
    # The type is what was found at intake: other bytes of the blob may have come as something else.
    kind = "application/json" if row.kind != Media.Kind.IMAGE else row.content["type"]
    if blob != row.blob:
        kind = "image/png"
    content = Content(blob.size, kind, partial(storage.span, blob.sha256))
    name = f"{row.name}-{row.step}-{row.index}.{ENDINGS.get(kind, 'json')}"
    return blob_response(request, blob, name, content=content, shown=True)
