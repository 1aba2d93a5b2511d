"""What a sweep makes small or large: a metric's last value, its minimum or its maximum.

Rooms above register other kinds, such as what listeners said of a run's clips.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol
from uuid import UUID

from backline import wire
from experiments import recipes
from experiments.models import Series
from experiments.sweeps.space import WHOLE

MAX_OBJECTIVES = 3
GOALS = ("minimize", "maximize")
READINGS = {"last": "last", "min": "minimum", "max": "maximum"}


class Source(Protocol):
    """A kind of objective beside metrics."""

    title: str

    def values(self, run_ids: Collection[UUID]) -> Mapping[UUID, float]:
        """Return the value of each run that has one by now."""


_sources: dict[str, Source] = {}


def register(kind: str, source: Source) -> None:
    """Let sweeps name `kind:` as what they are about; `kind` is a word, without a colon."""
    _sources[f"{kind}:"] = source


def registered() -> dict[str, Source]:
    return dict(_sources)


@dataclass(frozen=True)
class Objective:
    metric: str
    goal: str = "minimize"
    reading: str = "last"

    @property
    def sign(self) -> float:
        """1 where small is good, -1 where large is."""
        return 1.0 if self.goal == "minimize" else -1.0

    @property
    def title(self) -> str:
        """In words: "loss, last value", "accuracy, maximum"."""
        if self.metric in _sources:
            return _sources[self.metric].title
        words = {"last": "last value", "min": "minimum", "max": "maximum"}
        return f"{self.metric}, {words[self.reading]}"


@dataclass(frozen=True)
class Reading:
    """What a run has of an objective: a value, a reason why it will have none, or neither yet."""

    value: float | None = None
    problem: str = ""


def load(stored: Iterable[Mapping[str, Any]]) -> list[Objective]:
    return [Objective(**one) for one in stored]


def as_json(objectives: Iterable[Objective]) -> list[dict[str, Any]]:
    return [asdict(objective) for objective in objectives]


def read(wanted: object) -> list[Objective]:
    """Return what somebody asks for: a metric's name, a mapping, or a list of these.

    Raises recipes.ConfigInvalid.
    """
    listed = wanted if isinstance(wanted, list) else [wanted]
    if not 0 < len(listed) <= MAX_OBJECTIVES:
        raise _invalid(f"A sweep has 1 to {MAX_OBJECTIVES} objectives; this has {len(listed)}.")
    objectives = [_one({"metric": one} if isinstance(one, str) else one) for one in listed]
    if len({(one.metric, one.reading) for one in objectives}) < len(objectives):
        raise _invalid("The same objective stands twice.")
    return objectives


def _one(wanted: object) -> Objective:
    if not isinstance(wanted, Mapping):
        raise _invalid("An objective is the name of a metric, with a goal.")
    if unknown := set(wanted) - {"metric", "goal", "reading"}:
        raise _invalid(
            f"An objective has metric, goal and reading, not {sorted(unknown)[0]!s:.40}."
        )
    metric = str(wanted.get("metric", "")).strip()
    if not wire.good_name(metric):
        raise _invalid("An objective needs the name of a metric that the runs log.")
    goal = wanted.get("goal") or "minimize"
    if goal not in GOALS:
        raise _invalid(f"The goal for {metric} is minimize or maximize.")
    reading = wanted.get("reading") or "last"
    if reading not in READINGS:
        raise _invalid(f"The value of {metric} is its last, min or max.")
    return Objective(metric, goal, reading)


def values_of(
    objectives: Sequence[Objective], run_ids: Collection[UUID]
) -> dict[UUID, list[Reading]]:
    """Return what each run has of each objective, in one query for all metrics."""
    names = {one.metric for one in objectives if one.metric not in _sources}
    rows = Series.objects.filter(run__in=list(run_ids), name__in=names)
    series = {(row.run_id, row.name): row for row in rows}
    others = {
        one.metric: _sources[one.metric].values(run_ids)
        for one in objectives
        if one.metric in _sources
    }
    return {
        run_id: [
            _other(others[one.metric], run_id)
            if one.metric in others
            else _of_series(series.get((run_id, one.metric)), one)
            for one in objectives
        ]
        for run_id in run_ids
    }


def _other(values: Mapping[UUID, float], run_id: UUID) -> Reading:
    value = values.get(run_id)
    return Reading(value if value is not None and math.isfinite(value) else None)


def _of_series(row: Series | None, objective: Objective) -> Reading:
    if row is None or not row.count:
        return Reading()
    value = getattr(row, READINGS[objective.reading])
    if value is None:
        return Reading(problem=f"Its {objective.metric} was not finite.")
    return Reading(float(value))


def _invalid(sentence: str) -> recipes.ConfigInvalid:
    return recipes.ConfigInvalid({f"{WHOLE}.objective": sentence})
