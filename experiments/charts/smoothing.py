"""Smoothing of a curve that is drawn here, as static/js/charts/smoothing.js does it on a page. Gaps
(NaN) stay gaps."""

import numpy as np

from backline.columns import Float64

NAMES = {"ema": "EMA", "mean": "mean of", "gaussian": "Gauss \N{GREEK SMALL LETTER SIGMA}"}


def smooth(values: Float64, method: str | None, amount: float) -> Float64:
    """Return the values smoothed over points; the same values where the method does nothing."""
    if method == "ema" and amount > 0:
        return _moving_average(values, min(amount, 0.999))
    if method == "mean" and amount > 1:
        half = int(amount) // 2
        return _weighted(values, np.ones(2 * half + 1))
    if method == "gaussian" and amount > 0:
        reach = min(int(np.ceil(3 * amount)), len(values))
        at = np.arange(-reach, reach + 1)
        return _weighted(values, np.exp(-(at**2) / (2 * amount * amount)))
    return values


def _moving_average(values: Float64, weight: float) -> Float64:
    """Return the exponential moving average without its pull to zero at the start."""
    out = np.full(len(values), np.nan)
    total = norm = 0.0
    for place, value in enumerate(values.tolist()):
        if np.isfinite(value):
            total = total * weight + (1 - weight) * value
            norm = norm * weight + (1 - weight)
            out[place] = total / norm
    return out


def _weighted(values: Float64, weights: Float64) -> Float64:
    """Return the mean of the points around each, weighted; fewer of them at the ends."""
    if not len(values):
        return values
    there = np.isfinite(values)
    middle = len(weights) // 2
    sums = np.convolve(np.where(there, values, 0.0), weights)[middle : middle + len(values)]
    norms = np.convolve(there.astype(np.float64), weights)[middle : middle + len(values)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(there, sums / norms, np.nan)
