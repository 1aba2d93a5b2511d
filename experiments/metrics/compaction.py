"""Compaction: unfolded batches become chunks per series, with their levels of detail.

Called inside a transaction that locks the run's row. Points that continue a series only touch
the last chunk of each level; points that fall before its end rewrite that series.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from django.db.models import Sum

from backline import batches
from experiments.metrics import delivered
from experiments.metrics.downsampling import CHUNK, FACTOR, SMALLEST, Buckets, Points
from experiments.models import Batch, Chunk, Run, Series

# A run is folded when this much is unfolded: reading stays quick, and a batch is folded once.
FOLD_BATCHES = 32
FOLD_POINTS = 100_000


@dataclass
class Plan:
    """Rows to write for all series together, so that the number of queries stays small."""

    chunks: list[Chunk] = field(default_factory=list)
    rewritten: list[int] = field(default_factory=list)


def unfolded(payloads: list[bytes], only: set[str] | None = None) -> dict[str, Points]:
    """Return the points of some payloads by metric, in the order in which they arrived."""
    parts: dict[str, list[Points]] = defaultdict(list)
    for payload in payloads:
        for name, steps, times, values in batches.decode(payload).series():
            if only is None or name in only:
                parts[name].append(Points(steps, times, values))
    return {name: Points.joined(points) for name, points in parts.items()}


def fold_if_due(waiting: delivered.Waiting, points: int = 0) -> None:
    """Fold what waited and one delivery more, with so many points, if that is enough by now."""
    if len(waiting.digests) + 1 >= FOLD_BATCHES or waiting.points + points >= FOLD_POINTS:
        fold(waiting.run)


def fold(run: Run) -> int:
    """Fold all batches of `run` that are not folded yet; return how many they were."""
    waiting = list(Batch.objects.filter(run=run).order_by("pk"))
    if not waiting:
        return 0
    # A pack of media has no points.
    fresh = unfolded([bytes(batch.payload) for batch in waiting if batch.points])
    plan = Plan()
    rows = list(Series.objects.filter(run=run, name__in=fresh))
    stored = _stored(rows)
    ends = _last_chunks(rows)
    for series in rows:
        _extend(plan, series, stored.get(series.pk, 0), ends[series.pk], fresh[series.name])
    _write(plan)
    delivered.remember(run, ((batch.session, batch.number, batch.digest) for batch in waiting))
    Batch.objects.filter(pk__in=[batch.pk for batch in waiting]).delete()
    return len(waiting)


def stored_points(series: Series) -> Points:
    """Return the folded points of a series, as logged."""
    chunks = Chunk.objects.filter(series=series, level=0).order_by("index")
    return Points.joined([Points.decode(bytes(chunk.data), chunk.count) for chunk in chunks])


def rewrite(series: Series, points: Points) -> None:
    """Replace the folded points of a series by these, with their levels of detail."""
    plan = Plan(rewritten=[series.pk])
    if len(points):
        _extend(plan, series, 0, {}, points)
    _write(plan)


def _write(plan: Plan) -> None:
    if plan.rewritten:
        Chunk.objects.filter(series__in=plan.rewritten).delete()
    Chunk.objects.bulk_create(
        plan.chunks,
        update_conflicts=True,
        unique_fields=["series", "level", "index"],
        update_fields=["first_step", "last_step", "count", "data"],
        batch_size=500,
    )


def _stored(rows: list[Series]) -> dict[int, int]:
    """Return the number of points folded so far, by series."""
    counts = Chunk.objects.filter(series__in=rows, level=0).values("series")
    return dict(counts.annotate(points=Sum("count")).values_list("series", "points"))


def _last_chunks(rows: list[Series]) -> dict[int, dict[int, Chunk]]:
    """Return the newest chunk of each level of each series."""
    newest: dict[int, dict[int, Chunk]] = {row.pk: {} for row in rows}
    chunks = Chunk.objects.filter(series__in=rows).order_by("series", "level", "-index")
    positions = chunks.values_list("series", "level", "index", "pk")
    tops: dict[tuple[int, int], int] = {}
    for series, level, _, pk in positions:
        tops.setdefault((series, level), pk)
    for chunk in Chunk.objects.filter(pk__in=tops.values()):
        newest[chunk.series_id][chunk.level] = chunk
    return newest


def _extend(plan: Plan, series: Series, stored: int, ends: dict[int, Chunk], fresh: Points) -> None:
    """Plan the rows that `fresh` adds to a series of `stored` points."""
    fresh = fresh.in_order()
    if stored and fresh.steps[0] < ends[0].last_step:
        # Some points fall between points that are folded already: merge, and rewrite the series.
        old = stored_points(series)
        fresh, stored, ends = Points.joined([old, fresh]).in_order(), 0, {}
        plan.rewritten.append(series.pk)

    # `start` is the position of the first new element on this level; the stored part of its
    # chunk comes before it.
    start, total = stored, stored + len(fresh)
    first = start // CHUNK
    if start % CHUNK:
        fresh = Points.joined([Points.decode(bytes(ends[0].data), ends[0].count), fresh])
    plan.chunks += [
        Chunk(
            series=series, level=0, index=first + at // CHUNK, count=len(part),
            first_step=part.steps[0], last_step=part.steps[-1], data=part.encode(),
        )
        for at in range(0, len(fresh), CHUNK)
        for part in [fresh.part(at, at + CHUNK)]
    ]  # fmt: skip

    below, offset, level = fresh.buckets(), first * CHUNK, 0
    while total > SMALLEST:
        level += 1
        above = start // FACTOR
        if level not in ends and above:
            # This level is new, so it starts at its first element: read the whole level below.
            below, offset, above = _whole_level(series, level - 1, below, offset), 0, 0
        changed = below.part(above * FACTOR - offset).folded(FACTOR)
        total, start, first = -(-total // FACTOR), above, above // CHUNK
        if start % CHUNK:
            end = ends[level]
            prefix = Buckets.decode(bytes(end.data), end.count).part(0, start - first * CHUNK)
            changed = Buckets.joined([prefix, changed])
        offset, below = first * CHUNK, changed
        plan.chunks += [
            Chunk(
                series=series, level=level, index=first + at // CHUNK, count=len(part),
                first_step=part.first[0], last_step=part.last[-1], data=part.encode(),
            )
            for at in range(0, len(changed), CHUNK)
            for part in [changed.part(at, at + CHUNK)]
        ]  # fmt: skip


def _whole_level(series: Series, level: int, end: Buckets, offset: int) -> Buckets:
    """Return all elements of a level: what is stored before `offset`, then `end`."""
    chunks = Chunk.objects.filter(series=series, level=level, index__lt=offset // CHUNK)
    parts = [
        Points.decode(bytes(chunk.data), chunk.count).buckets()
        if level == 0
        else Buckets.decode(bytes(chunk.data), chunk.count)
        for chunk in chunks.order_by("index")
    ]
    return Buckets.joined([*parts, end])
