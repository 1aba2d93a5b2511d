"""Where the machine cannot, the portal says so: reading goes on, writing is 503 or 507."""

import errno
import gc
import io
import os
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import errors
from django.test import Client
from django.urls import reverse

from backline.delivery import transport
from experiments.models import Project
from portal import asgi, storage, tokens
from portal.http import outages
from portal.models import ApiToken, Blob, User
from rights.models import Recording
from tests.tones import tone

sqlite_only = pytest.mark.skipif(
    "connection.vendor != 'sqlite'", reason="SQLite's own lock and limits"
)


@pytest.fixture
def client() -> Client:
    """What an error becomes is what is looked at here."""
    return Client(raise_request_exception=False)


# --- What is the matter ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, outages.FULL),
        (errno.EDQUOT, outages.FULL),
        (errno.EROFS, outages.READ_ONLY),
        (errno.EIO, outages.BROKEN),
        (errno.EACCES, None),
        (errno.ENOENT, None),
    ],
)
def test_the_systems_errors_are_told_apart(number: int, expected: outages.Outage | None) -> None:
    assert outages.outage_of(OSError(number, os.strerror(number))) is expected


def sqlite_error(act: str, path: Path) -> sqlite3.Error:
    """SQLite's own error for a database that is locked, full, read-only or nowhere."""
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE IF NOT EXISTS t (x)")
        made.commit()
    if act == "nowhere":
        path = path / "not" / "there"
    kind = "?mode=ro" if act == "read-only" else ""
    try:
        with (
            closing(sqlite3.connect(path)) as other,
            closing(sqlite3.connect(f"file:{path}{kind}", uri=True, timeout=0)) as one,
        ):
            if act == "locked":
                other.execute("BEGIN IMMEDIATE")
            if act == "full":
                one.execute("PRAGMA max_page_count = 2")
            one.execute("INSERT INTO t VALUES (zeroblob(100000))")
    except sqlite3.Error as error:
        return error
    raise AssertionError(f"SQLite has nothing against {act}.")


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        ("locked", outages.BUSY),
        ("full", outages.FULL),
        ("read-only", outages.READ_ONLY),
        ("nowhere", outages.NO_DATABASE),
    ],
)
def test_sqlites_errors_are_told_apart(act: str, expected: outages.Outage, tmp_path: Path) -> None:
    assert outages.outage_of(sqlite_error(act, tmp_path / "t.sqlite3")) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.DiskFull("no space"), outages.FULL),
        (errors.ReadOnlySqlTransaction("read-only"), outages.READ_ONLY),
        (errors.LockNotAvailable("locked"), outages.BUSY),
        (errors.DeadlockDetected("deadlock"), outages.BUSY),
        (errors.AdminShutdown("shutting down"), outages.NO_DATABASE),
        (errors.TooManyConnections("too many"), outages.NO_DATABASE),
        (psycopg.OperationalError("connection refused"), outages.NO_DATABASE),
        (errors.UniqueViolation("twice"), None),
        (errors.SyntaxError("a mistake of ours"), None),
    ],
)
def test_postgresqls_errors_are_told_apart(
    error: psycopg.Error, expected: outages.Outage | None
) -> None:
    assert outages.outage_of(error) is expected


def test_the_cause_behind_an_error_counts() -> None:
    outer = RuntimeError("could not keep it")
    outer.__cause__ = OSError(errno.ENOSPC, "full")
    assert outages.outage_of(outer) is outages.FULL


def test_a_mistake_of_ours_is_none() -> None:
    assert outages.outage_of(ZeroDivisionError()) is None
    assert outages.outage_of(None) is None


@pytest.mark.parametrize("status", [503, 507])
def test_the_client_keeps_what_it_has_and_sends_it_again(status: int) -> None:
    answer = httpx.Response(status, json={"detail": "No room."})
    with pytest.raises(transport.Unreachable):
        transport._check(answer)


# --- A database that takes nothing ---------------------------------------------------------------


