"""Where the journal lies: a folder of this machine, or the bucket that holds the blobs.

A journal is lines of bytes that are only ever added to. Each has a name that sorts by when it was
begun; the last one is written to. Whoever adds a line has the journal to itself meanwhile.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Protocol

from django.conf import settings

from portal import storage

TAIL = 64 * 1024
# More than the last line has, mostly.
LINE = 4 * 1024
ENDING = ".jsonl"
# Of two that add to a bucket at once one is second, and looks again.
TRIES = 8
PREFIX = "endings/"
TAIL_OBJECTS = 50


class JournalPlace(Protocol):
    def names(self) -> list[str]:
        """The journals, the oldest first."""

    def lines(self, name: str) -> Iterator[bytes]:
        """All lines of one, without their ends. One that broke off is there as it is."""

    def tail(self, name: str) -> list[bytes]:
        """Its last whole lines, enough to see how it stands."""

    def add(self, name: str, make: Callable[[bytes | None], list[bytes]], *, sync: bool) -> None:
        """Add what `make` makes of the last whole line (None: there is none). `sync`: it is on the
        disk when this returns. Raises OSError."""

    def where(self) -> str:
        """In words, for operators."""


def current() -> JournalPlace:
    """By ENDINGS_DIR; without it where the blobs are: in their bucket, or beside the database."""
    if settings.ENDINGS_DIR is not None:
        return Folder(settings.ENDINGS_DIR)
    objects = storage.objects()
    return Folder(settings.STATE_DIR / "endings") if objects is None else Objects(objects)


class Folder:
    """One file for each journal, for its owner alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        found = (path.name.removesuffix(ENDING) for path in self.folder.glob(f"*{ENDING}"))
        return sorted(found)

    def lines(self, name: str) -> Iterator[bytes]:
        with self._path(name).open("rb") as file:
            for line in file:
                yield line.removesuffix(b"\n")

    def tail(self, name: str) -> list[bytes]:
        with self._path(name).open("rb") as file:
            return _last_lines(file.fileno())

    def add(self, name: str, make: Callable[[bytes | None], list[bytes]], *, sync: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(name)
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            last = _last_lines(descriptor, LINE)
            _drop_torn(descriptor)
            added = make(last[-1] if last else None)
            before = os.fstat(descriptor).st_size
            try:
                _write(descriptor, b"".join(line + b"\n" for line in added))
                if sync:
                    os.fsync(descriptor)
            except OSError:
                # Half a line would be the end of everything that comes after it.
                with suppress(OSError):
                    os.ftruncate(descriptor, before)
                    if new:
                        path.unlink()
                raise
        finally:
            os.close(descriptor)
        if new:
            # Its name is on the disk, too.
            above = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(above)
            finally:
                os.close(above)

    def where(self) -> str:
        return str(self.folder)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{ENDING}"


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _last_lines(descriptor: int, count: int = TAIL) -> list[bytes]:
    size = os.fstat(descriptor).st_size
    while True:
        piece = os.pread(descriptor, count, max(0, size - count))
        whole = piece[: piece.rfind(b"\n") + 1]
        # The first of them may begin before the piece does.
        lines = whole.split(b"\n")[(0 if count >= size else 1) : -1]
        if lines or count >= size:
            return lines
        count *= 4


def _drop_torn(descriptor: int) -> None:
    """A line that broke off when its writer died: nothing was committed with it."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.ftruncate(descriptor, _end_of_last(descriptor, size))


def _end_of_last(descriptor: int, size: int) -> int:
    count = TAIL
    while True:
        start = max(0, size - count)
        found = os.pread(descriptor, size - start, start).rfind(b"\n")
        if found >= 0 or not start:
            return start + found + 1
        count *= 4


class Objects:
    """One object for each addition, numbered from 1: `endings/<journal>/<number>`. None is ever
    written twice, so who is second is refused and looks again."""

    # The greatest number that this process knows of each journal: what comes after it is asked for.
    _known: ClassVar[dict[str, int]] = {}

    def __init__(self, objects: storage.Objects) -> None:
        self.objects = objects

    def names(self) -> list[str]:
        return sorted({key.split("/")[1] for key in self.objects.keys(PREFIX)})

    def lines(self, name: str) -> Iterator[bytes]:
        for key in self.objects.keys(f"{PREFIX}{name}/"):
            yield from self.objects.read(key).split(b"\n")[:-1]

    def tail(self, name: str) -> list[bytes]:
        last = self._last(name)
        return [
            line
            for number in range(max(1, last - TAIL_OBJECTS), last + 1)
            for line in self.objects.read(_key(name, number)).split(b"\n")[:-1]
        ]

    def add(self, name: str, make: Callable[[bytes | None], list[bytes]], *, sync: bool) -> None:  # noqa: ARG002 - what the store has taken it has
        for _ in range(TRIES):
            number = self._last(name)
            last = self.objects.read(_key(name, number)).split(b"\n")[-2] if number else None
            data = b"".join(line + b"\n" for line in make(last))
            if not data or self.objects.add(_key(name, number + 1), data):
                return
        raise storage.Unreachable("Others wrote to the journal all the time: try again.")

    def where(self) -> str:
        return f"{settings.STORAGE_URL}/{PREFIX.rstrip('/')}"

    def _last(self, name: str) -> int:
        known = f"{settings.STORAGE_URL} {name}"
        number = self._known.get(known, 0)
        after = _key(name, number) if number else ""
        for key in self.objects.keys(f"{PREFIX}{name}/", after=after):
            number = int(key.rpartition("/")[2])
        self._known[known] = number
        return number


def _key(name: str, number: int) -> str:
    return f"{PREFIX}{name}/{number:012d}"
