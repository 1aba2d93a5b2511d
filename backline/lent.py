"""Folders of music and weights that a program is lent: they go when it ends, however it ends.

Whoever uses a folder holds its lock, which the kernel lets go of with the process. Who leaves last
takes away what was fetched. Of a program that was killed that falls to whoever comes by: its
sender, the supervisor of its job, the next program of this machine. A permission that ends must
not leave the music behind.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

LOCK = ".backline-lock"
MANIFEST = "manifest.json"
HEX = frozenset("0123456789abcdef")


class Folder:
    """A folder in use. Several processes may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _shared(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """The last one takes the files away."""
        # Let go first: of two who leave at once, the later one finds nobody else.
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        _clear_unused(self.path, self._lock)
        os.close(self._lock)


def clear(path: Path) -> bool:
    """Take away what was fetched into a folder, unless somebody uses it; whether that was so."""
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        return True
    try:
        return _clear_unused(path, lock)
    finally:
        os.close(lock)


def _shared(path: Path) -> int:
    """The lock of the folder, shared: a descriptor."""
    while True:
        path.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if _is_there(path, lock):
                return lock
            # Who left last took the file away while this one waited for it.
            os.close(lock)


def _is_there(path: Path, lock: int) -> bool:
    """Whether the lock is still the folder's, and not that of one that was taken away."""
    try:
        return os.path.samestat((path / LOCK).stat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def _clear_unused(path: Path, lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    if _is_there(path, lock):
        _take_away(path)
    return True


def _take_away(path: Path) -> None:
    """Only what `backline.dataset` makes: whatever else lies there is the program's own."""
    for file in path.iterdir():
        digest = file.name.partition(".")[0]
        whole = len(digest) == 64 and set(digest) <= HEX
        if whole or file.name.startswith(MANIFEST):
            file.unlink(missing_ok=True)
    # Last: as long as it is there, a killed one can be gone on from.
    (path / LOCK).unlink(missing_ok=True)
    with suppress(OSError):
        path.rmdir()
