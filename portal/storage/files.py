"""Blobs as files of this machine, in folders by the first digits of their digest."""

import shutil
from collections.abc import Generator
from pathlib import Path
from typing import IO

PIECE = 256 * 1024
LOW_BYTES = 2_000_000_000


class Files:
    def __init__(self, root: Path) -> None:
        self.root = root
        # On the same file system as the blobs, so that a draft gets its name by a rename.
        self.drafts: Path | None = root / "incoming"

    def keep(self, draft: Path, sha256: str) -> None:
        target = self._path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(target)

    def open(self, sha256: str) -> IO[bytes]:
        return self._path(sha256).open("rb")

    def span(self, sha256: str, start: int, count: int) -> Generator[bytes, None, None]:
        with self.open(sha256) as file:
            file.seek(start)
            while count > 0 and (piece := file.read(min(PIECE, count))):
                count -= len(piece)
                yield piece

    def exists(self, sha256: str) -> bool:
        return self._path(sha256).is_file()

    def remove(self, sha256: str) -> None:
        self._path(sha256).unlink(missing_ok=True)

    def look(self) -> tuple[bool, str]:
        if not self.root.is_dir():
            return True, "Empty: its folder is made with the first file."
        free = shutil.disk_usage(self.root).free
        sentence = f"{free / 1e9:.1f} GB free where audio and checkpoints lie."
        if free < LOW_BYTES:
            sentence += " Make room: uploads and checkpoints will soon fail."
        return free >= LOW_BYTES, sentence

    def _path(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256[2:4] / sha256
