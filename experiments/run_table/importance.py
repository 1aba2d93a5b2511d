"""Which settings matter for a value, from a table of runs: pure numbers in, shares out.

The method is permutation importance (Breiman 2001) of extremely randomised trees (Geurts et al.
2006): a forest learns the value from the settings, and a setting matters as much as the forest's
error grows on rows that it has not seen when this setting's values are shuffled among them. It
assumes no shape, sees settings that matter only together, and takes numbers and
categories alike. The shares do not say in which direction a setting acts; Spearman's rank
correlation beside them does, as far as there is one direction.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backline.columns import Float64, Int64

METHOD = "permutation importance of extremely randomised trees"
TREES = 48
# Rows that one tree learns from: more make it slower, not better.
ROWS_PER_TREE = 200
LEAF = 2
# Fewer rows say nothing; fewer than ENOUGH, or ENOUGH_EACH for each setting, say little.
FEWEST = 5
ENOUGH, ENOUGH_EACH = 20, 5
# A setting with more categories than this share of the rows is a name rather than a setting.
NAME_SHARE = 0.6
LITTLE = 0.1
SEED = 1


@dataclass(frozen=True)
class Importance:
    """`share` of all that matters (0 to 1). `trend` is Spearman's correlation of a number with the
    value, None for categories."""

    key: str
    share: float
    trend: float | None


@dataclass(frozen=True)
class Importances:
    """The settings by share, largest first. `explained` is the part of the value's variance that
    the forest predicts on rows that it has not seen; `note` is what to be careful about."""

    rows: list[Importance]
    count: int
    explained: float
    note: str = ""
    method: str = METHOD


@dataclass(frozen=True)
class _Column:
    key: str
    values: Float64
    is_category: bool


@dataclass
class _Tree:
    """Nodes as arrays; `feature` is -1 in a leaf."""

    feature: Int64
    threshold: Float64
    left: Int64
    right: Int64
    value: Float64

    def predict(self, rows: Float64) -> Float64:
        at = np.zeros(len(rows), np.int64)
        while True:
            feature = self.feature[at]
            inner = np.flatnonzero(feature >= 0)
            if not inner.size:
                return self.value[at]
            here = at[inner]
            goes_left = rows[inner, feature[inner]] < self.threshold[here]
            at[inner] = np.where(goes_left, self.left[here], self.right[here])


def measure(rows: Sequence[Mapping[str, Any]], target: Sequence[float | None]) -> Importances:
    """Return how much each setting matters for the target.

    `rows` has the settings of each run by name; one that is missing, or that is not a number among
    numbers, is a value of its own. Runs without a finite target are left out, and so are settings
    that are the same everywhere, or of which almost every run has its own.
    """
    kept = [n for n, value in enumerate(target) if value is not None and math.isfinite(value)]
    values = np.array([target[n] for n in kept], np.float64)
    if len(kept) < FEWEST:
        return Importances(
            [], len(kept), 0.0, f"It takes {FEWEST} runs with a value to say anything."
        )
    if np.ptp(values) == 0:
        return Importances([], len(kept), 0.0, "All runs have the same value.")
    columns = _columns([rows[n] for n in kept])
    if not columns:
        return Importances([], len(kept), 0.0, "No setting differs between the runs.")
    # By rank, so that one run that went astray does not decide alone.
    growth, explained = _permuted(columns, _ranks(values))
    total = float(growth.sum())
    found = [
        Importance(
            column.key,
            float(gain) / total if total > 0 else 0.0,
            None if column.is_category else _spearman(column.values, values),
        )
        for column, gain in zip(columns, growth, strict=True)
    ]
    found.sort(key=lambda one: (-one.share, one.key))
    return Importances(found, len(kept), explained, _note(len(kept), len(columns), explained))


def _note(count: int, columns: int, explained: float) -> str:
    enough = max(ENOUGH, ENOUGH_EACH * columns)
    if count < enough:
        return (
            f"These are {count} runs with {columns} settings that differ; under {enough} the order "
            "may be chance."
        )
    if explained < LITTLE:
        return "The settings explain almost nothing of the value: read no order into them."
    return ""


# --- Settings as numbers ----------------------------------------------------------------------


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[_Column]:
    """Return the settings that differ. A category is a number that stands for it; missing is NaN
    among numbers, and a category among categories."""
    columns = []
    for key in dict.fromkeys(key for row in rows for key in row):
        cells = [row.get(key) for row in rows]
        if all(cell is None or _is_number(cell) for cell in cells):
            values = np.array([math.nan if c is None else float(c) for c in cells], np.float64)
            known = values[~np.isnan(values)]
            if known.size and (np.ptp(known) > 0 or known.size < values.size):
                columns.append(_Column(key, values, is_category=False))
            continue
        names = [json.dumps(cell, sort_keys=True, default=str) for cell in cells]
        codes = {name: float(n) for n, name in enumerate(dict.fromkeys(names))}
        if 1 < len(codes) <= max(2, NAME_SHARE * len(rows)):
            values = np.array([codes[name] for name in names], np.float64)
            columns.append(_Column(key, values, is_category=True))
    return columns


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool) and math.isfinite(cell)


# --- The forest -------------------------------------------------------------------------------


def _permuted(columns: Sequence[_Column], target: Float64) -> tuple[Float64, float]:
    """Return by how much the error on unseen rows grows when each column is shuffled, relative to
    the variance; and the part of the variance that is explained without that."""
    random = np.random.default_rng(SEED)
    count = len(target)
    growth, unseen_error, unseen_spread = np.zeros(len(columns)), 0.0, 0.0
    mean = float(target.mean())
    for _ in range(TREES):
        table = np.stack([_ordered(column, random) for column in columns], axis=1)
        drawn = random.integers(0, count, min(count, ROWS_PER_TREE))
        unseen = np.setdiff1d(np.arange(count), drawn)
        if unseen.size < 2:
            continue
        tree = _grow(table[drawn], target[drawn], random)
        rows, truth = table[unseen], target[unseen]
        error = float(((tree.predict(rows) - truth) ** 2).sum())
        unseen_error += error
        unseen_spread += float(((truth - mean) ** 2).sum())
        for place in range(len(columns)):
            shuffled = rows.copy()
            shuffled[:, place] = random.permutation(shuffled[:, place])
            growth[place] += float(((tree.predict(shuffled) - truth) ** 2).sum()) - error
    explained = 1 - unseen_error / unseen_spread if unseen_spread else 0.0
    return np.clip(growth, 0, None) / (unseen_spread or 1.0), max(explained, 0.0)


def _ordered(column: _Column, random: np.random.Generator) -> Float64:
    """Return a column as one tree sees it: categories in an order of chance, so that a threshold
    divides them anyhow; missing numbers at one of the ends."""
    values = column.values
    if column.is_category:
        order = random.permutation(int(values.max()) + 1).astype(np.float64)
        return order[values.astype(np.int64)]
    missing = np.isnan(values)
    if not missing.any():
        return values
    known = values[~missing]
    end = known.min() - 1 if random.integers(2) else known.max() + 1
    return np.where(missing, end, values)


def _grow(table: Float64, target: Float64, random: np.random.Generator) -> _Tree:
    """Grow one tree: at each node every column offers one threshold of chance, and the one after
    which the values differ least is taken."""
    feature: list[int] = []
    threshold: list[float] = []
    children: list[list[int]] = []
    value: list[float] = []

    def add(rows: NDArray[np.int64]) -> int:
        here = len(feature)
        feature.append(-1)
        threshold.append(0.0)
        children.append([0, 0])
        value.append(float(target[rows].mean()))
        waiting.append((here, rows))
        return here

    waiting: list[tuple[int, NDArray[np.int64]]] = []
    add(np.arange(len(target)))
    while waiting:
        here, rows = waiting.pop()
        if rows.size < 2 * LEAF:
            continue
        split = _split(table[rows], target[rows], random)
        if split is None:
            continue
        feature[here], threshold[here] = split
        is_left = table[rows, feature[here]] < threshold[here]
        children[here] = [add(rows[is_left]), add(rows[~is_left])]
    sides = np.array(children, np.int64)
    return _Tree(
        np.array(feature, np.int64), np.array(threshold), sides[:, 0], sides[:, 1], np.array(value)
    )


def _split(
    table: Float64, target: Float64, random: np.random.Generator
) -> tuple[int, float] | None:
    low, high = table.min(axis=0), table.max(axis=0)
    cuts = low + (high - low) * (1 - random.random(table.shape[1]))
    left = table < cuts
    counts = left.sum(axis=0)
    sums = target @ left
    rest, rest_counts = target.sum() - sums, len(target) - counts
    fits = (counts > 0) & (rest_counts > 0)
    if not fits.any():
        return None
    # The most that a split takes off the squared error is what these sums of means are largest at.
    gain = np.full(len(cuts), -np.inf)
    gain[fits] = sums[fits] ** 2 / counts[fits] + rest[fits] ** 2 / rest_counts[fits]
    best = int(gain.argmax())
    return best, float(cuts[best])


# --- Ranks ------------------------------------------------------------------------------------


def _ranks(values: Float64) -> Float64:
    """Return ranks from 0; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    mean: Float64 = (ends - (counts + 1) / 2)[places]
    return mean


def _spearman(numbers: Float64, values: Float64) -> float | None:
    known = ~np.isnan(numbers)
    if known.sum() < FEWEST or np.ptp(numbers[known]) == 0 or np.ptp(values[known]) == 0:
        return None
    return float(np.corrcoef(_ranks(numbers[known]), _ranks(values[known]))[0, 1])
