"""Zips as they come, and as somebody made them to do harm."""

import io
import struct
import zipfile
from collections.abc import Callable

import pytest
from django.conf import LazySettings

from portal.models import Blob, User
from rights.catalogue.file_batches import unpacking
from rights.models import BatchFile
from tests.rights.catalogue.file_batches.files import (
    looked_at,
    row,
    sound,
    states,
    zipped,
)

pytestmark = pytest.mark.django_db
State = BatchFile.State


def listed(content: bytes) -> list[str]:
    with unpacking.opened(io.BytesIO(content)) as archive:
        return [entry.path for entry in unpacking.entries(archive)]


def refused(by: User, content: bytes) -> str:
    """The sentence by which a whole zip is refused."""
    batch = looked_at(by, {"a.zip": content})
    (only,) = batch.files.all()
    assert (only.state, only.blob_id) == (State.REFUSED, None)
    return only.sentence


# --- Names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b.wav", "a/b.wav"),
        ("../../etc/b.wav", "etc/b.wav"),
        ("/etc/b.wav", "etc/b.wav"),
        ("C:\\music\\b.wav", "C:/music/b.wav"),
        ("a//./b.wav", "a/b.wav"),
        ("a\ud800b.wav", "a\N{REPLACEMENT CHARACTER}b.wav"),
        ("a\0b.wav", "a\N{REPLACEMENT CHARACTER}b.wav"),
        ("..", "without a name"),
        ("", "without a name"),
        ("...And More.wav", "...And More.wav"),
    ],
)
def test_a_name_is_a_name_and_no_path(name: str, path: str) -> None:
    assert unpacking.clean_path(name) == path


def test_a_long_name_keeps_its_end() -> None:
    path = unpacking.clean_path("folder/" * 200 + "song.wav")
    assert len(path) <= unpacking.LONGEST_PATH
    assert path.endswith("/song.wav")


@pytest.mark.parametrize(
    "path",
    ["__MACOSX/song.wav", "._song.wav", "a/.DS_Store", "Thumbs.db", "a/THUMBS.DB", "desktop.ini",
     ".hidden", ".git/config", "cover.JPG", "booklet.pdf", "album.cue", "rip.log", "list.m3u8",
     "info.nfo", "read me.txt", "hashes.md5"],
)  # fmt: skip
def test_what_lies_beside_sound_is_passed_over(path: str) -> None:
    assert unpacking.why_passed_over(path)


@pytest.mark.parametrize(
    "path", ["song.wav", ".38 - Song.flac", "...Song.mp3", "...And More/01.wav", "song", "song.m4a"]
)
def test_sound_and_what_might_be_is_not(path: str) -> None:
    assert unpacking.why_passed_over(path) == ""


