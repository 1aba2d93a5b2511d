"""What rooms above store of a run's outputs: they register it, as this room may not import them."""

from collections.abc import Callable, Collection
from typing import Protocol
from uuid import UUID

from experiments.models import Run


class Outputs(Protocol):
    """One kind of output of runs, such as samples."""

    def count(self, run: Run) -> int:
        """Return how many the run has made so far."""

    def steps_among(self, run: Run, steps: Collection[int]) -> set[int]:
        """Return those of the steps at which the run made some."""

    def why_kept(self, runs: Collection[UUID]) -> dict[UUID, str]:
        """Return which of the runs may not be deleted because of what they made, each with a
        sentence."""

    def forget(self, run: Run) -> list[str]:
        """Delete the bytes of what the run made, inside a transaction; return the digests that may
        be forgotten. What permissions and credits rest on stays."""


_kinds: list[Outputs] = []
# What is done about runs beside their outputs when they are deleted, and about one that is purged.
_at_deletion: list[Callable[[Collection[UUID]], None]] = []
_acts: list[Callable[[Run], None]] = []


def register(kind: Outputs) -> None:
    _kinds.append(kind)


def count(run: Run) -> int:
    return sum(kind.count(run) for kind in _kinds)


def why_kept(runs: Collection[UUID]) -> dict[UUID, str]:
    reasons: dict[UUID, str] = {}
    for kind in _kinds:
        reasons = kind.why_kept(runs) | reasons
    return reasons


def on_delete(act: Callable[[Collection[UUID]], None]) -> None:
    """Have `act` take runs that people have deleted out of what rooms above tell, in that
    transaction. They may be brought back."""
    _at_deletion.append(act)


def deleted(runs: Collection[UUID]) -> None:
    for act in _at_deletion:
        act(runs)


def on_purge(act: Callable[[Run], None]) -> None:
    """Have `act` remove what rooms above know of a run that is purged, in that transaction."""
    _acts.append(act)


def forget(run: Run) -> list[str]:
    for act in _acts:
        act(run)
    return [digest for kind in _kinds for digest in kind.forget(run)]


def steps_among(run: Run, steps: Collection[int]) -> set[int]:
    return set[int]().union(*(kind.steps_among(run, steps) for kind in _kinds))
