"""Runs in groups of equal values: how many, and of each number the mean, the spread and the best.

The database hands over one narrow row for each run (its keys and numbers alone), numpy does the
rest: so both databases give the same figures, a spread is computed in two passes, and the best run
of a group is known by its number. 20,000 runs take some hundred milliseconds at most.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from django.db.models import QuerySet

from experiments.models import Run
from experiments.run_table import fields
from experiments.run_table.directions import Direction, better
from experiments.run_table.fields import Kind
from experiments.run_table.fields.built_in import SettingField
from experiments.run_table.query import writing

MAX_KEYS = 4
MAX_NUMBERS = 12
MAX_GROUPS = 5_000
PAGE = 50
# Of each group, for charts and a link to compare.
MEMBERS = 100
AGGREGATES = ("mean", "spread", "min", "max", "best", "n")


@dataclass(frozen=True)
class Summary:
    """A number over the runs of a group, of those that have a finite value.

    `spread` is the sample standard deviation, None for a single run.
    """

    n: int
    mean: float | None
    spread: float | None
    min: float | None
    max: float | None
    best: float | None
    best_run: int | None


@dataclass(frozen=True)
class Group:
    """Runs with the same values of all keys; `query` is what finds them."""

    values: tuple[Any, ...]
    runs: int
    summaries: dict[str, Summary]
    query: str
    members: list[int]


@dataclass
class Groups:
    """A page of groups; `note` is a sentence on what is left out."""

    keys: list[str]
    numbers: list[str]
    total: int
    runs: int
    page: int
    pages: int
    note: str = ""
    groups: list[Group] = field(default_factory=list)


@dataclass
class _Table:
    """All groups, in columns."""

    values: list[tuple[Any, ...]]
    of_run: "np.ndarray[Any, Any]"
    runs: "np.ndarray[Any, Any]"
    columns: dict[str, dict[str, "np.ndarray[Any, Any]"]]


def read(
    *,
    runs: QuerySet[Run],
    by: Sequence[str],
    numbers: Sequence[str] = (),
    sort: str = "",
    page: int = 1,
    size: int = PAGE,
    directions: Mapping[str, Direction] | None = None,
) -> Groups:
    """Return a page of groups, in one query.

    `by` and `numbers` are keys of fields; what is no field is left out. `sort` is a key of `by`,
    `runs` (how many), or a number and an aggregate, `metric.loss:mean`; a minus before it sorts
    downwards, and what has no value comes last both ways.
    """
    keys = [key for key in dict.fromkeys(by) if fields.find(key)][:MAX_KEYS]
    measured = [key for key in dict.fromkeys(numbers) if fields.find(key)][:MAX_NUMBERS]
    rows = _narrow(runs, [*keys, *measured])
    table = _table(rows, keys, measured, directions or {})
    order = _order(table, keys, sort)
    found = len(order)
    pages = max(1, math.ceil(min(found, MAX_GROUPS) / size))
    page = min(max(page, 1), pages)
    chosen = order[:MAX_GROUPS][(page - 1) * size : page * size]
    note = ""
    if found > MAX_GROUPS:
        note = (
            f"These are {found:,} groups; the first {MAX_GROUPS:,} in this order are shown. "
            "Group by fewer fields, or search for fewer runs."
        )
    return Groups(
        keys=keys, numbers=measured, total=found, runs=len(rows), page=page, pages=pages, note=note,
        groups=[_group(table, rows, int(index), keys, measured) for index in chosen],
    )  # fmt: skip


def _narrow(runs: QuerySet[Run], keys: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the number of each run, and its values of these keys."""
    names = []
    for place, key in enumerate(keys):
        chosen = fields.find(key)
        assert chosen is not None  # noqa: S101 - the keys were looked up above.
        runs, expression = chosen.grouped(runs, f"field_{place}")
        runs = runs.annotate(**{f"value_{place}": expression})
        names.append(f"value_{place}")
    return list(runs.order_by("number").values_list("number", *names))


def _table(
    rows: Sequence[tuple[Any, ...]],
    keys: Sequence[str],
    numbers: Sequence[str],
    directions: Mapping[str, Direction],
) -> _Table:
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] or [
        [] for _ in range(1 + len(keys) + len(numbers))
    ]
    keyed = [_read_values(key, columns[1 + place]) for place, key in enumerate(keys)]
    index: dict[tuple[Any, ...], int] = {}
    values: list[tuple[Any, ...]] = []
    of_run = np.empty(len(rows), dtype=np.int64)
    for place, pairs in enumerate(zip(*keyed, strict=True) if keyed else [()] * len(rows)):
        identity = tuple(pair[0] for pair in pairs)
        group = index.setdefault(identity, len(values))
        if group == len(values):
            values.append(tuple(pair[1] for pair in pairs))
        of_run[place] = group
    summaries = {}
    for place, key in enumerate(numbers, 1 + len(keys)):
        numbers_of_runs = _as_numbers(key, columns[place])
        upwards = (directions.get(key) or better(key)) == "max"
        summaries[key] = _summarise(numbers_of_runs, of_run, len(values), columns[0], upwards)
    return _Table(values, of_run, np.bincount(of_run, minlength=len(values)), summaries)


