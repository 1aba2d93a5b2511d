"""Where the journal is stored: a folder of this machine, or the bucket that holds the blobs.

A journal is lines of bytes, append-only. Each journal has a name that sorts by when it was begun;
the last one is written to. Nobody else's line comes between reading the last line and adding one.
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
# Usually more bytes than the last line has.
LINE = 4 * 1024
ENDING = ".jsonl"
# If two add to a bucket at once, the second tries again: at most this many tries.
TRIES = 8
PREFIX = "endings/"
TAIL_OBJECTS = 50


class JournalPlace(Protocol):
    def names(self) -> list[str]:
        """Return the names of the journals, the oldest first."""

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield all lines of a journal, without line ends. A truncated line is yielded as it is."""

    def tail(self, name: str) -> list[bytes]:
        """Return its last complete lines, enough to see its state."""

    def add(self, name: str, make: Callable[[bytes | None], list[bytes]], *, sync: bool) -> None:
        """Add the lines that `make` returns for the last complete line (None: there is none).
        `sync`: they are on the disk when this returns. Raises OSError."""

    def where(self) -> str:
        """Return the place in words, for operators."""


def current() -> JournalPlace:
    """Return ENDINGS_DIR; without it the bucket of the blobs, or a folder beside the database."""
    if settings.ENDINGS_DIR is not None:
        return FolderPlace(settings.ENDINGS_DIR)
    objects = storage.objects()
    return FolderPlace(settings.STATE_DIR / "endings") if objects is None else BucketPlace(objects)


class FolderPlace:
    """One file for each journal, which only its owner may open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        names = (path.name.removesuffix(ENDING) for path in self.folder.glob(f"*{ENDING}"))
        return sorted(names)

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
            last_lines = _last_lines(descriptor, LINE)
            _drop_torn(descriptor)
            new_lines = make(last_lines[-1] if last_lines else None)
            size = os.fstat(descriptor).st_size
            try:
                _write(descriptor, b"".join(line + b"\n" for line in new_lines))
                if sync:
                    os.fsync(descriptor)
            except OSError:
                # Half a line would spoil everything that comes after it.
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                    if new:
                        path.unlink()
                raise
        finally:
            os.close(descriptor)
        if new:
            # The file's name must be on the disk, too.
            directory = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

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
        complete = piece[: piece.rfind(b"\n") + 1]
        # The first line may begin before the piece does.
        lines = complete.split(b"\n")[(0 if count >= size else 1) : -1]
        if lines or count >= size:
            return lines
        count *= 4


def _drop_torn(descriptor: int) -> None:
    """Cut off a last line left incomplete when its writer died: nothing was committed with it."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.ftruncate(descriptor, _end_of_last(descriptor, size))


def _end_of_last(descriptor: int, size: int) -> int:
    count = TAIL
    while True:
        start = max(0, size - count)
        newline = os.pread(descriptor, size - start, start).rfind(b"\n")
        if newline >= 0 or not start:
            return start + newline + 1
        count *= 4


class BucketPlace:
    """One object for each addition, numbered from 1: `endings/<journal>/<number>`. No object is
    ever written twice, so the second writer is refused and looks again."""

    # The highest number that this process knows of each journal: only later ones are listed.
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
        cache_key = f"{settings.STORAGE_URL} {name}"
        number = self._known.get(cache_key, 0)
        after = _key(name, number) if number else ""
        for key in self.objects.keys(f"{PREFIX}{name}/", after=after):
            number = int(key.rpartition("/")[2])
        self._known[cache_key] = number
        return number


def _key(name: str, number: int) -> str:
    return f"{PREFIX}{name}/{number:012d}"
