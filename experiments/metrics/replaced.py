"""Points that a newer attempt of the run has logged again: not in the curve any more, not lost.

A run that resumes after a crash logs the steps since its last checkpoint once more. From the first
step on that an attempt logs of a metric, the curve of this metric is that attempt's; what older
attempts have logged from there on is stored apart, by attempt, and can be shown. So a curve has one
value per step, and counts do not overstate, in whatever order the deliveries arrive.

Called inside a transaction that locks the run's row.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backline import batches
from backline.columns import Int64
from experiments.metrics import compaction
from experiments.metrics.curves import Curve
from experiments.metrics.downsampling import Points
from experiments.models import ReplacedPoints, Run, Series


@dataclass
class Move:
    """Points of older attempts that leave the curve: from `first`, and before `limit` if any."""

    series: Series
    attempt: int
    first: int
    limit: int | None


def make_way(
    run: Run, attempt: int, content: batches.Batch, rows: dict[str, Series]
) -> tuple[batches.Batch, list[tuple[Series, Points]]]:
    """Take older attempts' points out of the curves that this batch continues.

    Returns what of the batch belongs in the curves, and the series that were rewritten with the
    points that they have left, for their summaries. `rows` are the series by name; missing ones
    are added.
    """
    firsts: dict[str, int] = {}
    for table in content.tables:
        first = int(table.steps.min())
        for name in table.names:
            firsts[name] = min(first, firsts.get(name, first))
    moves: list[Move] = []
    limits: dict[str, int] = {}
    for name, first in firsts.items():
        row = rows.setdefault(name, Series(run=run, name=name, attempt=attempt))
        # A session that names no attempt belongs to whichever is the newest.
        own = attempt or row.attempt
        starts = _starts(row)
        if own > 1 and first < starts.get(own, first + 1):
            moves.append(Move(row, own, first, _earliest(starts, own)))
            row.starts = row.starts | {str(own): first}
        row.attempt = max(row.attempt, own)
        limit = _earliest(starts, own + 1)
        if limit is not None:
            limits[name] = limit
    moves = [move for move in moves if move.series.pk and _is_some(move)]
    rewritten = []
    if moves:
        # What waits to be folded is of the older attempts too.
        compaction.fold(run)
        left = [(move.series, _move(run, move)) for move in moves]
        rewritten = [(series, points) for series, points in left if points is not None]
    return _without_replaced(run, attempt, content, limits), rewritten


def curves_of(run: Run, name: str, points: int) -> list[tuple[int, Curve]]:
    """Return what attempts have logged of a metric that is not in its curve, oldest first."""
    parts: dict[int, list[Points]] = defaultdict(list)
    rows = ReplacedPoints.objects.filter(run=run, name=name).order_by("attempt", "pk")
    for attempt, data, count in rows.values_list("attempt", "data", "count"):
        parts[attempt].append(Points.decode(bytes(data), count))
    return [
        (attempt, Curve(name, 0, Points.joined(pieces).in_order().buckets().thinned(points)))
        for attempt, pieces in parts.items()
    ]


def _starts(row: Series) -> dict[int, int]:
    return {int(attempt): step for attempt, step in row.starts.items()}


def _earliest(starts: Mapping[int, int], attempt: int) -> int | None:
    """Return the first step of this attempt or a newer one."""
    return min((step for other, step in starts.items() if other >= attempt), default=None)


def _is_some(move: Move) -> bool:
    return move.limit is None or move.first < move.limit


def _move(run: Run, move: Move) -> Points | None:
    """Take points out of a series; return what is left, or None if none were there."""
    points = compaction.stored_points(move.series)
    gone = points.steps >= move.first
    if move.limit is not None:
        gone &= points.steps < move.limit
    if not gone.any():
        return None
    older = {a: step for a, step in _starts(move.series).items() if a < move.attempt}
    _store(run, move.series.name, points.where(gone), older)
    left = points.where(~gone)
    compaction.rewrite(move.series, left)
    return left


def _store(run: Run, name: str, points: Points, starts: Mapping[int, int]) -> None:
    """Store points that have left the curve; each was the newest attempt's that had its step."""
    attempts: Int64 = np.full(len(points), 1, np.int64)
    for attempt in sorted(starts):
        attempts[points.steps >= starts[attempt]] = attempt
    for attempt in np.unique(attempts).tolist():
        _store_of(run, name, attempt, points.where(attempts == attempt))


def _store_of(run: Run, name: str, attempt: int, points: Points) -> None:
    ReplacedPoints.objects.create(
        run=run, name=name, attempt=attempt, count=len(points), data=points.encode()
    )


def _without_replaced(
    run: Run, attempt: int, content: batches.Batch, limits: Mapping[str, int]
) -> batches.Batch:
    """Return a batch without what a newer attempt has logged already, which is stored apart."""
    if not limits:
        return content
    tables: list[batches.Table] = []
    for table in content.tables:
        last = int(table.steps.max())
        if not any(last >= limits.get(name, last + 1) for name in table.names):
            tables.append(table)
            continue
        for row, name in enumerate(table.names):
            points = Points(table.steps, table.times, table.values[row])
            late = points.steps >= limits.get(name, last + 1)
            if late.any():
                _store_of(run, name, attempt, points.where(late))
            kept = points.where(~late)
            if len(kept):
                tables.append(batches.Table((name,), kept.steps, kept.times, kept.values[None]))
    return batches.Batch(tuple(tables))
