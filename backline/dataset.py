"""The recordings that a run may read, as files in a folder with a manifest beside them.

    <sha256>.flac ...   each named by its content, there only when it is complete and correct
    manifest.json       {"run": ..., "dataset": ..., "recordings": [one Item each]}

Several processes may share the folder: each file is fetched by one of them. A file that is there
already may date from a time when it was permitted: the portal is asked for permission before it is
used. backline/lent.py says when the folder is deleted.
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
    """One recording: what it is, who made it, and where its file is."""

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
    """Fetch the run's recordings into `folder`, unless they are there, and write the manifest.

    Raises Refused, with the portal's reason, as soon as a recording may not be read.
    `before_each` is called with the number of the recording, from 0, and how many there are.
    `given` has the digests of what the portal has given this process; new ones are added.
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
    """Fetch `source` to `target`, or use the file that is there if the portal permits it.

    If it raises Refused, it has deleted the file.
    """
    if source.sha256 in given and target.exists():
        return
    # Checked at each try: another process may have fetched or deleted it meanwhile.
    try:
        persist(
            lambda: (
                transport.check_permission(source.url, sha256=source.sha256)
                if target.exists()
                else transport.download(source.url, target, sha256=source.sha256)
            ),
            seconds=FETCH_SECONDS,
        )
    except Refused:
        for file in (target, target.with_name(f"{target.name}.part")):
            file.unlink(missing_ok=True)
        raise
    given.add(source.sha256)


def read(folder: Path) -> list[Item]:
    """Return the recordings that `backline exec` has fetched into `folder`."""
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
