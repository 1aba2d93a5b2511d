"""What charts draw: one line for each run, or group of runs, and each metric or formula.

The points of a line lie along an x that the chart chose: steps, seconds since the run's first
point, Unix time, or another metric of the run (epoch, tokens), which is joined by step: between two
of its points it is a straight line.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import numpy as np

from backline.columns import Float64, Int64
from experiments.charts import bands, formulas
from experiments.charts.bands import Member, Spread
from experiments.charts.formulas import Formula
from experiments.metrics import metrics
from experiments.metrics.curves import Curve
from experiments.models import Run

STEP, RELATIVE, WALL = "step", "relative", "wall"
# Points of the first look, where a range of another x has to be found among the steps.
LOOK = 256
# Metrics of all names and formulas of one request together.
MOST_METRICS = 60


@dataclass(frozen=True)
class Wanted:
    """What a chart asks for. `x` is step, relative, wall or the name of a metric; `names` are
    metrics, or formulas behind an equals sign. `groups` are runs by the name of their group."""

    runs: Sequence[Run]
    names: Sequence[str]
    points: int
    x: str = STEP
    x_from: float | None = None
    x_to: float | None = None
    groups: Mapping[str, Sequence[Run]] | None = None
    spread: Spread = Spread.EXTREMES

    @property
    def is_part(self) -> bool:
        return self.x_from is not None or self.x_to is not None


@dataclass(frozen=True)
class Line:
    """A line to draw. `who` and `name` count in what was asked for; `total` and `last_step` are the
    state of its series, `marks` where values are not finite and how many there."""

    who: int
    name: int
    x: Float64
    steps: Int64
    mean: Float64
    low: Float64
    high: Float64
    count: Int64
    marks: tuple[Float64, Int64]
    total: int = 0
    last_step: int = 0


@dataclass(frozen=True)
class Axis:
    """Where points stand along x: `curves` has the metric that is x, `origins` each run's start."""

    x: str
    curves: Mapping[tuple[UUID, str], Curve]
    origins: Mapping[UUID, float]

    def along(self, run: UUID, steps: Int64, times: Float64) -> Float64:
        """Return the x of a run's points; NaN where x has no value."""
        if self.x == STEP:
            return steps.astype(np.float64)
        if self.x == WALL:
            return times
        if self.x == RELATIVE:
            return times - self.origins.get(run, times[0] if len(times) else 0.0)
        curve = self.curves.get((run, self.x))
        if curve is None or not len(curve):
            return np.full(len(steps), np.nan)
        own = _without_repeats(curve)
        return np.interp(steps, own.steps, own.mean, np.nan, np.nan)


@dataclass(frozen=True)
class Drawn:
    lines: list[Line] = field(default_factory=list)
    errors: dict[str, formulas.BadFormula] = field(default_factory=dict)


def read(wanted: Wanted) -> Drawn:
    """Return the lines of all runs and names, in a constant number of queries."""
    parsed, errors = _parsed(wanted.names)
    needed = dict.fromkeys(name for formula in parsed.values() for name in formula.names)
    if wanted.x not in {STEP, RELATIVE, WALL}:
        needed[wanted.x] = None
    ids = [run.pk for run in wanted.runs]
    origins = metrics.first_times(ids) if wanted.x == RELATIVE else {}
    span = _steps_of(wanted, ids, list(needed), origins)
    if span is None:
        return Drawn(errors=errors)
    curves = metrics.read_all(ids, list(needed), wanted.points, from_step=span[0], to_step=span[1])
    axis = Axis(wanted.x, curves, origins)
    lines = [
        line
        for who, run in enumerate(wanted.runs)
        for place, name in enumerate(wanted.names)
        if name in parsed and (line := _line(who, place, parsed[name], run, axis)) is not None
    ]
    return Drawn(_grouped(wanted, lines) if wanted.groups is not None else lines, errors)


def names_in(names: Sequence[str]) -> set[str]:
    """Return the metrics that names and formulas are made of; none of a formula with an error."""
    return {name for formula in _parsed(names)[0].values() for name in formula.names}


def _parsed(
    names: Sequence[str],
) -> tuple[dict[str, Formula], dict[str, formulas.BadFormula]]:
    """Return each name as a formula; a metric is one that is only its name."""
    parsed: dict[str, Formula] = {}
    errors: dict[str, formulas.BadFormula] = {}
    needed: set[str] = set()
    for name in names:
        try:
            parsed[name] = _formula(name, needed)
        except formulas.BadFormula as error:
            errors[name] = error
        else:
            needed.update(parsed[name].names)
    return parsed, errors


def _formula(name: str, others: set[str]) -> Formula:
    """Return the formula of a name, unless it asks for too much beside the others."""
    if name.startswith("="):
        formula = formulas.parse(name[1:])
    else:
        formula = Formula(name, formulas.Name(name, 0), (name,))
    if len(others.union(formula.names)) > MOST_METRICS:
        raise formulas.BadFormula(f"One request reads at most {MOST_METRICS} metrics", 0)
    return formula


def _steps_of(
    wanted: Wanted, ids: list[UUID], names: list[str], origins: Mapping[UUID, float]
) -> tuple[int | None, int | None] | None:
    """Return the steps between which the wanted part of x lies; None if it lies nowhere."""
    if not wanted.is_part:
        return None, None
    low = -np.inf if wanted.x_from is None else wanted.x_from
    high = np.inf if wanted.x_to is None else wanted.x_to
    if wanted.x == STEP:
        return _whole(np.floor(low)), _whole(np.ceil(high))
    curves = metrics.read_all(ids, names, LOOK)
    axis = Axis(wanted.x, curves, origins)
    firsts, lasts = [], []
    for (run, name), curve in curves.items():
        x = axis.along(run, curve.steps, curve.times)
        inside = np.flatnonzero((x >= low) & (x <= high))
        beyond = np.flatnonzero(x > high)
        if name == wanted.x or not (len(inside) or (len(beyond) and beyond[0] > 0)):
            continue
        start = inside[0] if len(inside) else beyond[0]
        end = inside[-1] if len(inside) else beyond[0]
        # A bucket says its last step: the one before it, and the next, hold the edges.
        firsts.append(int(curve.steps[max(start - 1, 0)]))
        lasts.append(int(curve.steps[min(end + 1, len(curve) - 1)]))
    return (min(firsts), max(lasts)) if firsts else None


