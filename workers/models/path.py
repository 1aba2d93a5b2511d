"""Places on the straight way from music (0) to noise (1)."""

from torch import Tensor


def shifted(times: Tensor, *, by: float) -> Tensor:
    """Move times in [0, 1] towards the noise, ends unmoved (Esser et al. 2024, 2403.03206, 5.3.2).

    Neighbouring bands and frames say much the same, so most of a clip is plain to see until it is
    nearly all noise; there its rhythm is decided (benchmarks/rhythm.py).
    """
    return by * times / (1 + (by - 1) * times)