def only_reading() -> None:
    """From here to the test's end the database only reads."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA query_only = ON")
        else:
            # PostgreSQL lets go of it with the savepoint.
            cursor.execute("SAVEPOINT reading")
            cursor.execute("SET TRANSACTION READ ONLY")


@pytest.fixture
def _writes_again(db: None) -> Iterator[None]:
    yield
    # What was refused has marked the test's transaction; the savepoint is before it.
    transaction.set_rollback(False)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA query_only = OFF")
        else:
            cursor.execute("ROLLBACK TO SAVEPOINT reading")


@pytest.mark.usefixtures("_writes_again")
def test_pages_are_read(client: Client, olga: User, project: Project) -> None:
    client.force_login(olga)
    only_reading()
    for name in ("home", "profile", "tokens", "health"):
        assert client.get(reverse(name)).status_code == 200, name


@pytest.mark.usefixtures("_writes_again")
def test_the_api_is_read_by_token(client: Client, ada: User, project: Project) -> None:
    _, secret = tokens.issue(ada, "script", by=ada)
    only_reading()
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/projects", headers=headers).status_code == 200


@pytest.mark.usefixtures("_writes_again")
def test_a_form_is_answered_with_a_sentence(client: Client, ada: User) -> None:
    client.force_login(ada)
    only_reading()
    answer = client.post(reverse("token_new"), {"label": "notebook", "days": "30"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "can only be read" in answer.content.decode()
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.usefixtures("_writes_again")
def test_the_api_is_answered_with_a_sentence(client: Client, ada: User, project: Project) -> None:
    _, secret = tokens.issue(ada, "script", by=ada)
    only_reading()
    answer = client.post(
        "/api/v1/runs",
        {"project": project.slug, "name": "a", "config": {}},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert answer.status_code == 503
    assert "can only be read" in answer.json()["detail"]
    assert answer.headers["Retry-After"] == "60"


@pytest.mark.usefixtures("_writes_again")
def test_a_log_in_is_answered_with_a_sentence(client: Client, ada: User) -> None:
    only_reading()
    answer = client.post("/account/login/", {"login": "ada", "password": "a long enough password"})
    assert answer.status_code == 503


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_full_database_is_507_and_is_read(client: Client, ada: User) -> None:
    # In transactions of its own: SQLite may undo all of one that meets a full database, and with
    # it the savepoint of a test that runs in one.
    client.force_login(ada)
    with connection.cursor() as cursor:
        # Other tests of this worker have left pages free.
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA page_count")
        pages = cursor.fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        try:
            statuses = {
                client.post(reverse("token_new"), {"label": "x" * 90, "days": "30"}).status_code
                for _ in range(200)
            }
            read = client.get(reverse("tokens")).status_code
        finally:
            # The limit is the connection's.
            connection.close()
    assert statuses == {200, 507}
    assert read == 200


# --- Somebody else writes ------------------------------------------------------------------------


@pytest.fixture
def secret(ada: User, project: Project) -> str:
    return tokens.issue(ada, "script", by=ada)[1]


@pytest.fixture
def _writer(secret: str) -> Iterator[None]:
    """Another connection is in the middle of a write, and does not end."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA busy_timeout = 100")
            other.execute("BEGIN IMMEDIATE")
            yield
            other.rollback()
        connection.close()
    else:
        given = connection.get_connection_params()
        names = ("dbname", "user", "password", "host", "port")
        how = {name: given[name] for name in names if given.get(name)}
        with psycopg.connect(**how) as other:
            other.execute("SELECT * FROM portal_apitoken FOR UPDATE")
            yield
            other.rollback()


