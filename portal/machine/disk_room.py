"""How full the disks are on which the portal keeps its data, and whether they can be written."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings


@dataclass
class Disk:
    """One file system, and what of ours lies on it. Shares are of what a program may fill."""

    path: Path
    holds: list[str] = field(default_factory=list)
    used_percent: float = 0.0
    free: int = 0
    read_only: bool = False
    problem: str = ""

    @property
    def good(self) -> bool:
        full = self.used_percent >= settings.DISK_WARN_PERCENT
        return not (full or self.read_only or self.problem)

    def __str__(self) -> str:
        *most, last = self.holds
        together = f"{', '.join(most)} and {last}" if most else last
        what = f"{together.capitalize()} ({self.path})"
        if self.problem:
            return f"{what}: {self.problem}."
        if self.read_only:
            return f"{what}: can only be read. Nothing is kept until it is mounted for writing."
        sentence = f"{what}: {self.used_percent:.0f} % full, {self.free / 1e9:.1f} GB left."
        if not self.good:
            sentence += " Make room: without any, nothing can be changed or delivered."
        return sentence


def disks() -> list[Disk]:
    """Each once, however much of ours lies on it."""
    found: dict[int, Disk] = {}
    for what, path in _places():
        disk = _look(path)
        key = disk.path.stat().st_dev if not disk.problem else hash(path)
        found.setdefault(key, disk).holds.append(what)
    return list(found.values())


def check_room() -> tuple[bool, str]:
    """Whether there is room everywhere, and a sentence for operators."""
    known = disks()
    return all(disk.good for disk in known), " ".join(map(str, known))


def _places() -> list[tuple[str, Path]]:
    default = settings.DATABASES["default"]
    places = [("state", Path(settings.STATE_DIR))]
    if str(default["ENGINE"]).endswith("sqlite3"):
        # Where PostgreSQL keeps its files is the business of who runs it.
        places.append(("database", Path(str(default["NAME"])).parent))
    if not settings.STORAGE_URL:
        places.append(("storage", Path(settings.STORAGE_DIR)))
    # What is uploaded lies here until it is stored.
    return [*places, ("uploads on their way", Path(tempfile.gettempdir()))]


def _look(path: Path) -> Disk:
    # A folder that is made with its first file lies on its parent's disk.
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        seen = os.statvfs(path)
    except OSError as error:
        return Disk(path, problem=f"cannot be asked ({error.strerror})")
    return Disk(
        path,
        used_percent=max(
            _used(seen.f_blocks, seen.f_bfree, seen.f_bavail),
            _used(seen.f_files, seen.f_ffree, seen.f_favail),
        ),
        free=seen.f_bavail * seen.f_frsize,
        read_only=bool(seen.f_flag & os.ST_RDONLY),
    )


def _used(total: int, free: int, available: int) -> float:
    """Per cent of blocks or names that are taken, as df counts: what is kept back for root is
    nobody's. Some file systems count no names."""
    used = total - free
    return 100 * used / (used + available) if used + available else 0.0
