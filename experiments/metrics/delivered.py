"""Which deliveries of a session have been counted: the same number never counts twice.

The numbers wait with their batches until those are folded. From then on number and digest stand in
columns of their session, 1,024 in a row of the database, about nine bytes each: a program that
delivers twice a second for a month leaves 5 million of them.

Called by who holds the lock of the run's row, but for a first look.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from backline.columns import Int64, pack, unpack
from experiments.models import Batch, FoldedBatches, Run

# Deliveries in one row.
BLOCK = 1024


class Conflict(ValueError):
    """This session has already delivered other content under the same number."""


def digest_of(payload: bytes) -> str:
    """Return what tells a repeated delivery from another one of the same number."""
    return hashlib.sha256(payload).hexdigest()


@dataclass(frozen=True)
class Waiting:
    """The deliveries of a run that are not folded yet, some tens of them."""

    run: Run
    # By session and number.
    digests: Mapping[tuple[str, int], str]
    points: int

    @classmethod
    def read(cls, run: Run) -> Self:
        rows = Batch.objects.filter(run=run).values_list("session", "number", "digest", "points")
        found = list(rows)
        digests = {(session, number): digest for session, number, digest, _ in found}
        return cls(run, digests, sum(points for *_, points in found))

    def is_repeated(self, session: str, number: int, digest: str) -> bool:
        """Return whether this delivery was counted before, however long ago. Raises Conflict if
        another one was, under the same number."""
        if (before := self.digests.get((session, number))) is not None:
            same = before == digest
        elif (folded := _folded(self.run, session, number)) is not None:
            same = _short(digest) == folded
        else:
            return False
        if not same:
            raise Conflict(
                f"Delivery {number} of session {session} was already made with other content."
            )
        return True


def remember(run: Run, deliveries: Iterable[tuple[str, int, str]]) -> None:
    """Note deliveries that are folded: session, number, digest."""
    by_session: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for session, number, digest in deliveries:
        by_session[session].append((number, _short(digest)))
    blocks: list[FoldedBatches] = []
    for session, fresh in by_session.items():
        index, columns = 0, np.array(fresh, dtype=np.int64).T
        last = FoldedBatches.objects.filter(run=run, session=session).order_by("-index").first()
        if last is not None:
            index = last.index + 1
            if last.count < BLOCK:
                index = last.index
                columns = np.concatenate([_columns(last), columns], axis=1)
        for place, start in enumerate(range(0, columns.shape[1], BLOCK)):
            blocks.append(_block(run, session, index + place, columns[:, start : start + BLOCK]))
    FoldedBatches.objects.bulk_create(
        blocks,
        update_conflicts=True,
        unique_fields=["run", "session", "index"],
        update_fields=["lowest", "highest", "count", "data"],
        batch_size=500,
    )


def _folded(run: Run, session: str, number: int) -> int | None:
    """Return the short digest that was folded under this number; None if there was none."""
    rows = FoldedBatches.objects.filter(run=run, session=session)
    for block in rows.filter(lowest__lte=number, highest__gte=number):
        numbers, digests = _columns(block)
        if len(found := digests[numbers == number]):
            return int(found[0])
    return None


def _block(run: Run, session: str, index: int, columns: Int64) -> FoldedBatches:
    numbers, digests = columns
    return FoldedBatches(
        run=run,
        session=session,
        index=index,
        lowest=int(numbers.min()),
        highest=int(numbers.max()),
        count=len(numbers),
        data=pack([numbers, digests]),
    )


def _columns(block: FoldedBatches) -> Int64:
    """Return numbers and short digests, with the shape (2, count)."""
    return np.stack(unpack(bytes(block.data), kinds="ii", counts=[block.count] * 2))


def _short(digest: str) -> int:
    """Return the first eight bytes of a digest, as a number that a column can hold."""
    return int.from_bytes(bytes.fromhex(digest[:16]), "little", signed=True)
