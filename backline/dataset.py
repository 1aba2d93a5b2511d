"""The recordings that a run may read, as files of a folder with a manifest beside them.

    <sha256>.flac ...   each under the name of its content, there only when it is whole and right
    manifest.json       {"run": ..., "dataset": ..., "recordings": [one Item each]}

Several processes may share the folder: each file is fetched by one of them, and whoever leaves
last takes the music away. A permission that ends must not leave it behind.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backline import wire
from backline.transport import Transport, persist

MANIFEST = "manifest.json"
LOCK = ".backline-lock"
FETCH_SECONDS = 600.0


@dataclass(frozen=True)
class Item:
    """One recording: what it is, who made it, and where its file lies."""

    recording: int
    title: str
    artists: list[str]
    tags: dict[str, Any]
    seconds: float
    sha256: str
    file: Path


def fetch(
    spec: wire.RunSpec,
    folder: Path,
    transport: Transport,
    *,
    before_each: Callable[[int, int], None] = lambda _number, _count: None,
) -> list[Item]:
    """All recordings of the run in `folder`, and the manifest. What is there is not fetched again.

    Raises Refused, with the portal's sentence, as soon as one may not be read.
    `before_each` is called with the number of the recording, from 0, and how many there are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for number, source in enumerate(spec.items):
        before_each(number, len(spec.items))
        target = folder / file_name(source)
        one(source, target, transport)
        items.append(
            Item(
                recording=source.recording,
                title=source.title,
                artists=source.artists,
                tags=source.tags,
                seconds=source.seconds,
                sha256=source.sha256,
                file=target,
            )
        )
    _write_manifest(spec, folder, items)
    return items


def one(source: wire.DatasetItem, target: Path, transport: Transport) -> None:
    if not target.exists():
        persist(
            lambda: transport.download(source.url, target, sha256=source.sha256),
            seconds=FETCH_SECONDS,
        )


def read(folder: Path) -> list[Item]:
    """The recordings that `backline exec` has laid into `folder`."""
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return [Item(**{**line, "file": folder / line["file"]}) for line in content["recordings"]]


def file_name(source: wire.DatasetItem) -> str:
    return f"{source.sha256}.{source.format}" if source.format else source.sha256


@contextmanager
def borrowed(folder: Path) -> Iterator[None]:
    """While somebody in here reads the folder, its music stays; the last one takes it away."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / LOCK
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        # Let go first: of two who leave at once, the later one finds nobody else.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _take_away(folder)
        os.close(descriptor)


def _take_away(folder: Path) -> None:
    """Only what `fetch` makes: whatever else lies there is the program's own."""
    for path in folder.iterdir():
        digest = path.name.partition(".")[0]
        whole = len(digest) == 64 and set(digest) <= set("0123456789abcdef")
        if whole or path.name in {MANIFEST, LOCK}:
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _write_manifest(spec: wire.RunSpec, folder: Path, items: list[Item]) -> None:
    content = {
        "run": spec.id,
        "dataset": spec.dataset,
        "recordings": [{**asdict(item), "file": item.file.name} for item in items],
    }
    draft = folder / f"{MANIFEST}.{secrets.token_hex(4)}"
    draft.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    draft.replace(folder / MANIFEST)
