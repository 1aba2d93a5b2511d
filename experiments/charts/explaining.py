"""What explains the difference between two groups of runs: settings that are unlike in the two.

A number is compared by Cliff's delta: how much more often a run of the first group has the larger
value than the smaller one, among all pairs. Words are compared by how far the shares of their
values lie apart (total variation). Both are 0 for groups that are alike, and 1 for groups that
share nothing. A setting is beyond chance if it is further apart than any setting would be in 95 of
100 random divisions of the same runs: so looking at many settings makes none of them stand out.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backline.columns import Float64
from experiments.templatetags.figures import NOTHING, figure, setting

DIVISIONS = 400
SEED = 1
LEVEL = 0.95
# In each group; with fewer nothing can be beyond chance.
FEWEST = 3
MOST_ROWS = 20

Chosen = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Contrast:
    """A setting in both groups, in words; `apart` is from 0 to 1, the largest first in a list."""

    key: str
    first: str
    second: str
    apart: float
    is_beyond_chance: bool


def contrasts(rows: Sequence[Mapping[str, Any]], is_first: Sequence[bool]) -> list[Contrast]:
    """Return the settings in which the two groups differ, those furthest apart first.

    `rows` has each run's settings by name; what is missing is a value of its own.
    """
    chosen = np.array(is_first, bool)
    keys = sorted({key for row in rows for key in row})
    cells = {key: [row.get(key) for row in rows] for key in keys}
    columns = {key: _column(values) for key, values in cells.items() if _differs(values)}
    if min(chosen.sum(), (~chosen).sum(), len(columns)) == 0:
        return []
    chance = _chance(list(columns.values()), chosen)
    found = [
        Contrast(
            key, _words(cells[key], chosen), _words(cells[key], ~chosen), apart, apart > chance
        )
        for key, column in columns.items()
        if (apart := float(_apart(column, chosen[None])[0])) > 0
    ]
    return sorted(found, key=lambda one: (-one.apart, one.key))[:MOST_ROWS]


@dataclass(frozen=True)
class _Column:
    """A setting of all runs: ranks of numbers, or one row of marks for each of its values."""

    ranks: Float64 | None
    marks: Float64


def _differs(values: Sequence[Any]) -> bool:
    return len({_canonical(value) for value in values}) > 1


def _column(values: Sequence[Any]) -> _Column:
    if all(_is_number(value) for value in values):
        numbers = np.array(values, np.float64)
        _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        middle = counts.cumsum() - (counts - 1) / 2
        return _Column(middle[places], np.empty((0, len(values))))
    names = [_canonical(value) for value in values]
    marks = np.array([[name == one for name in names] for one in sorted(set(names))], np.float64)
    return _Column(None, marks)


def _apart(column: _Column, divisions: Chosen) -> Float64:
    """Return how far apart the groups are in each division; shape (divisions, runs)."""
    first = divisions.sum(axis=1)
    second = divisions.shape[1] - first
    if column.ranks is not None:
        # The Mann-Whitney statistic from the ranks of the first group.
        over = divisions @ column.ranks - first * (first + 1) / 2
        delta: Float64 = np.abs(2 * over / (first * second) - 1)
        return delta
    shares = (divisions @ column.marks.T) / first[:, None]
    others = (~divisions @ column.marks.T) / second[:, None]
    apart: Float64 = np.abs(shares - others).sum(axis=1) / 2
    return apart


def _chance(columns: Sequence[_Column], chosen: Chosen) -> float:
    """Return how far apart the setting furthest apart is in all but 5 of 100 random divisions."""
    if min(chosen.sum(), (~chosen).sum()) < FEWEST:
        return math.inf
    random = np.random.default_rng(SEED)
    divisions = np.stack([random.permutation(chosen) for _ in range(DIVISIONS)])
    furthest = np.max([_apart(column, divisions) for column in columns], axis=0)
    return float(np.quantile(furthest, LEVEL))


def _words(values: Sequence[Any], chosen: Chosen) -> str:
    """Return the median of numbers with their range, or the most common words with their counts."""
    own = [value for value, is_own in zip(values, chosen, strict=True) if is_own]
    if all(_is_number(value) for value in values):
        low, high = min(own), max(own)
        middle = figure(float(np.median(own)))
        return middle if low == high else f"{middle} ({figure(low)} to {figure(high)})"
    counts = Counter(NOTHING if value is None else setting(value)[:40] for value in own)
    return ", ".join(f"{word} ({count} of {len(own)})" for word, count in counts.most_common(2))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _canonical(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, default=str)
