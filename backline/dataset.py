"""The recordings that a run may read, as files of a folder with a manifest beside them.

    <sha256>.flac ...   each under the name of its content, there only when it is whole and right
    manifest.json       {"run": ..., "dataset": ..., "recordings": [one Item each]}

Several processes may share the folder: each file is fetched by one of them. A file that lies there
already may be of an earlier time, when it was allowed: the portal is asked for leave before it is
used. When the folder goes is in backline/lent.py.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backline import wire
from backline.delivery.transport import Refused, Transport, persist
from backline.lent import MANIFEST

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
    given: set[str] | None = None,
) -> list[Item]:
    """All recordings of the run in `folder`, and the manifest. What is there is not fetched again.

    Raises Refused, with the portal's sentence, as soon as one may not be read.
    `before_each` is called with the number of the recording, from 0, and how many there are.
    `given` is what the portal has given this process, by digest; what is new to it is added.
    """
    given = set() if given is None else given
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for number, source in enumerate(spec.items):
        before_each(number, len(spec.items))
        target = folder / file_name(source)
        fetch_recording(source, target, transport, given=given)
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


def fetch_recording(
    source: wire.DatasetItem | wire.CheckpointSource,
    target: Path,
    transport: Transport,
    *,
    given: set[str],
) -> None:
    """The bytes of `source` as `target`: fetched, or with the portal's leave those that are there.

    Raises Refused, and then nothing lies there.
    """
    if source.sha256 in given and target.exists():
        return
    # Looked for each time: who shares the folder may have fetched it, or taken it away, meanwhile.
    try:
        persist(
            lambda: (
                transport.ask_leave(source.url, sha256=source.sha256)
                if target.exists()
                else transport.download(source.url, target, sha256=source.sha256)
            ),
            seconds=FETCH_SECONDS,
        )
    except Refused:
        for left in (target, target.with_name(f"{target.name}.part")):
            left.unlink(missing_ok=True)
        raise
    given.add(source.sha256)


def read(folder: Path) -> list[Item]:
    """The recordings that `backline exec` has laid into `folder`."""
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return [Item(**{**line, "file": folder / line["file"]}) for line in content["recordings"]]


def file_name(source: wire.DatasetItem) -> str:
    return f"{source.sha256}.{source.format}" if source.format else source.sha256


def _write_manifest(spec: wire.RunSpec, folder: Path, items: list[Item]) -> None:
    content = {
        "run": spec.id,
        "dataset": spec.dataset,
        "recordings": [{**asdict(item), "file": item.file.name} for item in items],
    }
    draft = folder / f"{MANIFEST}.{secrets.token_hex(4)}"
    draft.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    draft.replace(folder / MANIFEST)
