"""Files and objects obey one contract: the portal cannot tell which of the two it has."""

import hashlib
import io
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from django.conf import LazySettings

from portal import endings, health, storage, tokens
from portal.endings import places
from portal.models import Blob, User
from portal.storage.s3 import Bucket

BODY = bytes(range(256)) * 40
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(scope="module")
def object_store() -> Iterator[str]:
    """A server of its own process that speaks S3; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_for(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{address}/moto-api/").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("The object store of the tests did not start.")


@pytest.fixture
def bucket(object_store: str, settings: LazySettings, tmp_path: Path) -> Bucket:
    """A bucket of this test's own, which the settings name."""
    settings.STORAGE_URL = f"s3://{tmp_path.name.replace('_', '-')}/blobs"
    settings.STORAGE_ENDPOINT = object_store
    settings.STORAGE_REGION = "us-east-1"
    settings.STORAGE_ACCESS_KEY = settings.STORAGE_SECRET_KEY = "test"
    store = storage.current()
    assert isinstance(store, Bucket)
    store.client.create_bucket(Bucket=store.bucket)
    return store


@pytest.fixture(params=["files", "objects"])
def _store(request: pytest.FixtureRequest) -> None:
    if request.param == "objects":
        request.getfixturevalue("bucket")


def put(body: bytes = BODY, **how: int) -> Blob:
    return storage.put(io.BytesIO(body), media_type="audio/flac", **how)


@pytest.mark.usefixtures("_store", "db")
class TestContract:
    def test_what_was_put_is_read_back_under_its_digest(self) -> None:
        blob = put()
        assert (blob.sha256, blob.size) == (DIGEST, len(BODY))
        assert storage.exists(DIGEST)
        with storage.open_blob(DIGEST) as file:
            assert file.read() == BODY

    def test_the_same_bytes_are_kept_once(self) -> None:
        assert put() == put()
        assert Blob.objects.count() == 1

    def test_a_file_can_be_read_from_anywhere(self) -> None:
        put()
        with storage.open_blob(DIGEST) as file:
            assert file.seek(0, io.SEEK_END) == len(BODY)
            assert file.read() == b""
            file.seek(-3, io.SEEK_END)
            assert file.read() == BODY[-3:]
            file.seek(300)
            assert file.read(5) == BODY[300:305]
            assert file.tell() == 305

    @pytest.mark.parametrize(("start", "count"), [(0, 1), (10, 300), (len(BODY) - 2, 2)])
    def test_a_span_is_those_bytes(self, start: int, count: int) -> None:
        put()
        assert b"".join(storage.span(DIGEST, start, count)) == BODY[start : start + count]

    def test_an_empty_file_is_a_file(self) -> None:
        empty = put(b"")
        with storage.open_blob(empty.sha256) as file:
            assert file.read() == b""

    def test_what_is_gone_says_so(self) -> None:
        assert not storage.exists(DIGEST)
        with pytest.raises(FileNotFoundError):
            storage.open_blob(DIGEST)
        with pytest.raises(FileNotFoundError):
            list(storage.span(DIGEST, 0, 1))

    def test_removing_twice_is_no_error(self) -> None:
        put()
        storage.remove(DIGEST)
        storage.remove(DIGEST)
        assert not storage.exists(DIGEST)

    def test_what_is_too_large_leaves_nothing_behind(self) -> None:
        with pytest.raises(storage.TooLarge):
            put(max_bytes=100)
        assert not storage.exists(DIGEST)
        drafts = storage.current().drafts
        assert drafts is None or list(drafts.iterdir()) == []

    def test_health_says_that_it_is_well(self) -> None:
        assert health.store().good


def test_objects_lie_under_the_prefix(db: None, bucket: Bucket) -> None:
    put()
    listed = bucket.client.list_objects_v2(Bucket=bucket.bucket)["Contents"]
    assert [entry["Key"] for entry in listed] == [f"blobs/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST}"]


