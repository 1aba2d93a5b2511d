"""How full the disks are on which the portal keeps its data, and whether they can be written."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings


@dataclass
class Disk:
    """One file system, and which of our data is on it. Shares are of what a program may fill."""

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
        *others, last = self.holds
        names = f"{', '.join(others)} and {last}" if others else last
        label = f"{names.capitalize()} ({self.path})"
        if self.problem:
            return f"{label}: {self.problem}."
        if self.read_only:
            return f"{label}: can only be read. Nothing is kept until it is mounted for writing."
        sentence = f"{label}: {self.used_percent:.0f} % full, {self.free / 1e9:.1f} GB left."
        if not self.good:
            sentence += " Make room: without any, nothing can be changed or delivered."
        return sentence


def disks() -> list[Disk]:
    """Return each disk once, however much of our data is on it."""
    by_device: dict[int, Disk] = {}
    for name, path in _places():
        disk = _look(path)
        key = disk.path.stat().st_dev if not disk.problem else hash(path)
        by_device.setdefault(key, disk).holds.append(name)
    return list(by_device.values())


def check_room() -> tuple[bool, str]:
    """Return whether there is room everywhere, and a sentence for operators."""
    file_systems = disks()
    return all(disk.good for disk in file_systems), " ".join(map(str, file_systems))


def _places() -> list[tuple[str, Path]]:
    default = settings.DATABASES["default"]
    places = [("state", Path(settings.STATE_DIR))]
    if str(default["ENGINE"]).endswith("sqlite3"):
        # The disk of PostgreSQL's files is watched by whoever runs it.
        places.append(("database", Path(str(default["NAME"])).parent))
    if not settings.STORAGE_URL:
        places.append(("storage", Path(settings.STORAGE_DIR)))
    # Uploads are here until they are stored.
    return [*places, ("uploads on their way", Path(tempfile.gettempdir()))]


def _look(path: Path) -> Disk:
    # A folder that its first file will create is on its parent's disk.
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        stats = os.statvfs(path)
    except OSError as error:
        return Disk(path, problem=f"cannot be asked ({error.strerror})")
    return Disk(
        path,
        used_percent=max(
            _used(stats.f_blocks, stats.f_bfree, stats.f_bavail),
            _used(stats.f_files, stats.f_ffree, stats.f_favail),
        ),
        free=stats.f_bavail * stats.f_frsize,
        read_only=bool(stats.f_flag & os.ST_RDONLY),
    )


def _used(total: int, free: int, available: int) -> float:
    """Return the percentage of blocks or inodes in use, as df counts: without what is reserved for
    root. Some file systems count no inodes."""
    used = total - free
    return 100 * used / (used + available) if used + available else 0.0