@pytest.mark.usefixtures("_writer")
@pytest.mark.django_db(transaction=True)
def test_reading_by_token_waits_for_no_writer(client: Client, secret: str) -> None:
    answer = client.get("/api/v1/projects", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
    assert ApiToken.objects.get().last_used_at is None


@sqlite_only
@pytest.mark.usefixtures("_writer")
@pytest.mark.django_db(transaction=True)
def test_a_write_that_waited_in_vain_is_told_to_come_again(client: Client, secret: str) -> None:
    answer = client.post(
        "/api/v1/runs",
        {"project": "first-light", "name": "a", "config": {}},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "Try again" in answer.json()["detail"]


@pytest.mark.django_db
def test_a_tokens_use_is_noted_once_a_minute(client: Client, secret: str) -> None:
    headers = {"Authorization": f"Bearer {secret}"}
    client.get("/api/v1/projects", headers=headers)
    first = ApiToken.objects.get().last_used_at
    client.get("/api/v1/projects", headers=headers)
    assert first is not None
    assert ApiToken.objects.get().last_used_at == first


# --- A disk that is full, or can only be read ----------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path, settings: LazySettings) -> Iterator[Path]:
    """A real file system of 256 kB for the blobs."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("Only root may mount a disk.")
    settings.STORAGE_DIR = folder / "blobs"
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def upload(client: Client) -> int:
    # Half a megabyte, which is more than the disk holds.
    file = SimpleUploadedFile("a.wav", tone(seconds=3.0, format="WAV").read())
    return client.post(reverse("rights:upload"), {"title": "Song", "file": file}).status_code


@pytest.mark.django_db
def test_an_upload_that_finds_no_room_is_507_and_leaves_nothing(
    client: Client, rosa: User, small_disk: Path
) -> None:
    client.force_login(rosa)
    assert upload(client) == 507
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []
    assert not Blob.objects.exists()
    assert not Recording.objects.exists()
    assert client.get(reverse("rights:recordings")).status_code == 200


@pytest.mark.django_db
def test_an_upload_to_a_disk_that_only_reads_is_503(
    client: Client, rosa: User, small_disk: Path
) -> None:
    client.force_login(rosa)
    read_only(small_disk)
    assert upload(client) == 503
    assert not Recording.objects.exists()


@pytest.mark.django_db
def test_operators_are_warned_at_ninety_per_cent(
    client: Client, olga: User, small_disk: Path, settings: LazySettings
) -> None:
    client.force_login(olga)
    settings.STATE_DIR = small_disk
    assert f"({small_disk}): " in page_of_health(client)
    assert "Make room" not in of_disk(client, small_disk)
    (small_disk / "fill").write_bytes(bytes(240 * 1024))
    assert "Make room" in of_disk(client, small_disk)
    read_only(small_disk)
    assert "can only be read" in of_disk(client, small_disk)


def page_of_health(client: Client) -> str:
    return client.get(reverse("health")).content.decode()


def of_disk(client: Client, folder: Path) -> str:
    return page_of_health(client).partition(f"({folder})")[2].partition("(/")[0]


def test_a_store_without_room_is_told_as_such() -> None:
    full = storage.Full("The object store refuses: no room.")
    assert outages.outage_of(full) is outages.FULL
    assert outages.outage_of(storage.Unreachable("It does not answer.")) is outages.NO_STORE


@pytest.mark.django_db
def test_a_draft_that_cannot_be_written_to_its_end_goes(
    tmp_path: Path, settings: LazySettings
) -> None:
    """`/dev/full` takes every file and has no room for a byte."""
    settings.STORAGE_DIR = tmp_path

    class NoRoom(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:  # noqa: ARG002
            with Path("/dev/full").open("wb", buffering=0) as full:
                full.write(b"x")
            return 0

    with pytest.raises(OSError, match="No space"):
        storage.put(io.BufferedReader(NoRoom()), media_type="audio/wav")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# Django leaves the half-written body to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_body_that_finds_no_room_is_507(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large body is laid down before any view or middleware sees it."""
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": bytes(4 * 1024 * 1024), "more_body": False}

    async def send(message: Mapping[str, object]) -> None:
        sent.append(dict(message))

    scope = {
        "type": "http", "method": "POST", "path": "/api/v1/runs", "raw_path": b"/api/v1/runs",
        "query_string": b"", "headers": [], "scheme": "http", "server": ("127.0.0.1", 80),
    }  # fmt: skip
    async_to_sync(asgi.application)(scope, receive, send)
    gc.collect()
    assert sent[0]["status"] == 507
    assert b"no room left" in sent[1]["body"]  # type: ignore[operator]
