"""The trials so far, as the methods see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from experiments.models import SweepTrial


class Exhausted(Exception):
    """Every combination was tried."""


class Wait(Exception):
    """The next suggestion depends on trials that have not ended."""


@dataclass(frozen=True)
class Tried:
    """A trial as the methods see it. `values` has one for each objective if it is complete."""

    number: int
    params: Mapping[str, Any]
    state: str
    values: Sequence[float] = ()
    rungs: Mapping[int, float] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.state in SweepTrial.OPEN_STATES


def seed_of(seed: int, number: int, redraw: int = 0) -> int:
    """Return the seed with which trial `number` of a sweep is drawn."""
    return int(np.random.SeedSequence([seed, number, redraw]).generate_state(1)[0])
