"""Values of fields of the run table for panels that are no curves, also summed up by group."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

import numpy as np

from experiments.charts import bands, groups
from experiments.models import Project, Run
from experiments.run_table import fields, importance

# Settings that a forest is grown over.
MOST_SETTINGS = 40


class FieldBody(TypedDict):
    key: str
    title: str
    number: bool


class BarBody(TypedDict):
    """A group's bar: the mean of its runs' values with its 95 % interval, null for one alone."""

    label: str
    runs: list[int]
    n: int
    mean: float
    low: float | None
    high: float | None


class ImportanceRow(TypedDict):
    key: str
    title: str
    share: float
    trend: float | None


class ImportanceBody(TypedDict):
    """Settings by how much they matter; `note` is what a reader has to be careful about."""

    rows: list[ImportanceRow]
    count: int
    explained: float
    note: str
    method: str


def of_runs(runs: Sequence[Run], keys: Sequence[str]) -> dict[str, Any]:
    """Return the values of some fields of all runs: numbers as numbers, all else as words."""
    found = fields.values(runs, keys)
    rows = {run.number: [_plain(value) for value in found[run.pk]] for run in runs}
    return {
        "fields": [_field(key, [row[n] for row in rows.values()]) for n, key in enumerate(keys)],
        "rows": [{"run": number, "values": row} for number, row in rows.items()],
    }


def bars(runs: Sequence[Run], key: str, by: Sequence[str]) -> list[BarBody]:
    """Return a bar for each group that has a number under this field."""
    found = fields.values(runs, [key])
    return [
        bar
        for label, members in groups.by(runs, by).items()
        if (bar := _bar(label, {run.number: _plain(found[run.pk][0]) for run in members}))
    ]


def importances(project: Project, runs: Sequence[Run], key: str) -> ImportanceBody:
    """Return how much each setting that differs between these runs matters for a field."""
    settings = [
        offer.key
        for offer in fields.catalogue(project)
        if offer.field.group == "setting" and offer.varies
    ][:MOST_SETTINGS]
    found = fields.values(runs, [key, *settings])
    target = [_number(found[run.pk][0]) for run in runs]
    rows = [dict(zip(settings, found[run.pk][1:], strict=True)) for run in runs]
    measured = importance.measure(rows, target)
    return ImportanceBody(
        rows=[
            {"key": one.key, "title": one.key.removeprefix("config."), "share": one.share,
             "trend": one.trend}
            for one in measured.rows
        ],
        count=measured.count, explained=measured.explained, note=measured.note,
        method=measured.method,
    )  # fmt: skip


def _number(value: Any) -> float | None:
    plain = _plain(value)
    return float(plain) if isinstance(plain, int | float) else None


def _bar(label: str, values: Mapping[int, float | str | None]) -> BarBody | None:
    numbers = {run: value for run, value in values.items() if isinstance(value, int | float)}
    if not numbers:
        return None
    column = np.array(list(numbers.values()), np.float64)
    mean, low, high = float(column.mean()), None, None
    if len(column) > 1:
        reach = bands.students_t(np.array([len(column) - 1]))[0]
        half = float(reach * column.std(ddof=1) / math.sqrt(len(column)))
        low, high = mean - half, mean + half
    return BarBody(label=label, runs=list(numbers), n=len(numbers), mean=mean, low=low, high=high)


def _field(key: str, values: Sequence[float | str | None]) -> FieldBody:
    field = fields.find(key)
    there = [value for value in values if value is not None]
    number = all(isinstance(value, int | float) for value in there)
    return {"key": key, "title": field.title if field else key, "number": number}


def _plain(value: Any) -> float | str | None:
    """Return a number or words; None for what is not there, and for what is no finite number."""
    if value is None or isinstance(value, bool | str):
        return groups.words_of(value) if value is not None else None
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.timestamp()
    return groups.words_of(value)
