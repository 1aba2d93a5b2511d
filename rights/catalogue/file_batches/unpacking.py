"""Zips from strangers, read with bounds: nothing that an archive says of itself is believed.

Names are names and never paths. An entry is read in pieces and counted as it comes, so one that
unpacks to more than it said, or to more than sound ever does, is stopped while it is read. Only
plain and deflated entries are read: the other methods need memory as their sender likes.
"""

import errno
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from backline import bounds
from rights.catalogue.audio_intake import EXTENSIONS

MOST_ENTRIES = 2_000
# The list of entries is read as a whole.
MOST_LIST_BYTES = 4 * 1024 * 1024
# Sound is packed by half, silence by a thousand times. Small entries may be anything.
MOST_RATIO = 200
FREE_BYTES = 1024 * 1024
TOO_MUCH = f"It unpacks to more than {MOST_RATIO} times its size, which no sound does."
# After so many of these in one archive the others are not tried.
MOST_TOO_MUCH = 10
LONGEST_PATH = 500
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# What zipfile and zlib raise for archives that are broken, or made to break them.
BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError, struct.error,
    ValueError, OverflowError, IndexError, KeyError,
)  # fmt: skip
HEADS = (b"PK\x03\x04", b"PK\x05\x06")
OTHER_ARCHIVES = frozenset({
    "7z", "ace", "arj", "bz2", "cab", "dmg", "gz", "iso", "lz", "lzma", "rar", "sit", "sitx", "tar",
    "tbz", "tgz", "txz", "xz", "zst",
})  # fmt: skip
# What lies beside sound files, and what people call it.
BESIDE = {
    "A text": ("txt rtf md doc docx odt xls xlsx ods csv tsv json xml html htm log ini"),
    "A picture": "jpg jpeg png gif bmp tif tiff webp heic svg psd ai",
    "A document": "pdf ps eps pages numbers key ppt pptx",
    "A list of tracks": "cue m3u m3u8 pls xspf sfv md5 sha1 sha256 ffp toc accurip",
    "A note of a program": "nfo diz sfk sfl asd pkf reapeaks wfm ovw pek",
    "A link": "url lnk webloc",
    "A video": "mp4 mov mkv avi webm m4v mpg mpeg wmv",
    "A project of a program": "als cpr flp logicx ptx ptf rpp ses aup aup3 band",
}
WORDS = {ending: words for words, endings in BESIDE.items() for ending in endings.split()}
SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})


class BadArchive(ValueError):
    """An archive, or an entry of one, that is not taken; the text is for the person who sent it."""


@dataclass(frozen=True)
class Entry:
    """One file of an archive, by its place in the list, from 1."""

    number: int
    path: str
    info: zipfile.ZipInfo


# --- Names ------------------------------------------------------------------------------------


def clean_path(text: str) -> str:
    """Return folders and name, separated by slashes: no root, no way up, and not too long."""
    parts = [part.strip() for part in bounds.readable(text).replace("\\", "/").split("/")]
    path = "/".join(part for part in parts if part not in {"", ".", ".."})
    return path[-LONGEST_PATH:].strip("/") or "without a name"


def ending(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def why_passed_over(path: str) -> str:
    """Return why a file is not looked at, by its name; empty if it is."""
    parts = path.split("/")
    if "__MACOSX" in parts:
        return "A Mac wrote it beside the files; no sound is in it."
    # There are songs and artists whose names begin with a dot.
    is_hidden = any(part.startswith(".") for part in parts) and ending(path) not in EXTENSIONS
    if is_hidden or parts[-1].startswith("._"):
        return "A hidden file: passed over."
    if parts[-1].lower() in SYSTEM_NAMES:
        return "Windows or a Mac wrote it into the folder; no sound is in it."
    words = WORDS.get(ending(path))
    return f"{words}: passed over." if words else ""


def why_not_opened(path: str, *, inside: bool) -> str:
    """Return why an archive is not opened, by its name; empty if it is, or is none."""
    kind = ending(path)
    if inside and kind in {"zip", *OTHER_ARCHIVES}:
        return "An archive in an archive is not opened. Send it by itself, as a zip."
    if kind in OTHER_ARCHIVES:
        return f"Archives of the kind .{kind} are not opened. Send a zip, or the files themselves."
    return ""


def is_zip(file: IO[bytes]) -> bool:
    """Return whether the bytes begin as a zip; the file is left at its start."""
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    return head in HEADS


# --- Archives ---------------------------------------------------------------------------------


@contextmanager
def opened(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open a zip with a list of bounded length. Raises BadArchive, in the block too."""
    try:
        with zipfile.ZipFile(_Bounded(file)) as archive:
            yield archive
    except BadArchive:
        raise
    except BROKEN as error:
        raise BadArchive(
            "The zip is broken, or is none. Make it anew and send it again."
        ) from error
    except OSError as error:
        # A place in the file that no file has.
        if error.errno != errno.EINVAL:
            raise
        raise BadArchive("The zip is broken. Make it anew and send it again.") from error


def entries(archive: zipfile.ZipFile) -> list[Entry]:
    """Return the files of an archive, without its folders. Raises BadArchive for too many."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MOST_ENTRIES:
        raise BadArchive(
            f"The zip holds {len(infos):,} files; at most {MOST_ENTRIES:,} are taken at once. Make "
            "several of it."
        )
    if not infos:
        raise BadArchive("There are no files in the zip.")
    return [
        Entry(number, clean_path(_name_of(info)), info)
        for number, info in enumerate(infos, start=1)
    ]


def _name_of(info: zipfile.ZipInfo) -> str:
    """Return the name. Many programs write UTF-8 without saying so; zipfile then reads it as the
    letters of DOS."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def why_not_read(entry: Entry) -> str:
    """Return why an entry cannot be read, by its header; empty if it may be."""
    if entry.info.flag_bits & 0x1:
        return "It is encrypted. Send it without a password."
    if stat.S_ISLNK(entry.info.external_attr >> 16):
        return "It is a link and no file. Send the file itself."
    if entry.info.compress_type not in METHODS:
        return (
            "It is packed by a method that is not read here. Make the zip anew, or send the file."
        )
    return ""


@contextmanager
def reading(archive: zipfile.ZipFile, entry: Entry) -> Iterator["Counted"]:
    """Open one entry. Raises BadArchive for one that is broken or unpacks to too much."""
    try:
        with archive.open(entry.info) as file:
            yield Counted(file, packed=entry.info.compress_size)
    except BROKEN as error:
        if isinstance(error, BadArchive):
            raise
        raise BadArchive("It is broken in the zip. Make the zip anew, or send the file.") from error


class Counted:
    """The bytes of an entry as they come. `packed` is what zipfile reads of it at most."""

    def __init__(self, file: IO[bytes], *, packed: int) -> None:
        self._file = file
        self._most = FREE_BYTES + MOST_RATIO * packed
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(1024 * 1024 if size < 0 else size)
        self.count += len(piece)
        if self.count > self._most:
            raise BadArchive(TOO_MUCH)
        return piece


class _Bounded:
    """A file of which zipfile reads no more at once than a list of entries may be long."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > MOST_LIST_BYTES:
            raise BadArchive("The list of files in the zip is too long. Make several zips of it.")
        return self._file.read(MOST_LIST_BYTES if size < 0 else size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """The file is whoever's who opened it."""
