"""Blocks that are frozen: what they showed when they were saved, kept with the version.

A frozen block is kept by the digest of what it says. Saving other lines of a report keeps it; a
block that says something else is frozen anew. What is kept still obeys: what its reader may not
see, and what was deleted since, is taken out when it is read (pieces.keep), and what was purged is
taken out of what is kept.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from experiments.models import FrozenBlock, Report, Run
from experiments.reports import blocks, kinds, pieces
from experiments.reports.blocks import BadBlock, Block
from experiments.reports.kinds import Kind, Reading
from experiments.reports.pieces import Piece, Words
from experiments.runs import outputs
from portal.models import User

TOO_LARGE = (
    f"This is too much to be frozen: a block keeps up to {pieces.MOST_BYTES // 1000} kB. Choose "
    "fewer runs or metrics, or leave it live."
)
ALL_TOO_LARGE = (
    f"The blocks of one version keep up to {pieces.MOST_BYTES_OF_ALL // 1_000_000} MB together; "
    "this one is not frozen."
)

PURGED = Words(text="Figures of a run that was deleted since are gone.")


@dataclass(frozen=True)
class Taken:
    """The figures of one block, not stored yet."""

    key: str
    pieces: list[Piece]


def is_frozen(kind: Kind, block: Block) -> bool:
    """Return whether the block asks to be frozen. Raises BadBlock."""
    if "frozen" not in kind.keys:
        return False
    return block.options(kind.keys).flag("frozen")


def current_figures(report: Report) -> dict[str, FrozenBlock]:
    """Return what is kept with the report as it is now, by key."""
    return figures_of_version(report, report.version)


def figures_of_version(report: Report, version: int) -> dict[str, FrozenBlock]:
    rows = FrozenBlock.objects.filter(versions__report=report, versions__version=version)
    return {row.key: row for row in rows}


def newest(report: Report, keys: Collection[str]) -> list[FrozenBlock]:
    """Return what is kept for blocks that stay: with the version that is, else the newest; somebody
    may have taken the block out while it was read."""
    rows = FrozenBlock.objects.filter(report=report, key__in=keys).order_by("at", "pk")
    found = {row.key: row for row in rows} | current_figures(report)
    return [row for key, row in found.items() if key in keys]


def take(text: str, reading: Reading, *, known: Iterable[str]) -> list[Taken]:
    """Read the figures of all blocks that ask for it and are not among `known`. Before the
    transaction: curves of many runs take a while. A block that cannot be read keeps why."""
    taken: dict[str, Taken] = {}
    room, have = pieces.MOST_BYTES_OF_ALL, set(known)
    for block in list(blocks.find(text, kinds.names()))[: blocks.MOST_BLOCKS]:
        kind = kinds.find(block.kind)
        if kind is None or block.key in have or block.key in taken or not _asks(kind, block):
            continue
        read = _read(kind, block, reading)
        size = _size(read)
        if size > pieces.MOST_BYTES:
            read = [Words(text=TOO_LARGE, is_error=True)]
        elif size > room:
            read = [Words(text=ALL_TOO_LARGE, is_error=True)]
        room -= _size(read)
        taken[block.key] = Taken(block.key, read)
    return list(taken.values())


def store(report: Report, taken: Sequence[Taken], at: datetime) -> list[FrozenBlock]:
    """Store what was taken, inside a transaction."""
    rows = []
    for one in taken:
        row = FrozenBlock.objects.create(
            report=report, key=one.key, data=pieces.dump(one.pieces), at=at
        )
        row.runs.set(Run.objects.filter(pk__in=pieces.runs_of(one.pieces)))
        rows.append(row)
    return rows


def keys_in(text: str) -> set[str]:
    """Return the keys of the blocks in a text that ask to be frozen."""
    found = ((kinds.find(block.kind), block) for block in blocks.find(text, kinds.names()))
    return {block.key for kind, block in found if kind and _asks(kind, block)}


def read(row: FrozenBlock, user: User) -> list[Piece]:
    """Return what was frozen, as far as this person may see it now."""
    kept = pieces.load(row.data)
    ids = pieces.runs_of(kept)
    visible = Run.objects.visible_to(user).filter(pk__in=ids).values_list("pk", flat=True)
    return pieces.keep(kept, {str(pk) for pk in visible})


def forget_run(run: Run) -> None:
    """Take a purged run's figures out of all that is kept: its points are gone for good, and a
    frozen copy is a copy."""
    for row in FrozenBlock.objects.filter(runs=run):
        before = pieces.load(row.data)
        kept, _ = pieces.without_others(before, pieces.runs_of(before) - {str(run.pk)})
        row.data = pieces.dump([*kept, *([] if PURGED in kept else [PURGED])])
        row.save(update_fields=["data"])
        row.runs.remove(run)


def _asks(kind: Kind, block: Block) -> bool:
    try:
        return kind.freezes and is_frozen(kind, block)
    except BadBlock:
        # It says so where it stands.
        return False


def _read(kind: Kind, block: Block, reading: Reading) -> list[Piece]:
    try:
        reading.budget.take_block()
        return kind.part(block.options(kind.keys), reading).pieces()
    except BadBlock as refusal:
        return [Words(text=f"When this was frozen: {refusal}", is_error=True)]


def _size(read: Sequence[Piece]) -> int:
    return len(json.dumps(pieces.dump(read), ensure_ascii=False).encode())


outputs.on_purge(forget_run)
