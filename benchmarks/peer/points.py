"""The points that every store gets: ten metrics that fall, with noise, a step each 0.1 s or so."""

import numpy as np

NAMES = tuple(f"metric_{n}" for n in range(10))


def noisy(steps):
    """Steps (steps,), Unix seconds (steps,) and values (10, steps)."""
    rng = np.random.default_rng(1)
    at = np.arange(steps, dtype=np.int64)
    times = 1.7e9 + np.cumsum(rng.normal(0.1, 0.002, steps))
    scales = np.arange(1, 11)[:, None]
    return at, times, np.exp(-at / 3000) * scales + rng.normal(0, 0.05, (10, steps))
