"""Folders of music and weights lent to a program: deleted when it ends, however it ends.

Each process that uses a folder holds its lock, which the kernel releases when the process ends. The
last one to leave deletes what was fetched. If the program was killed, another process does that:
its sender, the supervisor of its job, or the next program of this machine. Music must not stay
behind when a permission ends.
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
        """Stop using the folder; its last user deletes the files."""
        # Unlock first: if two leave at once, the later one then finds no other user.
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        _clear_unused(self.path, self._lock)
        os.close(self._lock)


def clear(path: Path) -> bool:
    """Delete what was fetched into a folder; return False, and do nothing, while it is in use."""
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        return True
    try:
        return _clear_unused(path, lock)
    finally:
        os.close(lock)


def _shared(path: Path) -> int:
    """Take the folder's lock, shared, and return its descriptor."""
    while True:
        path.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if _is_there(path, lock):
                return lock
            # The last user deleted the file while this process waited for it.
            os.close(lock)


def _is_there(path: Path, lock: int) -> bool:
    """Return whether the lock is still the folder's, and not that of a deleted folder."""
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
        _delete_fetched(path)
    return True


def _delete_fetched(path: Path) -> None:
    """Delete only what the client fetched: everything else there is the program's own."""
    for file in path.iterdir():
        digest = file.name.partition(".")[0]
        is_fetched = len(digest) == 64 and set(digest) <= HEX
        if is_fetched or file.name.startswith(MANIFEST):
            file.unlink(missing_ok=True)
    # Last: while it is there, a deletion that was killed can be continued.
    (path / LOCK).unlink(missing_ok=True)
    with suppress(OSError):
        path.rmdir()
