"""Places on the straight path from music (0) to noise (1)."""

from torch import Tensor


def shifted(times: Tensor, *, by: float) -> Tensor:
    """Move times in [0, 1] towards the noise, ends unmoved (Esser et al. 2024, 2403.03206, 5.3.2).

    Neighbouring bands and frames are much alike, so most of a clip shows until it is nearly all
    noise; its rhythm is decided there (benchmarks/rhythm.py).
    """
    return by * times / (1 + (by - 1) * times)
