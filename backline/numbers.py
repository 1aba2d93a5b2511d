"""What training loops log, as numbers: scalars of Python, numpy and torch, and small arrays."""

from typing import Any

import numpy as np

INT64 = range(-(2**63), 2**63)
# What becomes a float without a look at it. A whole number of Python's may be too large for one.
PLAIN_NUMBERS = {float, bool, np.float32, np.float64, np.int32, np.int64}


def number_of(value: Any) -> float:
    """Return a number, a scalar or an array of one element as a float; raises for anything else."""
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError("text")
    if hasattr(value, "detach"):
        value = value.detach()
    return float(value.item() if hasattr(value, "item") else value)


def step_of(value: Any) -> int:
    """Return a step as an int, limited to 64 bits; raises for what is no number."""
    return min(max(int(value), INT64.start), INT64.stop - 1)


def shown(value: Any) -> str:
    """Return a value for a warning, whatever its `repr` does."""
    try:
        return f"{value!r:.80}"
    except Exception:  # noqa: BLE001 - it is only for a warning.
        return f"a {type(value).__name__}"
