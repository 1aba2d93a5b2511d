"""Blobs as objects of an S3-compatible store, under the same names as files have.

The only module that knows boto3. Errors of the store are raised as FileNotFoundError (the object
is gone) or as portal.storage.Unreachable (anything else).
"""

import io
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlparse

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from portal.storage import Full, Unreachable

PIECE = 256 * 1024
MISSING_CODES = {"404", "NoSuchKey", "NotFound"}
# The object that was to be new exists, or somebody else is writing it at this moment.
EXISTS_CODES = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
# What stores of different makers call a full disk or quota.
FULL = {
    "507", "InsufficientStorage", "InsufficientStorageSpace", "QuotaExceeded", "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
}  # fmt: skip
# How often a broken connection is made again before the reader gets the error.
MAX_RECONNECTS = 3

CONFIG = {
    "signature_version": "s3v4",
    "connect_timeout": 5,
    "read_timeout": 60,
    "retries": {"mode": "standard", "total_max_attempts": 4},
    "max_pool_connections": 32,
    # Not every S3-compatible store knows the newer checksums: they are sent only where required.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}


class Taken(OSError):
    """An object has that name already."""


class Bucket:
    """The store at `url`, s3://bucket/prefix.

    Without an endpoint it is Amazon's. Without keys boto3 looks for them where it always does:
    the workload's identity, the machine's role.
    """

    drafts: Path | None = None

    def __init__(
        self,
        url: str,
        *,
        endpoint: str = "",
        region: str = "",
        access_key: str = "",
        secret_key: str = "",
    ) -> None:
        parts = urlparse(url)
        self.bucket, self.prefix = parts.netloc, parts.path.strip("/")
        # Bucket names in the host need a wildcard certificate, which few self-hosted stores have.
        style = {"addressing_style": "path" if endpoint else "auto"}
        # Made with a session of its own: boto3's default session is not safe for threads.
        self.client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint or None,
            region_name=region or None,
            aws_access_key_id=access_key or None,
            aws_secret_access_key=secret_key or None,
            config=Config(**CONFIG, s3=style),
        )

    def keep(self, draft: Path, sha256: str) -> None:
        """Upload the draft, in parts if large; the object appears with the last part."""
        if not self.exists(sha256):
            with translated_errors():
                self.client.upload_file(str(draft), self.bucket, self.key(sha256))

    def open(self, sha256: str) -> IO[bytes]:
        with translated_errors():
            size = self.client.head_object(**self._object(sha256))["ContentLength"]
        return io.BufferedReader(Reader(self, sha256, 0, size), PIECE)

    def span(self, sha256: str, start: int, count: int) -> Generator[bytes, None, None]:
        with Reader(self, sha256, start, start + count) as reader:
            while piece := reader.read(PIECE):
                yield piece

    def exists(self, sha256: str) -> bool:
        try:
            with translated_errors():
                self.client.head_object(**self._object(sha256))
        except FileNotFoundError:
            return False
        return True

    def remove(self, sha256: str) -> None:
        with suppress(FileNotFoundError), translated_errors():
            self.client.delete_object(**self._object(sha256))

    def look(self) -> tuple[bool, str]:
        began = time.perf_counter()
        try:
            with translated_errors():
                self.client.head_bucket(Bucket=self.bucket)
        except FileNotFoundError:
            return False, f"There is no bucket {self.bucket}. Make it, or correct STORAGE_URL."
        except Unreachable as error:
            return False, str(error)
        milliseconds = (time.perf_counter() - began) * 1000
        return True, f"Bucket {self.bucket} answers in {milliseconds:.1f} ms."

    # Small objects under names of their own (portal.storage.Objects).

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        query = {"Bucket": self.bucket, "Prefix": self.named(prefix)}
        if after:
            query["StartAfter"] = self.named(after)
        while True:
            with translated_errors():
                page = self.client.list_objects_v2(**query)
            for entry in page.get("Contents", ()):
                yield entry["Key"][len(self.named("")) :]
            if not page.get("IsTruncated"):
                return
            query["ContinuationToken"] = page["NextContinuationToken"]

    def read(self, key: str) -> bytes:
        with translated_errors():
            data: bytes = self.client.get_object(Bucket=self.bucket, Key=self.named(key))[
                "Body"
            ].read()
        return data

    def add(self, key: str, data: bytes) -> bool:
        try:
            with translated_errors():
                self.client.put_object(
                    Bucket=self.bucket, Key=self.named(key), Body=data, IfNoneMatch="*"
                )
        except Taken:
            return False
        return True

    def stream(self, sha256: str, start: int, end: int) -> Any:
        """Return the body of a response with the bytes from `start` up to and without `end`."""
        with translated_errors():
            byte_range = f"bytes={start}-{end - 1}"
            return self.client.get_object(**self._object(sha256), Range=byte_range)["Body"]

    def key(self, sha256: str) -> str:
        return self.named(f"{sha256[:2]}/{sha256[2:4]}/{sha256}")

    def named(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _object(self, sha256: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key(sha256)}


class Reader(io.RawIOBase):
    """Bytes `start` to `end` of an object as a file: one request for each run of reads.

    A connection that breaks is made again from where it broke: a checkpoint of gigabytes does
    not start over.
    """

    def __init__(self, bucket: Bucket, sha256: str, start: int, end: int) -> None:
        self._bucket, self._sha256 = bucket, sha256
        self._position, self._end = start, end
        self._body: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._end}[whence]
        if base + offset != self._position:
            self._drop()
            self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._end - self._position)
        if count <= 0:
            return 0
        piece = self._read(count)
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        self._drop()
        super().close()

    def _read(self, count: int) -> bytes:
        for tries_left in range(MAX_RECONNECTS, -1, -1):
            try:
                if self._body is None:
                    self._body = self._bucket.stream(self._sha256, self._position, self._end)
                with translated_errors():
                    piece: bytes = self._body.read(count)
            except Unreachable:
                self._drop()
                if not tries_left:
                    raise
            else:
                if piece:
                    return piece
                self._drop()
        raise Unreachable("The object store ends before its object does.")

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the store's errors into FileNotFoundError, Taken, Full or Unreachable."""
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        if str(details.get("Code")) in MISSING_CODES:
            raise FileNotFoundError("The file is missing from storage.") from error
        if str(details.get("Code")) in EXISTS_CODES:
            raise Taken from error
        kind = Full if _full(error) else Unreachable
        raise kind(f"The object store refuses: {details.get('Message') or error}") from error
    except (BotoCoreError, Boto3Error, OSError) as error:
        raise Unreachable(f"The object store does not answer: {error}") from error


def _full(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status == 507 or str(error.response.get("Error", {}).get("Code")) in FULL
