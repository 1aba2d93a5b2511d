"""STATE_DIR is open to the portal's own user only: folders 0700, files 0600, at every moment.

It holds keys, sessions, password hashes and the tokens of runs, which another user's program on
this machine must not read. The umask of each of our processes closes new files; files that an
older start left open are closed at the next start.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

UMASK = 0o077
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Shared(ValueError):
    """This folder belongs to everybody; the message says what to do."""


def set_umask() -> None:
    """Close new files to other users. Each process of the portal calls this first."""
    os.umask(UMASK)


def close_folder(folder: Path) -> None:
    """Make the folder, or close it to others: they can reach nothing below it from then on.

    Raises Shared for a folder like /tmp, which others need.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & stat.S_ISVTX:
        raise Shared(f"STATE_DIR must be a folder of the portal's own; {folder} is everybody's.")
    _close(folder)


def close_contents(folder: Path) -> int:
    """Close everything below the folder as well; return how many files and folders were open."""
    return sum(_close(path) for path in _below(folder))


def open_to_others(folder: Path) -> list[Path]:
    """Return what others could read or write if they reached it; the mode of links says nothing."""
    return [path for path in (folder, *_below(folder)) if path.lstat().st_mode & OTHERS]


def _close(path: Path) -> bool:
    try:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if not mode & OTHERS:
            return False
        path.chmod(mode & ~OTHERS)
    except OSError:
        # It is gone, or is somebody else's volume: whoever mounted it decides who may read it.
        return False
    return True


def _below(folder: Path) -> Iterator[Path]:
    """Yield everything below the folder but links: what they lead to may have other owners."""
    pending = [folder]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        continue
                    yield Path(entry.path)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
        except OSError:
            continue