def test_a_large_file_goes_in_parts(db: None, bucket: Bucket) -> None:
    body = b"0123456789abcdef" * 1_000_000
    blob = put(body)
    tag = bucket.client.head_object(Bucket=bucket.bucket, Key=bucket.key(blob.sha256))["ETag"]
    assert "-" in tag, "the entity tag of an upload in parts ends with their number"
    with storage.open_blob(blob.sha256) as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == blob.sha256


def test_a_store_that_is_away_is_told_in_a_sentence(settings: LazySettings) -> None:
    settings.STORAGE_URL = "s3://somewhere"
    settings.STORAGE_ENDPOINT = "http://127.0.0.1:9"
    settings.STORAGE_REGION = "us-east-1"
    settings.STORAGE_ACCESS_KEY = settings.STORAGE_SECRET_KEY = "test"
    check = health.store()
    assert not check.good
    assert check.sentence.startswith("The object store does not answer")


def test_a_bucket_that_is_not_there_is_named(bucket: Bucket) -> None:
    bucket.client.delete_bucket(Bucket=bucket.bucket)
    assert bucket.bucket in health.store().sentence


class Cutting(BaseHTTPRequestHandler):
    """Answers a ranged GET truly and hangs up after 1,000 bytes of it."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()

    def do_GET(self) -> None:
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        wanted = BODY[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(wanted)))
        self.end_headers()
        self.wfile.write(wanted[:1000])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing on the tests' console."""


def test_a_broken_connection_is_made_again_from_where_it_broke(settings: LazySettings) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cutting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.STORAGE_URL = "s3://cut"
    settings.STORAGE_ENDPOINT = f"http://127.0.0.1:{server.server_port}"
    settings.STORAGE_REGION = "us-east-1"
    settings.STORAGE_ACCESS_KEY = settings.STORAGE_SECRET_KEY = "test"
    try:
        with storage.open_blob(DIGEST) as file:
            assert file.read() == BODY
    finally:
        server.shutdown()
        server.server_close()


# --- The journal of endings, where blobs are objects ---------------------------------------------


@pytest.fixture
def journal(bucket: Bucket, settings: LazySettings) -> places.JournalPlace:
    settings.ENDINGS_DIR = None
    assert bucket is storage.current()
    return places.current()


@pytest.mark.django_db(transaction=True)
def test_endings_are_kept_in_the_bucket_and_read_again(
    ada: User, journal: places.JournalPlace
) -> None:
    for name in "ab":
        token, _ = tokens.issue(ada, name, by=ada)
        tokens.revoke(token, by=ada)
    kept = endings.read()
    assert [one.verb for one in kept.entries] == ["token.revoked"] * 2
    assert (kept.faults, kept.doubted) == ([], set())
    assert endings.look()[0]
    assert not endings.behind()
    (name,) = journal.names()
    # The beginning, and for each ending its line and its mark.
    assert len(list(journal.lines(name))) == len(journal.tail(name)) == 5


def test_who_adds_to_the_bucket_second_looks_again(
    journal: places.JournalPlace, bucket: Bucket
) -> None:
    journal.add("j", lambda _: [b"first"], sync=True)
    asked: list[bytes | None] = []

    def slow(last: bytes | None) -> list[bytes]:
        if not asked:
            bucket.add("endings/j/000000000002", b"second\n")
        asked.append(last)
        return [b"third"]

    journal.add("j", slow, sync=True)
    assert asked == [b"first", b"second"]
    assert list(journal.lines("j")) == [b"first", b"second", b"third"]


@pytest.mark.django_db(transaction=True)
def test_a_bucket_that_does_not_answer_lets_nothing_end(
    ada: User, journal: places.JournalPlace, settings: LazySettings
) -> None:
    token, _ = tokens.issue(ada, "a", by=ada)
    assert journal.names() == []
    settings.STORAGE_ENDPOINT = "http://127.0.0.1:9"
    with pytest.raises(endings.Unwritable, match="does not answer"):
        tokens.revoke(token, by=ada)
    token.refresh_from_db()
    assert token.revoked_at is None
