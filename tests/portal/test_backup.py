"""A copy of the database, and whether the storage has what the rows name."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection

from portal import storage
from portal.models import Blob, User
from portal.storage import verify
from rights.models import Recording
from tests.catalogue import make_party, make_recording

on_sqlite = pytest.mark.skipif(
    "connection.vendor != 'sqlite'", reason="PostgreSQL is copied by pg_dump."
)


@pytest.fixture
def recording(rosa: User) -> Recording:
    return make_recording(rosa, make_party(rosa))


def looked(*flags: str) -> str:
    told = io.StringIO()
    call_command("storage", "verify", *flags, stdout=told, stderr=told)
    return told.getvalue()


def test_a_storage_that_has_everything_says_so(recording: Recording) -> None:
    count = Blob.objects.count()
    assert looked() == f"All {count} files that rows name are there.\n"
    assert "as they were written" in looked("--read")


def test_what_is_missing_is_named_with_the_rows_that_name_it(recording: Recording) -> None:
    lost = recording.audio
    assert lost is not None
    storage.remove(lost.sha256)
    (sentence,) = verify.faults()
    assert sentence.startswith(f"{lost.sha256} ({lost.media_type}, {lost.size} bytes) is missing;")
    assert f"rights.recording:{recording.pk}" in sentence
    with pytest.raises(CommandError, match="1 files are not"):
        looked()


def test_bytes_that_were_changed_are_found_by_who_reads_them(
    recording: Recording, settings: LazySettings
) -> None:
    assert recording.audio is not None
    (file,) = Path(settings.STORAGE_DIR).rglob(recording.audio.sha256)
    file.write_bytes(file.read_bytes()[:-1])
    assert list(verify.faults()) == []
    (sentence,) = verify.faults(read=True)
    assert "is damaged" in sentence


def test_a_blob_that_no_row_names_is_called_that(db: None) -> None:
    blob = storage.put(io.BytesIO(b"words"), media_type="text/plain")
    storage.remove(blob.sha256)
    (sentence,) = verify.faults()
    assert sentence.endswith("no row names it.")


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_copy_is_one_whole_file_for_its_owner_and_takes_no_others_place(
    rosa: User, tmp_path: Path
) -> None:
    target = tmp_path / "copy.sqlite3"
    call_command("backup", str(target), stdout=io.StringIO())
    assert [path.name for path in tmp_path.glob("*copy*")] == ["copy.sqlite3"]
    assert target.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(target)) as made:
        assert made.execute("SELECT username FROM portal_user").fetchall() == [("rosa",)]
    with pytest.raises(CommandError, match="is there already"):
        call_command("backup", str(target))


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_copy_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("backup", str(tmp_path / "nowhere" / "copy.sqlite3"))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.django_db
def test_of_postgresql_pg_dump_makes_the_copy(tmp_path: Path) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("On PostgreSQL alone.")
    with pytest.raises(CommandError, match="pg_dump"):
        call_command("backup", str(tmp_path / "copy"))
