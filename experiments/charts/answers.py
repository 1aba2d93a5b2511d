"""The answer of one request for many curves, as bytes (experiments/charts/packing.py)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np

from experiments.charts import lines
from experiments.charts.lines import Line, Wanted
from experiments.charts.packing import Packer
from experiments.metrics import metrics
from experiments.metrics.downsampling import Points

# Points of all lines together: more are megabytes that no screen shows.
MOST_POINTS = 600_000
FEWEST, MOST = 20, 4_000

# What a page knows of each run's metrics, in the order of the names: points and last step.
Known = Mapping[int, Sequence[tuple[int, int] | None]]


def affordable(points: int, runs: int, names: int) -> int:
    """Return how many points each line can have, so that all together are not too many."""
    return max(FEWEST, min(points, MOST, MOST_POINTS // max(1, runs * names)))


def whole(wanted: Wanted) -> bytes:
    """Return every line, as wanted."""
    drawn = lines.read(wanted)
    header = _header(wanted, added=False)
    header["errors"] = {
        name: {"sentence": str(error), "position": error.position}
        for name, error in drawn.errors.items()
    }
    return _packed(header, drawn.lines)


def since(wanted: Wanted, known: Known) -> bytes:
    """Return what a page does not know yet: new points of lines that it has, other lines whole.

    Groups, formulas and another metric as x are computed of whole curves: of those all lines are
    returned if anything has changed.
    """
    if not follows(wanted):
        return whole(wanted)
    keys = {
        (run.pk, name): state
        for run in wanted.runs
        for name, state in zip(wanted.names, known.get(run.number, ()), strict=False)
        if state is not None
    }
    place = {run.pk: who for who, run in enumerate(wanted.runs)}
    new = metrics.read_new(list(place), wanted.names, keys)
    again = [
        run
        for run in wanted.runs
        if any((run.pk, n) in new and new[run.pk, n] is None for n in wanted.names)
    ]
    read = [
        replace(line, who=place[again[line.who].pk])
        for line in lines.read(replace(wanted, runs=again)).lines
        if new.get((again[line.who].pk, wanted.names[line.name]), ()) is None
    ]
    origins: Mapping[UUID, float] = {}
    if wanted.x == lines.RELATIVE:
        origins = metrics.first_times([run for run, _ in new])
    added = [
        _added(wanted, key, points, keys[key][0], origins)
        for key, points in new.items()
        if points is not None
    ]
    return _packed(_header(wanted, added=True), read, added)


def metrics_of(wanted: Wanted) -> list[str]:
    """Return the metrics that an answer is made of, those in formulas too."""
    return sorted({wanted.x, *lines.names_in(wanted.names)} - {lines.STEP, lines.WALL})


def fingerprint(wanted: Wanted) -> str:
    """Return a digest of what is asked for, as far as it may change while its address does not."""
    facts = [(run.number, run.is_open) for run in wanted.runs]
    groups = None
    if wanted.groups is not None:
        groups = [(label, [run.number for run in runs]) for label, runs in wanted.groups.items()]
    asked = (facts, groups, wanted.points)
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]


def follows(wanted: Wanted) -> bool:
    """Return whether new points can be added to the lines as they are."""
    plain = not any(name.startswith("=") for name in wanted.names)
    return plain and wanted.groups is None and wanted.x in {lines.STEP, lines.RELATIVE, lines.WALL}


def _added(
    wanted: Wanted,
    key: tuple[UUID, str],
    points: Points,
    before: int,
    origins: Mapping[UUID, float],
) -> Line:
    """Return new points as a line; `before` is how many points its series had."""
    who = next(who for who, run in enumerate(wanted.runs) if run.pk == key[0])
    buckets = points.buckets().thinned(wanted.points)
    x = buckets.last.astype(np.float64)
    if wanted.x != lines.STEP:
        x = buckets.times - origins.get(key[0], 0.0)
    marked = np.flatnonzero(buckets.nonfinite)
    return Line(
        who, wanted.names.index(key[1]), x, buckets.last, buckets.mean, buckets.minimum,
        buckets.maximum, buckets.count, (x[marked], buckets.nonfinite[marked]),
        total=before + len(points), last_step=int(buckets.last[-1]),
    )  # fmt: skip


def _header(wanted: Wanted, *, added: bool) -> dict[str, Any]:
    groups = None
    if wanted.groups is not None:
        groups = [
            {"label": label, "runs": [run.number for run in runs]}
            for label, runs in wanted.groups.items()
        ]
    return {
        "x": wanted.x,
        "points": wanted.points,
        "runs": [[run.number, run.is_open] for run in wanted.runs],
        "groups": groups,
        "names": list(wanted.names),
        "added": added,
    }


def _packed(header: dict[str, Any], drawn: Sequence[Line], added: Sequence[Line] = ()) -> bytes:
    """Pack lines as lists: who, name, total, last step, columns, marks, and 1 for what is added."""
    packer = Packer()
    rows: list[list[Any]] = []
    for follows_on, some in ((0, drawn), (1, added)):
        for line in some:
            x = packer.add(line.x, "f8")
            steps = packer.add(line.steps, "f8") if len(line.steps) else None
            columns = [
                x,
                None if steps == x else steps,
                *packer.add_curve(line.mean, line.low, line.high),
                packer.add(line.count, "u4"),
            ]
            marks = None
            if len(line.marks[0]):
                marks = [packer.add(line.marks[0], "f8"), packer.add(line.marks[1], "u4")]
            rows.append(
                [line.who, line.name, line.total, line.last_step, columns, marks, follows_on]
            )
    return packer.packed({**header, "lines": rows})