def _read_values(key: str, column: list[Any]) -> list[tuple[Any, Any]]:
    """Return for each run what its group is known by, and the value that is shown."""
    chosen = fields.find(key)
    is_json = isinstance(chosen, SettingField) or (chosen and chosen.kind == Kind.LIST)
    known: dict[Any, tuple[Any, Any]] = {}
    for raw in column:
        if raw not in known:
            value = json.loads(raw) if is_json and raw is not None else raw
            if isinstance(value, datetime):
                value = value.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            if isinstance(value, list) and chosen and chosen.kind == Kind.LIST:
                value = sorted(value)
            known[raw] = (_identity(value), value)
    return [known[raw] for raw in column]


def _identity(value: Any) -> Any:
    """Return the same for the same value of JSON: 1 is 1.0, but neither true nor "1"."""
    if isinstance(value, bool | str | list | dict):
        return json.dumps(value, sort_keys=True)
    return value


def _as_numbers(key: str, column: list[Any]) -> "np.ndarray[Any, Any]":
    """Return the values as floats; NaN for what is missing or no number."""
    if isinstance(fields.find(key), SettingField):
        known = {raw: _number(json.loads(raw)) for raw in set(column) if raw is not None}
        return np.array([known.get(raw, math.nan) for raw in column], dtype=np.float64)
    try:
        # None becomes NaN.
        return np.array(column, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array([_number(value) for value in column], dtype=np.float64)


def _number(value: Any) -> float:
    if value is None or isinstance(value, bool | str | list | dict | datetime):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _summarise(
    values: "np.ndarray[Any, Any]",
    of_run: "np.ndarray[Any, Any]",
    count: int,
    runs: Sequence[int],
    upwards: bool,
) -> dict[str, "np.ndarray[Any, Any]"]:
    """Return each aggregate by group; NaN where a group has no value."""
    finite = np.isfinite(values)
    values, groups = values[finite], of_run[finite]
    numbers = np.array(runs, dtype=np.int64)[finite]
    n = np.bincount(groups, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = np.bincount(groups, weights=values, minlength=count) / n
        squares = np.bincount(groups, weights=(values - mean[groups]) ** 2, minlength=count)
        spread = np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
    low, high = np.full(count, np.nan), np.full(count, np.nan)
    best_run = np.zeros(count, dtype=np.int64)
    # By group, then by value: the first of a group has its least, the last its greatest. Of equal
    # values the earliest run is the best one.
    order = np.lexsort((numbers, values, groups))
    held, first = np.unique(groups[order], return_index=True)
    last = np.append(first[1:], len(order))[: len(first)] - 1
    low[held], high[held] = values[order][first], values[order][last]
    best = np.lexsort((numbers, -values, groups)) if upwards else order
    best_run[held] = numbers[best][first]
    return {
        "n": n, "mean": mean, "spread": spread, "min": low, "max": high,
        "best": high if upwards else low, "best_run": best_run,
    }  # fmt: skip


def _order(table: _Table, keys: Sequence[str], sort: str) -> "np.ndarray[Any, Any]":
    """Return the places of the groups in the order that is asked for."""
    downwards = sort.startswith("-")
    name, _, aggregate = sort.removeprefix("-").partition(":")
    count = len(table.values)
    if name in table.columns:
        chosen = aggregate if aggregate in AGGREGATES else "mean"
        column = table.columns[name][chosen].astype(np.float64)
    elif name in keys:
        place = keys.index(name)
        ranked = sorted(range(count), key=lambda group: _rank(table.values[group][place]))
        column = np.empty(count)
        column[ranked] = np.arange(count)
        column[[row[place] is None for row in table.values]] = np.nan
    else:
        column = table.runs.astype(np.float64)
        downwards = downwards or not sort
    # NaN is sorted last, also where the others are turned round; equal groups stay as they came.
    return np.argsort(-column if downwards else column, kind="stable")


def _rank(value: Any) -> tuple[int, Any]:
    """Return what values of all types are ordered by: texts, numbers, times, what is left."""
    if isinstance(value, str):
        return (0, value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (1, value)
    if isinstance(value, datetime):
        return (2, value.timestamp())
    return (3, json.dumps(value, default=str))


def _group(
    table: _Table,
    rows: Sequence[tuple[Any, ...]],
    index: int,
    keys: Sequence[str],
    numbers: Sequence[str],
) -> Group:
    members = np.flatnonzero(table.of_run == index)[:MEMBERS]
    values = table.values[index]
    terms = [writing.term(key, value) for key, value in zip(keys, values, strict=True)]
    return Group(
        values=values,
        runs=int(table.runs[index]),
        summaries={key: _summary(table.columns[key], index) for key in numbers},
        query=" and ".join(terms) if all(terms) else "",
        members=[rows[int(place)][0] for place in members],
    )


def _summary(columns: Mapping[str, "np.ndarray[Any, Any]"], index: int) -> Summary:
    def at(name: str) -> float | None:
        value = float(columns[name][index])
        return None if math.isnan(value) else value

    n = int(columns["n"][index])
    best_run = int(columns["best_run"][index]) if n else None
    return Summary(
        n=n, mean=at("mean"), spread=at("spread"), min=at("min"), max=at("max"), best=at("best"),
        best_run=best_run,
    )  # fmt: skip
