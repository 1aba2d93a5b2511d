"""What lies in STATE_DIR is for the portal's own user: folders 0700, files 0600, at every moment.

Keys, sessions, password hashes and the tokens of runs lie there, and a program of this machine
that is somebody else's must not read them. New files are made so by the umask of each of our
processes; what an older start left is mended when the next one begins.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

UMASK = 0o077
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Shared(ValueError):
    """This folder belongs to everybody; the sentence says what to do."""


def set_umask() -> None:
    """First thing in each process of the portal: what it makes from now on is its user's alone."""
    os.umask(UMASK)


def close_folder(folder: Path) -> None:
    """Make the folder, or close it to others: nothing below it can be reached from then on.

    Raises Shared for a folder like /tmp, which others need.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & stat.S_ISVTX:
        raise Shared(f"STATE_DIR must be a folder of the portal's own; {folder} is everybody's.")
    _close(folder)


def mend(folder: Path) -> int:
    """Close all that lies below the folder as well; how many things were open."""
    return sum(_close(path) for path in _below(folder))


def open_to_others(folder: Path) -> list[Path]:
    """What others could read or write if they came so far; links say nothing of themselves."""
    return [path for path in (folder, *_below(folder)) if path.lstat().st_mode & OTHERS]


def _close(path: Path) -> bool:
    try:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if not mode & OTHERS:
            return False
        path.chmod(mode & ~OTHERS)
    except OSError:
        # It went meanwhile, or is a volume of somebody else's: who mounted it says who may read.
        return False
    return True


def _below(folder: Path) -> Iterator[Path]:
    """Everything but links, and what is mounted or lent from elsewhere: that has other owners."""
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
