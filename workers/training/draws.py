"""Random numbers that depend on (seed, counter) alone, so that a resumed run draws the same."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

# Separate streams of one seed: the training examples, their order, and sampling.
EXAMPLE, ORDER, NOISE = 0, 1, 2


def dice(*, seed: int, stream: int, counter: int = 0) -> np.random.Generator:
    """Return a Philox generator: counter-based (Salmon et al. 2011), it can start anywhere."""
    return np.random.Generator(
        np.random.Philox(key=[seed, stream], counter=[0, 0, counter & (2**63 - 1), 0])
    )


@lru_cache(maxsize=4)
def order(*, seed: int, epoch: int, count: int) -> tuple[int, ...]:
    """The order in which an epoch visits `count` recordings, each once."""
    shuffled = dice(seed=seed, stream=ORDER, counter=epoch).permutation(count)
    return tuple(int(index) for index in shuffled)


@dataclass(frozen=True)
class Example:
    """What is drawn for one training example, before anything is computed with it."""

    recording: int
    place: float
    time: float
    dropped: bool
    noise: Tensor


def recording(*, seed: int, counter: int, count: int) -> int:
    """Return which of `count` recordings example number `counter` is cut from."""
    epoch, position = divmod(counter, count)
    return order(seed=seed, epoch=epoch, count=count)[position]


def example(*, seed: int, counter: int, count: int, drop: float, shape: tuple[int, int]) -> Example:
    """Example number `counter` of a run over `count` recordings; `noise` has (frames, bands)."""
    rng = dice(seed=seed, stream=EXAMPLE, counter=counter)
    place, chance = rng.random(2)
    return Example(
        recording=recording(seed=seed, counter=counter, count=count),
        place=float(place),
        # Logit-normal: most is to be learned in the middle of the path from music to noise
        # (Esser et al. 2024, 2403.03206).
        time=float(1 / (1 + np.exp(-rng.standard_normal()))),
        dropped=bool(chance < drop),
        noise=torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)),
    )


def noise(*, seed: int, shape: tuple[int, int]) -> Tensor:
    """Return the noise that sampling starts from: the same for a seed, whatever prompt or run."""
    rng = dice(seed=seed, stream=NOISE)
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
