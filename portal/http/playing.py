"""Audio for players: as it is stored where browsers play that, else as a rendition of it."""

from collections.abc import Generator
from functools import lru_cache
from typing import Any

import soundfile
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from audio import rendition
from audio.rendition import Rendition
from portal import storage
from portal.http.serving import Content, blob_response
from portal.models import Blob

# Other kinds of files are all played.
PERHAPS = {"audio/wav", "audio/aiff"}


def audio_response(
    request: HttpRequest, blob: Blob, filename: str, **options: Any
) -> HttpResponseBase:
    """Return the sound of the blob as a player can have it; `options` are blob_response's."""
    shape = _rendition(blob.sha256) if blob.media_type in PERHAPS else None
    if shape is None:
        return blob_response(request, blob, filename, **options)

    def span(start: int, count: int) -> Generator[bytes, None, None]:
        with storage.open_blob(blob.sha256) as file:
            yield from shape.pieces(file, start, count)

    name = f"{filename.rpartition('.')[0] or filename}.wav"
    content = Content(shape.size, rendition.MEDIA_TYPE, span)
    return blob_response(request, blob, name, content=content, **options)


@lru_cache(maxsize=10_000)
def _rendition(sha256: str) -> Rendition | None:
    """Return the rendition that players need instead of the stored bytes, which never change."""
    try:
        with storage.open_blob(sha256) as file:
            if not rendition.is_needed(file.read(rendition.HEAD_BYTES)):
                return None
            file.seek(0)
            return Rendition.of_file(file)
    except (FileNotFoundError, soundfile.LibsndfileError):
        return None
