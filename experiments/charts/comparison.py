"""Runs beside each other: the value of each metric, the best marked, differences to a baseline."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from experiments.charts import explaining
from experiments.models import Run, Series
from experiments.run_table import compare, directions
from experiments.runs import environments

# Columns of a table that can be read, and rows of it.
MOST_COLUMNS = 24
MOST_METRICS = 300
# What of a metric is compared, by the word in the address, and the column of its summary.
# What groups of runs can be told apart by, beside metrics.
FAILED = "failed"
SUMMARIES = {"last": "last", "min": "minimum", "max": "maximum"}

# Words in the names of metrics of which more is better. What has none of them, and none of which
# less is better, is not marked: nobody has said what a good learning rate is.
MORE = frozenset(
    """accuracy acc auc f1 precision recall score psnr ssim snr sdr bleu rouge reward iou map
    similarity win""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Value:
    """A run's value of a metric: None if it has not logged it, NaN if it is not finite.

    `more` is the difference to the baseline, `share` the same as a part of the baseline's value.
    """

    value: float | None
    is_best: bool = False
    more: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class MetricRow:
    """A metric's values in the order of the runs. `direction` says which is called best: "lower" or
    "higher"; empty where all are the same or fewer than two have one."""

    name: str
    direction: str
    values: list[Value]


@dataclass(frozen=True)
class MetricTable:
    runs: list[Run]
    rows: list[MetricRow]
    summary: str
    baseline: int | None = None
    note: str = ""


def metric_table(
    *, runs: Sequence[Run], names: Sequence[str], summary: str, baseline: int | None
) -> MetricTable:
    """Return the metrics of some runs as a table; what does not fit into it is said in `note`."""
    base = next((run for run in runs if run.number == baseline), None)
    columns = [run for run in runs if run != base][: MOST_COLUMNS - (base is not None)]
    shown = sorted([*columns, *([base] if base else [])], key=lambda run: run.number)
    named = list(names)[:MOST_METRICS]
    found = _values(shown, named, SUMMARIES[summary])
    place = shown.index(base) if base else None
    rows = [_row(name, [found[name].get(run.pk) for run in shown], place) for name in named]
    parts = [(len(shown), len(runs), "runs"), (len(named), len(names), "metrics")]
    notes = [f"{some} of the {every} {what}" for some, every, what in parts if some < every]
    note = f"The table has {' and '.join(notes)}." if notes else ""
    return MetricTable(shown, rows, summary, base.number if base else None, note)


def _values(runs: Sequence[Run], names: Sequence[str], column: str) -> dict[str, dict[UUID, float]]:
    rows = Series.objects.filter(run__in=[run.pk for run in runs], name__in=names)
    found: dict[str, dict[UUID, float]] = defaultdict(dict)
    for run, name, value in rows.values_list("run_id", "name", column):
        found[name][run] = math.nan if value is None else value
    return found


def direction_of(name: str) -> str:
    """Return which values of a metric are better, "lower" or "higher", as far as its name says."""
    words = {part.lower() for part in directions.PART.findall(name)}
    if words & directions.LESS:
        return "lower"
    return "higher" if words & MORE else ""


def _row(name: str, values: Sequence[float | None], base: int | None) -> MetricRow:
    """Mark the best of the values that are there, only where it is better than another one."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    direction = direction_of(name) if finite and min(finite) < max(finite) else ""
    best = {"lower": min, "higher": max}[direction](finite) if direction else None
    start = values[base] if base is not None else None
    shown = [
        _value(value, best, None if place == base else start) for place, value in enumerate(values)
    ]
    return MetricRow(name, direction, shown)


def _value(value: float | None, best: float | None, base: float | None) -> Value:
    more = share = None
    if value is not None and base is not None and math.isfinite(value - base):
        more = value - base
        # Ten times as much says nothing more as a percentage.
        share = more / abs(base) if abs(more) <= 10 * abs(base) and base else None
    return Value(value, best is not None and value == best, more, share)


@dataclass(frozen=True)
class Differences:
    """In what the runs differ: what they were told to do, and where and with what they did it."""

    settings: list[compare.Difference]
    environment: list[compare.Difference]


def differences(runs: Sequence[Run], shown: Sequence[Run]) -> Differences:
    """Return what is not the same in all of these runs, with the values of those that are shown."""
    found = compare.differences(runs, environments.flat_facts(runs))
    places = [runs.index(run) for run in shown]
    settings: list[compare.Difference] = []
    environment: list[compare.Difference] = []
    for one in found:
        values = compare.Difference(one.key, [one.values[place] for place in places])
        (environment if compare.is_of_environment(one.key) else settings).append(values)
    return Differences(settings, environment)


@dataclass(frozen=True)
class Explanation:
    """Two groups of the runs and the settings in which they are unlike; `note` says whom it leaves
    out, and what it cannot say."""

    first: str
    second: str
    contrasts: list[explaining.Contrast]
    note: str


def explain(runs: Sequence[Run], split: str) -> Explanation | None:
    """Return what sets two groups apart: failed runs from finished ones, or the better half by a
    metric from the rest. None if the runs are not in two such groups."""
    if split == FAILED:
        states = {Run.State.FAILED: True, Run.State.FINISHED: False}
        chosen = {run: states[run.state] for run in runs if run.state in states}  # type: ignore[index]
        words = ("Failed", "Finished")
    else:
        found = _values(runs, [split], "last")[split]
        values = {run: found[run.pk] for run in runs if math.isfinite(found.get(run.pk, math.nan))}
        better = direction_of(split)
        ordered = sorted(values, key=lambda run: values[run], reverse=better != "lower")
        chosen = {run: place < len(ordered) // 2 for place, run in enumerate(ordered)}
        words = ("Better half", "Other half") if better else ("Higher half", "Lower half")
    groups = [run for run, is_first in chosen.items() if is_first]
    others = [run for run, is_first in chosen.items() if not is_first]
    if not groups or not others:
        return None
    rows = [compare.described(run) for run in chosen]
    notes = []
    if len(chosen) < len(runs):
        notes.append(f"{len(runs) - len(chosen)} of the runs are in neither group.")
    if min(len(groups), len(others)) < explaining.FEWEST:
        notes.append("So few runs say nothing: any setting may differ between them by chance.")
    return Explanation(
        f"{words[0]} ({len(groups)})",
        f"{words[1]} ({len(others)})",
        explaining.contrasts(rows, list(chosen.values())),
        " ".join(notes),
    )
