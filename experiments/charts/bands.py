"""Curves of one group as one: their mean and a band around it, on a grid that they share.

Runs of a group log at different steps and end at different ones. Where all have the same x, that
is the grid; else it is an even one over what they span together. Between two of its points a curve
is a straight line; before its first and after its last point, and beside a value that is not
finite, it says nothing, so the mean there is over fewer runs. `runs` counts them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from backline.columns import Float64, Int64

LEVEL = 0.95


class Spread(StrEnum):
    """What the band is. The value is in addresses, the sentence on pages."""

    EXTREMES = "minmax"
    DEVIATION = "std"
    INTERVAL = "interval"

    @property
    def words(self) -> str:
        return {
            "minmax": "lowest and highest value of any run",
            "std": "mean ± standard deviation between runs",
            "interval": "95 % interval of the mean (Student's t)",
        }[self.value]


@dataclass(frozen=True)
class Member:
    """One run's curve: x in ascending order; mean and extremes may be NaN."""

    x: Float64
    mean: Float64
    minimum: Float64
    maximum: Float64


@dataclass(frozen=True)
class Band:
    """A group's curve. Where one run alone speaks, there is no deviation: low and high are NaN."""

    x: Float64
    mean: Float64
    low: Float64
    high: Float64
    runs: Int64


def combine(members: Sequence[Member], spread: Spread, points: int) -> Band:
    """Return the band of a group on a grid of at most `points` points."""
    members = [member for member in members if len(member.x)]
    x = grid([member.x for member in members], points)
    if not len(x):
        return Band(x, x, x, x, np.zeros(0, np.int64))
    means = np.stack([np.interp(x, m.x, m.mean, np.nan, np.nan) for m in members])
    there = np.isfinite(means)
    runs = there.sum(axis=0)
    mean = _ratio(np.where(there, means, 0.0).sum(axis=0), runs)
    if spread is Spread.EXTREMES:
        lows = np.stack([np.interp(x, m.x, m.minimum, np.nan, np.nan) for m in members])
        highs = np.stack([np.interp(x, m.x, m.maximum, np.nan, np.nan) for m in members])
        low = np.fmin.reduce(np.where(there, lows, np.nan))
        high = np.fmax.reduce(np.where(there, highs, np.nan))
        return Band(x, mean, low, high, runs)
    squares = np.where(there, (means - mean) ** 2, 0.0).sum(axis=0)
    half = np.sqrt(_ratio(squares, runs - 1))
    if spread is Spread.INTERVAL:
        half = half * _ratio(students_t(runs - 1), np.sqrt(runs))
    return Band(x, mean, mean - half, mean + half, runs)


def grid(xs: Sequence[Float64], points: int) -> Float64:
    """Return the x that curves share: their own if it is the same, else an even one."""
    if not xs:
        return np.empty(0)
    first = xs[0]
    if len(first) <= points and all(np.array_equal(first, x) for x in xs[1:]):
        return first
    low, high = min(x[0] for x in xs), max(x[-1] for x in xs)
    return np.linspace(low, high, points) if high > low else np.array([low])


def students_t(degrees: Int64) -> Float64:
    """Return how many standard errors the two-sided interval reaches; NaN without a degree."""
    # Pages of the web process load no SciPy: it takes a second and 30 MB.
    from scipy.special import stdtrit  # noqa: PLC0415

    quantile = stdtrit(np.maximum(degrees, 1), 0.5 + LEVEL / 2)
    return np.where(degrees > 0, quantile, np.nan)


def _ratio(above: Float64, below: Float64 | Int64) -> Float64:
    """Divide; NaN where nothing is counted."""
    return np.where(below > 0, above / np.maximum(below, 1e-300), np.nan)
