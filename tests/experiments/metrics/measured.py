"""Runs that have logged something, for the tests of pages."""

from itertools import count

import numpy as np

from backline import batches
from experiments.metrics import metrics
from experiments.models import Run

# A program numbers its deliveries; here no two have the same number.
NUMBERS = count(1)


def log_loss(run: Run, values: list[float], name: str = "loss") -> None:
    """One batch: steps from 0, one second apart."""
    steps = np.arange(len(values), dtype=np.int64)
    times = 1.7e9 + steps.astype(np.float64)
    table = batches.Table((name,), steps, times, np.array([values], dtype=np.float64))
    metrics.ingest(run, "session", next(NUMBERS), batches.encode([table]))
