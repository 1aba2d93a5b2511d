"""The metric store: it takes numbered batches and stores compressed columns, in levels of detail.

A batch is stored as one row, in one transaction with the summaries that tables sort by. Compaction
folds the batches of a run into chunks per series (experiments/metrics/downsampling.py); until then
reading merges the batches that are not folded yet.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.db import transaction

from backline import batches
from backline.columns import Float64, Int64
from experiments.metrics import compaction, curves, delivered
from experiments.metrics import replaced as replaced_points
from experiments.metrics.curves import Curve
from experiments.metrics.delivered import Conflict
from experiments.metrics.downsampling import Points
from experiments.models import Batch, Run, Series
from experiments.models.sessions import attempt_and_rank

__all__ = [
    "Conflict",
    "Curve",
    "compact",
    "first_times",
    "ingest",
    "names",
    "newest_values",
    "points",
    "read",
    "read_all",
    "read_many",
    "read_new",
    "replaced",
    "state",
    "values_at",
]


@dataclass(frozen=True)
class Ingested:
    points: int
    duplicate: bool


def ingest(run: Run, session: str, number: int, batch: bytes) -> Ingested:
    """Store one encoded batch (backline.batches.encode) and count it, exactly once.

    Raises batches.Malformed if it cannot be read and Conflict if this session's `number` was
    already used for something else. Points may come in any order, also after the run has ended.
    """
    content = batches.decode(batch)
    digest = delivered.digest_of(batch)
    with transaction.atomic():
        # One writer per run: summaries are read, changed and written back below.
        Run.objects.select_for_update(no_key=True).only("pk").get(pk=run.pk)
        waiting = delivered.Waiting.read(run)
        if waiting.is_repeated(session, number, digest):
            return Ingested(points=content.points, duplicate=True)
        kept = _summarise(run, session, content)
        Batch.objects.create(
            run=run,
            session=session,
            number=number,
            payload=batch if kept is content else batches.encode(list(kept.tables)),
            digest=digest,
            points=content.points,
        )
        compaction.fold_if_due(waiting, content.points)
    return Ingested(points=content.points, duplicate=False)


def compact(run: Run) -> int:
    """Fold what is not folded yet; return the number of batches. Safe to run twice or never."""
    with transaction.atomic():
        Run.objects.select_for_update(no_key=True).only("pk").get(pk=run.pk)
        return compaction.fold(run)


def names(run: Run) -> list[str]:
    return list(Series.objects.filter(run=run).values_list("name", flat=True))


def read(
    run: Run,
    name: str,
    points: int = 1000,
    from_step: int | None = None,
    to_step: int | None = None,
) -> Curve:
    """Return one curve with at most `points` points; empty if nothing of that name was logged."""
    by_run = read_many([run.pk], name, points, from_step=from_step, to_step=to_step)
    return by_run.get(run.pk, Curve.empty(name))


def read_many(
    run_ids: Sequence[UUID],
    name: str,
    points: int = 1000,
    *,
    from_step: int | None = None,
    to_step: int | None = None,
) -> dict[UUID, Curve]:
    """Return one metric of many runs, in a number of queries that does not grow with the runs."""
    return curves.read_many(run_ids, name, points, from_step=from_step, to_step=to_step)


def read_all(
    run_ids: Sequence[UUID],
    names: Sequence[str],
    points: int = 1000,
    *,
    from_step: int | None = None,
    to_step: int | None = None,
) -> dict[tuple[UUID, str], Curve]:
    """Return several metrics of many runs, by run and name, in a number of queries that grows with
    neither."""
    return curves.read_all(run_ids, names, points, from_step=from_step, to_step=to_step)


def read_new(
    run_ids: Sequence[UUID], names: Sequence[str], known: Mapping[tuple[UUID, str], tuple[int, int]]
) -> dict[tuple[UUID, str], Points | None]:
    """Return the points since a reader knew each curve with so many points and that last step; None
    for a curve that is to be read whole, nothing for one that has not changed."""
    return curves.read_new(run_ids, names, known)


def state(run_ids: Sequence[UUID], names: Sequence[str]) -> str:
    """Return a digest of these curves: it changes whenever one of them does."""
    return curves.state(run_ids, names)


def first_times(run_ids: Sequence[UUID]) -> dict[UUID, float]:
    """Return the Unix time of each run's first point: the origin of its relative time."""
    return curves.first_times(run_ids)


def points(run: Run, name: str) -> tuple[Int64, Float64, Float64]:
    """Return a series' points as logged, by step: steps, Unix times, values (NaN, infinities)."""
    series = curves.exact(run, name)
    return series.steps, series.times, series.values


def values_at(run: Run, name: str, steps: Sequence[int]) -> dict[int, float]:
    """Return a series' value at each step, which is that of the last point at or before it."""
    return curves.values_at(run, name, steps)


def newest_values(run: Run, name: str) -> tuple[Float64, Float64]:
    """Return the last points of a series as logged, at most some thousands: Unix times, values."""
    newest = curves.newest_points(run, name)
    return newest.times, newest.values


def replaced(run: Run, name: str, points: int = 1000) -> list[tuple[int, Curve]]:
    """Return what a metric's older attempts have logged beside its curve: attempt and curve."""
    return replaced_points.curves_of(run, name, points)


def _summarise(run: Run, session: str, content: batches.Batch) -> batches.Batch:
    """Update the run's Series with this batch; return what of it is in their curves."""
    names = {name for table in content.tables for name in table.names}
    rows = {row.name: row for row in Series.objects.filter(run=run, name__in=names)}
    attempt, _ = attempt_and_rank(session)
    kept, rewritten = replaced_points.make_way(run, attempt, content, rows)
    for row, left in rewritten:
        row.count = row.nonfinite = 0
        row.last = row.minimum = row.maximum = row.minimum_step = row.maximum_step = None
        if len(left):
            _count(row, left.steps, left.values)
    for name, steps, _, values in kept.series():
        _count(rows[name], steps, values)
    _write(rows.values())
    return kept


def _write(rows: Iterable[Series]) -> None:
    Series.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["run", "name"],
        update_fields=[
            "count", "last", "last_step", "minimum", "minimum_step", "maximum", "maximum_step",
            "nonfinite", "attempt", "starts",
        ],
        batch_size=500,
    )  # fmt: skip


def _count(row: Series, steps: Int64, values: Float64) -> None:
    """Add points to a summary. `last` is the value at the highest step, None if not finite."""
    finite = np.isfinite(values)
    all_finite = bool(finite.all())
    row.nonfinite += 0 if all_finite else int((~finite).sum())
    # Of several points at the highest step, the latest.
    newest = len(steps) - 1 - int(np.argmax(steps[::-1]))
    if row.count == 0 or steps[newest] >= row.last_step:
        row.last = float(values[newest]) if finite[newest] else None
        row.last_step = int(steps[newest])
    row.count += len(steps)
    if not all_finite:
        steps, values = steps[finite], values[finite]
    if len(values) == 0:
        return
    low, high = int(np.argmin(values)), int(np.argmax(values))
    if row.minimum is None or values[low] < row.minimum:
        row.minimum, row.minimum_step = float(values[low]), int(steps[low])
    if row.maximum is None or values[high] > row.maximum:
        row.maximum, row.maximum_step = float(values[high]), int(steps[high])
