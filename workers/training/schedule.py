"""Schedules: pure functions of the step."""

import math


def learning_rate(*, step: int, steps: int, peak: float, warmup: int) -> float:
    """Linear warm-up, then half a cosine to zero (Loshchilov and Hutter 2017, 1608.03983).

    `step` counts from 1. By step and not by time: the same config gives the same weights.
    """
    warmup = min(warmup, steps // 2)
    if step <= warmup:
        return peak * step / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps + 1 - warmup)))


def averaging(*, step: int, longest: float) -> float:
    """Share of the average that stays: short memory at first, so that early samples are recent."""
    return min(longest, (1 + step) / (10 + step))