def patched(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    assert len(old) == len(new)
    return content.replace(old, new)


def test_names_in_utf_8_are_read_whether_it_is_said_or_not() -> None:
    said = zipped({"Café.wav": b"1"})
    assert listed(said) == ["Café.wav"]
    plain = zipped({"CafXX.wav": b"1"})
    assert listed(patched(plain, b"CafXX", "Café".encode())) == ["Café.wav"]


def test_names_in_the_letters_of_dos_are_read() -> None:
    plain = zipped({"CafX.wav": b"1"})
    assert listed(patched(plain, b"CafX", "Café".encode("cp437"))) == ["Café.wav"]


def test_a_name_that_says_utf_8_and_is_not_refuses_the_zip(rosa: User) -> None:
    said = zipped({"Caf\N{LATIN SMALL LETTER E WITH ACUTE}.wav": b"1"})
    assert "broken" in refused(rosa, patched(said, "é".encode(), b"\xff\xff"))


# --- What is in it ----------------------------------------------------------------------------


def test_what_is_in_a_zip_is_listed_by_its_names(rosa: User) -> None:
    content = zipped({
        "CD 1/": b"",
        "CD 1/01.wav": sound(300),
        "CD 1/cover.jpg": b"x",
        "__MACOSX/CD 1/._01.wav": b"x",
        "notes.xyz": b"no sound",
    })  # fmt: skip
    batch = looked_at(rosa, {"album.zip": content})
    assert states(batch) == {
        "album.zip": State.UNPACKED,
        "album.zip/CD 1/01.wav": State.UNMATCHED,
        "album.zip/CD 1/cover.jpg": State.PASSED_OVER,
        "album.zip/__MACOSX/CD 1/._01.wav": State.PASSED_OVER,
        "album.zip/notes.xyz": State.REFUSED,
    }
    assert row(batch, "album.zip").sentence == "4 files were in it."


def test_only_the_files_stay_of_a_zip(rosa: User) -> None:
    batch = looked_at(rosa, {"album.zip": zipped({"01.wav": sound(300)})})
    assert list(Blob.objects.values_list("pk", flat=True)) == [
        row(batch, "album.zip/01.wav").sha256
    ]


def test_archives_in_archives_and_of_other_kinds_are_refused_in_words(rosa: User) -> None:
    inner = zipped({"a.wav": sound()})
    content = zipped({"inner.zip": inner, "renamed.wav": inner, "b.rar": b"x"})
    batch = looked_at(rosa, {"a.zip": content, "b.7z": b"x"})
    said = {one.path: one.sentence for one in batch.files.filter(state=State.REFUSED)}
    assert set(said) == {"a.zip/inner.zip", "a.zip/renamed.wav", "a.zip/b.rar", "b.7z"}
    assert "archive in an archive" in said["a.zip/renamed.wav"]
    assert ".7z are not opened" in said["b.7z"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_need_memory_as_their_sender_likes_are_refused(
    rosa: User, method: int
) -> None:
    batch = looked_at(rosa, {"a.zip": zipped({"a.wav": sound()}, method)})
    assert "packed by a method" in row(batch, "a.zip/a.wav").sentence


def flagged(content: bytes, flag: int) -> bytes:
    """The zip with a flag on its entry, in both headers."""
    changed = bytearray(content)
    for head, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[content.index(head) + place] |= flag
    return bytes(changed)


def test_an_encrypted_file_is_refused_in_words(rosa: User) -> None:
    batch = looked_at(rosa, {"a.zip": flagged(zipped({"a.wav": sound()}), 1)})
    assert "It is encrypted" in row(batch, "a.zip/a.wav").sentence


def test_a_link_is_no_file(rosa: User) -> None:
    info = zipfile.ZipInfo("song.wav")
    info.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    batch = looked_at(rosa, {"a.zip": out.getvalue()})
    assert "It is a link" in row(batch, "a.zip/song.wav").sentence


# --- Bombs ------------------------------------------------------------------------------------


def test_what_unpacks_to_more_than_sound_does_is_stopped(rosa: User) -> None:
    content = zipped({"bomb.wav": bytes(20_000_000), "song.wav": sound(300)})
    batch = looked_at(rosa, {"a.zip": content})
    assert "more than 200 times its size" in row(batch, "a.zip/bomb.wav").sentence
    # The others are taken all the same.
    assert row(batch, "a.zip/song.wav").state == State.UNMATCHED


def test_after_some_bombs_the_rest_of_a_zip_is_not_tried(rosa: User) -> None:
    bombs = {f"{number:02d}.wav": bytes(3_000_000) for number in range(unpacking.MOST_TOO_MUCH)}
    batch = looked_at(rosa, {"a.zip": zipped(bombs | {"song.wav": sound(300)})})
    assert row(batch, "a.zip").sentence == "Too many files in it unpack to more than sound does."
    assert "a.zip/song.wav" not in states(batch)
    assert set(states(batch).values()) == {State.REFUSED}


def test_a_size_in_a_header_is_not_believed(rosa: User) -> None:
    """It says ten bytes, and has twenty million."""
    content = zipped({"bomb.wav": bytes(20_000_000)})
    small = content.replace(struct.pack("<I", 20_000_000), struct.pack("<I", 10))
    batch = looked_at(rosa, {"a.zip": small})
    assert row(batch, "a.zip/bomb.wav").state == State.REFUSED
    assert not Blob.objects.exists()


def test_a_file_larger_than_an_upload_may_be_is_refused(rosa: User, settings: LazySettings) -> None:
    settings.UPLOAD_MAX_BYTES = 10_000
    content = zipped({"long.wav": sound(300, seconds=2), "song.wav": sound(300, seconds=0.2)})
    batch = looked_at(rosa, {"a.zip": content})
    assert "larger than" in row(batch, "a.zip/long.wav").sentence
    assert row(batch, "a.zip/song.wav").state == State.UNMATCHED


def test_all_files_together_are_bounded(rosa: User, settings: LazySettings) -> None:
    # Each has 16,044 bytes.
    settings.FILE_BATCH_MAX_BYTES = 40_000
    files = {f"{number}.wav": sound(300 + number) for number in range(4)}
    batch = looked_at(rosa, {"a.zip": zipped(files)})
    said = [row(batch, f"a.zip/{name}") for name in files]
    assert [one.state for one in said] == [State.UNMATCHED] * 2 + [State.REFUSED] * 2
    assert "The batch is full" in said[-1].sentence


def test_too_many_files_are_refused_with_their_number(
    rosa: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MOST_ENTRIES", 3)
    said = refused(rosa, zipped({f"{number}.wav": b"x" for number in range(4)}))
    assert "holds 4 files; at most 3" in said


def test_a_list_of_entries_that_is_too_long_is_not_read(
    rosa: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MOST_LIST_BYTES", 2_000)
    said = refused(rosa, zipped({f"{number:0100d}.wav": b"x" for number in range(30)}))
    assert "list of files in the zip is too long" in said


def test_entries_that_share_their_bytes_are_each_counted(
    rosa: User, settings: LazySettings
) -> None:
    """A list that names one entry many times over: small as a file, endless unpacked."""
    settings.FILE_BATCH_MAX_BYTES = 100_000
    content = zipped({"0.wav": sound(300)}, zipfile.ZIP_STORED)
    start = content.index(b"PK\x01\x02")
    entry, end = content[start:-22], content[-22:]
    many = entry * 50
    end = end[:8] + struct.pack("<HHI", 50, 50, len(many)) + end[16:]
    batch = looked_at(rosa, {"a.zip": content[:start] + many + end})
    held = sum(one.size for one in batch.files.filter(archive__isnull=False, blob__isnull=False))
    assert held <= 100_000


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda content: content[: len(content) // 2],
    "no end": lambda content: content[:-22],
    "only a beginning": lambda content: content[:4],
    "a list elsewhere": lambda content: content[:-6] + b"\xff\xff\xff\x7f" + content[-2:],
    "a list with no entries": lambda content: content[:-22] + b"PK\x05\x06" + bytes(18),
    "a list of rubbish": lambda content: content.replace(b"PK\x01\x02", b"PKxx"),
    "a version from the future": lambda content: content.replace(
        b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_zip_is_refused_in_words(rosa: User, name: str) -> None:
    content = BROKEN[name](zipped({"a.wav": sound()}))
    assert "zip" in refused(rosa, content)


def test_a_file_that_is_called_zip_and_is_none_is_refused(rosa: User) -> None:
    assert "is none" in refused(rosa, b"This is no zip at all.")


def test_bytes_that_are_broken_in_a_zip_are_refused_one_by_one(rosa: User) -> None:
    content = bytearray(zipped({"a.wav": sound(300), "b.wav": sound(400)}, zipfile.ZIP_STORED))
    content[200] ^= 0xFF
    batch = looked_at(rosa, {"a.zip": bytes(content)})
    assert "broken in the zip" in row(batch, "a.zip/a.wav").sentence
    assert row(batch, "a.zip/b.wav").state == State.UNMATCHED


def test_a_deflated_stream_of_rubbish_is_refused(rosa: User) -> None:
    content = zipped({"a.wav": sound(300)})
    start = content.index(b"a.wav") + 5
    batch = looked_at(rosa, {"a.zip": content[:start] + b"\xff" * 40 + content[start + 40 :]})
    assert "broken in the zip" in row(batch, "a.zip/a.wav").sentence


def test_a_zip_without_files_says_so(rosa: User) -> None:
    assert "no files in the zip" in refused(rosa, zipped({"folder/": b""}))
