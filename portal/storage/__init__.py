"""Content-addressed storage: the only access to the bytes of audio, checkpoints and documents.

A blob's name is the SHA-256 of its bytes, so the same file is stored once and can never change.
Who may read a blob is decided by the row that points to it, never by knowing the digest.
Bytes are files of this machine, or objects of an S3-compatible store (STORAGE_URL).
"""

import hashlib
import os
import tempfile
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import IO, Protocol, cast

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.module_loading import import_string

from portal.database import commit_order, long_work
from portal.models import Blob
from portal.storage.files import Files

CHUNK = 1024 * 1024


class TooLarge(ValueError):
    """The upload is larger than UPLOAD_MAX_BYTES."""


class Unreachable(OSError):
    """The store does not answer, or refuses: trying again later may help."""


class Full(Unreachable):
    """The store has no room left."""


class Readable(Protocol):
    """Where bytes come from: a file, or anything that is read like one, once."""

    def read(self, size: int, /) -> bytes: ...


class Store(Protocol):
    # The folder of a draft until it is stored; None for the system's temporary folder.
    drafts: Path | None

    def keep(self, draft: Path, sha256: str) -> None:
        """Store the draft's bytes under their digest: a reader sees all of them or none."""

    def open(self, sha256: str) -> IO[bytes]:
        """Open the bytes, seekable; FileNotFoundError if they are gone."""

    def span(self, sha256: str, start: int, count: int) -> Generator[bytes, None, None]:
        """Yield `count` bytes from byte `start` on, in pieces; FileNotFoundError if gone."""

    def exists(self, sha256: str) -> bool: ...

    def remove(self, sha256: str) -> None:
        """Remove the bytes; no error if they are gone already."""

    def look(self) -> tuple[bool, str]:
        """Return whether all is well, and a sentence for operators."""


class Objects(Protocol):
    """Objects of a few kilobytes under names of their own, in the bucket of the blobs."""

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the names that begin with `prefix`, in order; only those after `after`."""

    def read(self, key: str) -> bytes:
        """Return the data; FileNotFoundError if it is gone."""

    def add(self, key: str, data: bytes) -> bool:
        """Store the data; false, with nothing changed, if the name is taken."""


def objects() -> Objects | None:
    """Return the bucket; None if blobs are files of this machine."""
    return cast("Objects", current()) if settings.STORAGE_URL else None


def current() -> Store:
    """Return the store of this portal, as its settings say."""
    if settings.STORAGE_URL:
        return _bucket(
            settings.STORAGE_URL,
            settings.STORAGE_ENDPOINT,
            settings.STORAGE_REGION,
            settings.STORAGE_ACCESS_KEY,
            settings.STORAGE_SECRET_KEY,
        )
    return Files(settings.STORAGE_DIR)


@cache
def _bucket(url: str, endpoint: str, region: str, access_key: str, secret_key: str) -> Store:
    """Return one client for the process. It is loaded by name: its library takes longer to import
    than the rest of this app, and the embedded default does not use it."""
    bucket: Store = import_string("portal.storage.s3.Bucket")(
        url, endpoint=endpoint, region=region, access_key=access_key, secret_key=secret_key
    )
    return bucket


def put(source: Readable, *, media_type: str, max_bytes: int | None = None) -> Blob:
    """Store the bytes of `source`, return their blob; raises TooLarge and leaves nothing behind.

    They arrive in a draft, whose digest is known at its end, and get their name as a whole.
    """
    long_work.forbid_in_transaction("A file is stored")
    limit = max_bytes or settings.UPLOAD_MAX_BYTES
    store = current()
    if store.drafts:
        store.drafts.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor, name = tempfile.mkstemp(dir=store.drafts)
    draft = Path(name)
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
        store.keep(draft, digest.hexdigest())
    finally:
        draft.unlink(missing_ok=True)
    blob, _ = Blob.objects.get_or_create(
        sha256=digest.hexdigest(), defaults={"size": size, "media_type": media_type}
    )
    return blob


def open_blob(sha256: str) -> IO[bytes]:
    """Open the blob's bytes, seekable; FileNotFoundError if they are gone."""
    long_work.forbid_in_transaction("A file is opened")
    return current().open(sha256)


def span(sha256: str, start: int, count: int) -> Generator[bytes, None, None]:
    """Yield `count` bytes of the blob from byte `start`, in pieces; FileNotFoundError if gone."""
    long_work.forbid_in_transaction("A file is read")
    return current().span(sha256, start, count)


def exists(sha256: str) -> bool:
    """Return whether the bytes are there."""
    long_work.forbid_in_transaction("A file is looked for")
    return current().exists(sha256)


def remove(sha256: str) -> None:
    """Remove the bytes. The caller has to know that no row needs them any more."""
    long_work.forbid_in_transaction("A file is removed")
    current().remove(sha256)


def forget(sha256: str) -> bool:
    """Remove a blob that no row refers to any more; return false if one does.

    Every reference to a blob is PROTECT, so the database itself knows. Whoever adds a reference
    takes the turn too, and finds the blob gone or is found here.
    """
    try:
        with transaction.atomic():
            commit_order.moment()
            Blob.objects.get(pk=sha256).delete()
            transaction.on_commit(lambda: _remove_forgotten(sha256))
    except (ProtectedError, Blob.DoesNotExist):
        return False
    return True


def _remove_forgotten(sha256: str) -> None:
    # Somebody may have sent the same bytes again meanwhile.
    if not Blob.objects.filter(pk=sha256).exists():
        remove(sha256)


def check_store() -> tuple[bool, str]:
    """Return whether all is well with the store, and a sentence for operators."""
    return current().look()
