"""From noise to music along the learned velocity field."""

import itertools

import torch
from torch import Tensor

from workers.models import path
from workers.models.dit import DiT


@torch.no_grad()
def sample(
    model: DiT,
    *,
    noise: Tensor,
    labels: Tensor,
    steps: int,
    shift: float,
    guidance: float,
    dtype: torch.dtype,
    begin: float = 1.0,
) -> Tensor:
    """Integrate from t=1 (noise) to t=0 (music) in `steps` Euler steps, shifted as in training.

    With `begin` below 1 the steps lie between there and the music, and `noise` is a clip that is
    already mixed with that share of noise.

    With classifier-free guidance (Ho and Salimans 2022, 2207.12598): velocity without the label
    plus `guidance` times the difference that the label makes. Shapes as in `DiT.forward`.
    """
    x = noise
    nothing = torch.full_like(labels, model.nothing)
    times = (begin * path.shifted(torch.linspace(1.0, 0.0, steps + 1), by=shift)).tolist()
    device = noise.device.type
    for time, next_time in itertools.pairwise(times):
        t = torch.full((2 * len(x),), time, device=noise.device)
        with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
            velocities = model(torch.cat([x, x]), t, torch.cat([labels, nothing])).float()
        conditioned, unconditioned = velocities.chunk(2)
        x = x + (next_time - time) * (unconditioned + guidance * (conditioned - unconditioned))
    return x