def _whole(step: float) -> int | None:
    return int(np.clip(step, -(2**62), 2**62)) if np.isfinite(step) else None


def _line(who: int, place: int, formula: Formula, run: Run, axis: Axis) -> Line | None:
    """Return a run's line; None if it lacks one of the metrics, or has no point there."""
    found = [axis.curves.get((run.pk, name)) for name in formula.names]
    parts = [curve for curve in found if curve is not None and len(curve)]
    if len(parts) < len(found):
        return None
    if isinstance(formula.root, formulas.Name):
        curve = parts[0]
        values = (curve.mean, curve.minimum, curve.maximum)
        steps, times, count, nonfinite = curve.steps, curve.times, curve.count, curve.nonfinite
    else:
        steps, times, count, nonfinite, values = _computed(formula, parts)
    along = axis.along(run.pk, steps, times)
    # What a metric as x does not reach has no place; what went back in x is put in order.
    order = np.flatnonzero(np.isfinite(along))
    if len(order) < len(along) or bool((np.diff(along[order]) < 0).any()):
        order = order[np.argsort(along[order], kind="stable")]
        along, steps, count, nonfinite = along[order], steps[order], count[order], nonfinite[order]
        values = (values[0][order], values[1][order], values[2][order])
    if not len(along):
        return None
    marked = np.flatnonzero(nonfinite)
    return Line(
        who, place, along, steps, *values, count, (along[marked], nonfinite[marked]),
        total=sum(int(curve.count.sum() + curve.nonfinite.sum()) for curve in parts),
        last_step=int(max(curve.steps[-1] for curve in parts)),
    )  # fmt: skip


def _computed(
    formula: Formula, parts: Sequence[Curve]
) -> tuple[Int64, Float64, Int64, Int64, tuple[Float64, Float64, Float64]]:
    """Return a formula's points: at the steps of the metric that was logged least often, where all
    have values. Of several metrics it is computed from means and has no extremes of its own."""
    curves = [_without_repeats(curve) for curve in parts]
    coarse = min(curves, key=lambda curve: (int(curve.count.sum()), len(curve)))
    first = max(curve.steps[0] for curve in curves)
    last = min(curve.steps[-1] for curve in curves)
    inside = (coarse.steps >= first) & (coarse.steps <= last)
    steps, times = coarse.steps[inside], coarse.times[inside]
    at = steps.astype(np.float64)

    def values(which: str) -> Float64:
        columns = {
            name: np.interp(at, curve.steps, getattr(curve, which))
            for name, curve in zip(formula.names, curves, strict=True)
        }
        return formula.evaluate(columns, at)

    mean = values("mean")
    finite = np.isfinite(mean)
    low = high = mean = np.where(finite, mean, np.nan)
    if formula.is_of_one:
        ends = np.stack([values("minimum"), values("maximum"), mean])
        ends = np.where(np.isfinite(ends), ends, np.nan)
        low, high = np.fmin.reduce(ends), np.fmax.reduce(ends)
    count = np.where(finite, coarse.count[inside], 0)
    return steps, times, count, (~finite).astype(np.int64), (mean, low, high)


def _without_repeats(curve: Curve) -> Curve:
    """Return the curve with one bucket at each step, the last: joining by step needs that."""
    keep = np.append(curve.steps[1:] > curve.steps[:-1], True)
    if keep.all():
        return curve
    return replace(curve, buckets=curve.buckets.where(keep))


def _grouped(wanted: Wanted, lines: Sequence[Line]) -> list[Line]:
    """Return one line for each group and name, in place of those of its runs."""
    number = {run.pk: place for place, run in enumerate(wanted.runs)}
    by_who: dict[tuple[int, int], Line] = {(line.who, line.name): line for line in lines}
    combined = []
    for place, runs in enumerate((wanted.groups or {}).values()):
        members: dict[int, list[Line]] = defaultdict(list)
        for run in runs:
            for name in range(len(wanted.names)):
                if (line := by_who.get((number[run.pk], name))) is not None:
                    members[name].append(line)
        combined += [_band(wanted, place, name, found) for name, found in members.items()]
    return combined


def _band(wanted: Wanted, place: int, name: int, members: Sequence[Line]) -> Line:
    band = bands.combine([_member(line) for line in members], wanted.spread, wanted.points)
    marks = np.concatenate([line.marks[0] for line in members])
    counts = np.concatenate([line.marks[1] for line in members])
    order = np.argsort(marks, kind="stable")[: wanted.points]
    low = np.where(np.isnan(band.low), band.mean, band.low)
    high = np.where(np.isnan(band.high), band.mean, band.high)
    return Line(
        place, name, band.x, np.zeros(0, np.int64), band.mean, low, high, band.runs,
        (marks[order], counts[order]), total=sum(line.total for line in members),
        last_step=max(line.last_step for line in members),
    )  # fmt: skip


def _member(line: Line) -> Member:
    keep = np.append(line.x[1:] > line.x[:-1], True)
    return Member(line.x[keep], line.mean[keep], line.low[keep], line.high[keep])
