"""Reading series for drawing: the coarsest level that has enough detail, and the unfolded rest."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict
from uuid import UUID

import numpy as np
from django.db.models import Min, Q, Sum

from backline import batches
from backline.columns import Float64, Int64
from experiments.metrics import compaction
from experiments.metrics.downsampling import Buckets, Points
from experiments.models import Batch, Chunk, Run, Series

NOTHING = Points.empty().buckets()


class CurveBody(TypedDict):
    """A curve as JSON. Values that are not finite are null; `nonfinite` counts them per bucket."""

    name: str
    steps: list[int]
    times: list[float]
    mean: list[float | None]
    minimum: list[float | None]
    maximum: list[float | None]
    count: list[int]
    nonfinite: list[int]


@dataclass(frozen=True)
class Curve:
    """A series ready for drawing: one entry per bucket, in order of step.

    `steps` is the last step in the bucket and `times` its last Unix time. Mean, minimum and
    maximum are over its `count` finite values (NaN where there is none); `nonfinite` counts NaN
    and infinite ones. `level` is the level of detail that was read.
    """

    name: str
    level: int
    buckets: Buckets

    @classmethod
    def empty(cls, name: str) -> "Curve":
        return cls(name=name, level=0, buckets=NOTHING)

    def __len__(self) -> int:
        return len(self.buckets)

    @property
    def steps(self) -> Int64:
        return self.buckets.last

    @property
    def times(self) -> Float64:
        return self.buckets.times

    @property
    def mean(self) -> Float64:
        return self.buckets.mean

    @property
    def minimum(self) -> Float64:
        return self.buckets.minimum

    @property
    def maximum(self) -> Float64:
        return self.buckets.maximum

    @property
    def count(self) -> Int64:
        return self.buckets.count

    @property
    def nonfinite(self) -> Int64:
        return self.buckets.nonfinite

    def as_json(self) -> CurveBody:
        return {
            "name": self.name,
            "steps": self.steps.tolist(),
            "times": self.times.tolist(),
            "mean": _nulls(self.mean),
            "minimum": _nulls(self.minimum),
            "maximum": _nulls(self.maximum),
            "count": self.count.tolist(),
            "nonfinite": self.nonfinite.tolist(),
        }


@dataclass(frozen=True)
class Span:
    """Steps from `first` to `last`, both included; None is no bound."""

    first: int | None
    last: int | None

    def __bool__(self) -> bool:
        return self.first is not None or self.last is not None

    def query(self) -> Q:
        """Return the condition for chunks that touch the span."""
        condition = Q()
        if self.first is not None:
            condition &= Q(last_step__gte=self.first)
        if self.last is not None:
            condition &= Q(first_step__lte=self.last)
        return condition

    def share(self, first: int, last: int) -> float:
        """Return the part of a chunk that lies in the span, if its steps are spread evenly."""
        start = first if self.first is None else max(first, self.first)
        end = last if self.last is None else min(last, self.last)
        return (end - start + 1) / (last - first + 1)


Key = tuple[UUID, str]


def read_many(
    run_ids: Sequence[UUID],
    name: str,
    points: int,
    *,
    from_step: int | None,
    to_step: int | None,
) -> dict[UUID, Curve]:
    """Return curves by run; runs without the metric are left out."""
    found = read_all(run_ids, [name], points, from_step=from_step, to_step=to_step)
    return {run: curve for (run, _), curve in found.items()}


def read_all(
    run_ids: Sequence[UUID],
    names: Sequence[str],
    points: int,
    *,
    from_step: int | None,
    to_step: int | None,
) -> dict[Key, Curve]:
    """Return the curves of several metrics by run and name; what was not logged is left out.

    The number of queries grows with neither runs nor names.
    """
    series = list(Series.objects.filter(run__in=run_ids, name__in=names))
    span = Span(from_step, to_step)
    curves = _read(series, points, span)
    # A run may be folded between the reading of its chunks and that of its batches. Its curve
    # would then be silently too short: read it again.
    short = [row for row in series if not span and _total(curves[_key(row)]) < row.count]
    return curves | _read(short, points, span) if short else curves


def _key(row: Series) -> Key:
    return row.run_id, row.name


def _read(series: list[Series], points: int, span: Span) -> dict[Key, Curve]:
    levels = _levels(series, span, points)
    stored = _stored(levels, span)
    tails = _tails({row.run_id for row in series}, {row.name for row in series})
    curves = {}
    for row in series:
        buckets = stored.get(row.pk, NOTHING)
        if (tail := tails.get(_key(row))) is not None:
            buckets = _merged(buckets, tail.buckets())
        if span:
            buckets = buckets.between(span.first, span.last)
        level = levels.get(row.pk, 0)
        curves[_key(row)] = Curve(name=row.name, level=level, buckets=buckets.thinned(points))
    return curves


def _total(curve: Curve) -> int:
    return int(curve.count.sum() + curve.nonfinite.sum())


def exact(run: Run, name: str) -> Points:
    """Return every point of a series as logged, in order of step."""
    chunks = Chunk.objects.filter(series__run=run, series__name=name, level=0).order_by("index")
    parts = [Points.decode(bytes(data), n) for data, n in chunks.values_list("data", "count")]
    tail = _tails([run.pk], {name}).get((run.pk, name))
    return Points.joined([*parts, tail] if tail else parts).in_order()


def values_at(run: Run, name: str, steps: Sequence[int]) -> dict[int, float]:
    """Return the value of the last point at or before each step; a step before all is left out."""
    points = exact(run, name)
    places = np.searchsorted(points.steps, np.asarray(steps, np.int64), side="right") - 1
    return {
        step: float(points.values[place])
        for step, place in zip(steps, places.tolist(), strict=True)
        if place >= 0
    }


def newest_points(run: Run, name: str) -> Points:
    """Return the last points as logged, in order of step: at least a full chunk if there is one."""
    chunks = Chunk.objects.filter(series__run=run, series__name=name, level=0).order_by("-index")
    parts = [Points.decode(bytes(data), n) for data, n in chunks.values_list("data", "count")[:2]]
    tail = _tails([run.pk], {name}).get((run.pk, name))
    return Points.joined([*reversed(parts), tail] if tail else [*reversed(parts)]).in_order()


def read_new(
    run_ids: Sequence[UUID], names: Sequence[str], known: Mapping[Key, tuple[int, int]]
) -> dict[Key, Points | None]:
    """Return what was logged since a reader knew series with a number of points and a last step:
    the new points, or None where they do not simply follow and the curve is to be read whole.

    Series that have not changed are left out; those that the reader did not know are None.
    """
    rows = Series.objects.filter(run__in=run_ids, name__in=names)
    counts = {_key(row): row.count for row in rows}
    changed = {key for key, count in counts.items() if key not in known or count != known[key][0]}
    tails = _tails({run for run, _ in changed}, {name for _, name in changed}) if changed else {}
    new: dict[Key, Points | None] = {}
    for key in changed:
        count, last = known.get(key, (0, -1))
        tail = tails.get(key, Points.empty())
        points = tail.where(tail.steps > last)
        # Folded meanwhile, logged out of order, or replaced by a newer attempt.
        follow = key in known and len(points) == counts[key] - count
        new[key] = points if follow else None
    return new


def state(run_ids: Sequence[UUID], names: Sequence[str]) -> str:
    """Return a digest that changes whenever one of these curves does."""
    rows = Series.objects.filter(run__in=run_ids, name__in=names).order_by("pk")
    facts = rows.values_list("pk", "count", "last_step", "attempt", "last", "starts")
    return hashlib.sha256(repr(list(facts)).encode()).hexdigest()[:32]


def first_times(run_ids: Sequence[UUID]) -> dict[UUID, float]:
    """Return when each run logged its first point: of the first of its metrics that is folded, or
    else of all that waits to be. Runs without points are left out."""
    chunks = Chunk.objects.filter(series__run__in=run_ids, level=0, index=0)
    firsts = chunks.values("series__run").annotate(first=Min("pk")).values("first")
    rows = Chunk.objects.filter(pk__in=firsts).values_list("series__run", "data", "count")
    found = {run: float(Points.decode(bytes(data), n).times.min()) for run, data, n in rows}
    waiting = Batch.objects.filter(run__in=set(run_ids) - set(found), points__gt=0)
    for run, payload in waiting.values_list("run_id", "payload"):
        times = [table.times.min() for table in batches.decode(bytes(payload)).tables]
        found[run] = min([*map(float, times), found.get(run, math.inf)])
    return found


def _levels(series: list[Series], span: Span, points: int) -> dict[int, int]:
    """Choose each series' level to draw: the coarsest with about `points` elements, else 0.

    Three quarters of them are enough: the next level has eight times as many to inflate.
    """
    chunks = Chunk.objects.filter(span.query(), series__in=series).values("series", "level")
    elements: dict[tuple[int, int], float] = defaultdict(float)
    if span:
        # Few chunks touch a span; those at its edges count for the part that lies in it.
        for pk, level, first, last, count in chunks.values_list(
            "series", "level", "first_step", "last_step", "count"
        ):
            elements[pk, level] += count * span.share(first, last)
    else:
        counts = chunks.annotate(elements=Sum("count"))
        for pk, level, count in counts.values_list("series", "level", "elements"):
            elements[pk, level] = count
    chosen: dict[int, int] = {}
    for (pk, level), number in elements.items():
        chosen[pk] = max(level if number * 4 >= points * 3 else 0, chosen.get(pk, 0))
    return chosen


def _stored(levels: dict[int, int], span: Span) -> dict[int, Buckets]:
    """Return the folded part of each series, from its chosen level."""
    by_level: dict[int, list[int]] = defaultdict(list)
    for pk, level in levels.items():
        by_level[level].append(pk)
    stored: dict[int, Buckets] = {}
    for level, members in by_level.items():
        chunks = Chunk.objects.filter(span.query(), series__in=members, level=level)
        rows = list(chunks.order_by("series", "index").values_list("series", "data", "count"))
        parts: dict[int, list[Buckets]] = defaultdict(list)
        for (pk, _, _), buckets in zip(rows, _decoded(level, rows, span), strict=True):
            parts[pk].append(buckets)
        stored |= {pk: Buckets.joined(pieces) for pk, pieces in parts.items()}
    return stored


def _decoded(level: int, rows: list[tuple[int, Any, int]], span: Span) -> list[Buckets]:
    data = [(bytes(data), count) for _, data, count in rows]
    if level:
        return Buckets.decode_many(data)
    points = Points.decode_many(data)
    if span:
        points = [some.between(span.first, span.last) for some in points]
    return [some.buckets() for some in points]


def _tails(run_ids: Collection[UUID], names: set[str]) -> dict[Key, Points]:
    """Return the points in batches that are not folded yet, in order of step."""
    waiting: dict[UUID, list[bytes]] = defaultdict(list)
    rows = Batch.objects.filter(run__in=run_ids, points__gt=0).order_by("pk")
    for run_id, payload in rows.values_list("run_id", "payload"):
        waiting[run_id].append(bytes(payload))
    return {
        (run_id, name): tail.in_order()
        for run_id, payloads in waiting.items()
        for name, tail in compaction.unfolded(payloads, only=names).items()
    }


def _merged(stored: Buckets, tail: Buckets) -> Buckets:
    """Join both in order of step; a tail that starts before the stored part ends is sorted in."""
    if len(stored) == 0 or tail.first[0] >= stored.last[-1]:
        return Buckets.joined([stored, tail])
    return Buckets.joined([stored, tail]).in_order()


def _nulls(values: Float64) -> list[float | None]:
    # JSON has no value for NaN, nor for the infinity that a mean of the largest floats is.
    return [value if math.isfinite(value) else None for value in values.tolist()]
