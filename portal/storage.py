"""Content-addressed storage: the only door to the bytes of audio, checkpoints and documents.

A blob's name is the SHA-256 of its bytes, so the same file is kept once and can never change.
Who may read a blob is decided by the row that points to it, never by knowing the digest.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import IO

from django.conf import settings

from portal.models import Blob

CHUNK = 1024 * 1024


class TooLarge(ValueError):
    """The upload is larger than UPLOAD_MAX_BYTES."""


def path_of(sha256: str) -> Path:
    """Where the bytes of this digest lie."""
    root: Path = settings.STORAGE_DIR
    return root / sha256[:2] / sha256[2:4] / sha256


def put(source: IO[bytes], *, media_type: str, max_bytes: int | None = None) -> Blob:
    """Keep the bytes of `source` and return their blob; raises TooLarge and leaves nothing behind.

    The bytes arrive under a temporary name and get their own by `os.replace`: a reader sees
    all of them or none.
    """
    limit = max_bytes or settings.UPLOAD_MAX_BYTES
    root: Path = settings.STORAGE_DIR
    incoming = root / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor, name = tempfile.mkstemp(dir=incoming)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            while chunk := source.read(CHUNK):
                size += len(chunk)
                if size > limit:
                    raise TooLarge(
                        f"The file is larger than {limit // 1_000_000} MB, the limit for uploads."
                    )
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        target = path_of(digest.hexdigest())
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    blob, _ = Blob.objects.get_or_create(
        sha256=digest.hexdigest(), defaults={"size": size, "media_type": media_type}
    )
    return blob


def open_blob(sha256: str) -> IO[bytes]:
    """The blob's bytes, seekable; FileNotFoundError if they are gone."""
    return path_of(sha256).open("rb")
