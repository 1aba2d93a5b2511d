"""What rooms above store of a run's outputs: they register it, as this room may not import them."""

from collections.abc import Collection
from typing import Protocol

from experiments.models import Run


class Outputs(Protocol):
    """One kind of output of runs, such as samples."""

    def count(self, run: Run) -> int:
        """Return how many the run has made so far."""

    def steps_among(self, run: Run, steps: Collection[int]) -> set[int]:
        """Return those of the steps at which the run made some."""


_kinds: list[Outputs] = []


def register(kind: Outputs) -> None:
    _kinds.append(kind)


def count(run: Run) -> int:
    return sum(kind.count(run) for kind in _kinds)


def steps_among(run: Run, steps: Collection[int]) -> set[int]:
    return set[int]().union(*(kind.steps_among(run, steps) for kind in _kinds))
