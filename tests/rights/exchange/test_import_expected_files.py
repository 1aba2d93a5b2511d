"""Files that an import announces: by name and hash a batch finds their recordings."""

import hashlib
import io

import pytest

from portal.models import User
from rights.catalogue import catalogue
from rights.exchange.exporting.writing import as_csv, as_json
from rights.models import Recording
from tests.rights.exchange.importing import imported, song, table, told
from tests.tones import tone

pytestmark = pytest.mark.django_db

MD5 = "9e107d9d372bb6826bd81d3542a419d6"


def expected() -> list[tuple[str, str]]:
    return list(Recording.objects.order_by("isrc").values_list("expected_file", "expected_hash"))


def test_a_table_announces_files_by_name_and_hash(rosa: User) -> None:
    rows = [
        song(1, **{"File name": "C:\\masters\\01 Song.wav", "MD5": MD5.upper()}),
        song(2, **{"File name": "", "MD5": ""}),
    ]
    imported(rosa, table(rows))
    assert expected() == [("01 Song.wav", f"md5:{MD5}"), ("", "")]
    again = imported(rosa, table(rows))
    assert (again.added, again.changed, again.unchanged) == (0, 0, 2)


@pytest.mark.parametrize("export", [as_csv, as_json], ids=["csv", "json"])
def test_they_come_back_from_an_export(rosa: User, export: object) -> None:
    imported(rosa, table([song(1, **{"File name": "=1.wav", "Checksum": MD5})]))
    text = "".join(export(Recording.objects.all()))  # type: ignore[operator]
    Recording.objects.update(expected_file="", expected_hash="")
    name = "x.csv" if export is as_csv else "x.json"
    assert imported(rosa, text.encode(), name).changed == 1
    assert expected() == [("=1.wav", f"md5:{MD5}")]


def test_another_file_may_be_announced_until_one_is_here(rosa: User) -> None:
    imported(rosa, table([song(1, **{"File name": "a.wav"})]))
    assert imported(rosa, table([song(1, **{"File name": "b.wav"})])).changed == 1
    recording = Recording.objects.get()
    catalogue.attach_audio(by=rosa, recording=recording, file=tone(), filename="b.flac")
    assert imported(rosa, table([song(1, **{"File name": "c.wav"})])).unchanged == 1
    assert expected() == [("b.wav", "")]


def test_a_wrong_hash_is_left_out_and_loses_nothing(rosa: User) -> None:
    job = imported(rosa, table([song(1, **{"File name": "a.wav", "Hash": "12345"})]))
    assert (job.added, job.refused) == (1, 0)
    ((_, field, sentence),) = told(job)
    assert field == "expected_hash"
    assert sentence.endswith("It is left out.")
    assert expected() == [("a.wav", "")]


def test_a_file_of_another_hash_than_announced_is_a_warning(rosa: User) -> None:
    right = tone()
    digest = hashlib.md5(right.getvalue(), usedforsecurity=False).hexdigest()
    imported(rosa, table([song(1, Hash=digest), song(2, Hash=digest)]))
    first, second = Recording.objects.order_by("isrc")
    catalogue.attach_audio(
        by=rosa, recording=first, file=io.BytesIO(right.getvalue()), filename="a.flac"
    )
    other = catalogue.attach_audio(
        by=rosa, recording=second, file=tone(frequency=300), filename="b.flac"
    )
    first.refresh_from_db()
    assert not any("hash" in warning for warning in first.warnings)
    assert any("hash" in warning for warning in other.warnings)
