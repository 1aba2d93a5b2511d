"""What came out of recordings: datasets, runs, checkpoints, samples, tests. In plain words and
keys, because all of it lives in rooms above this one, which register here what they have.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rights.models import CaseItem

Outcome = CaseItem.Outcome


@dataclass(frozen=True)
class Node:
    """One descendant. `outcome` is what has become of it by now, OPEN where nothing has."""

    kind: str
    key: str
    label: str
    url: str = ""
    at: datetime | None = None
    outcome: Outcome = Outcome.OPEN


class Kind(Protocol):
    """One kind of descendant, as its room registers it. `order` is its place in the line."""

    name: str
    title: str
    order: int
    # What a person can have done to it for good: its verb, and the outcome of that.
    remedy: str
    remedied: Outcome

    def find(self, recordings: Sequence[int], uses: Sequence[str]) -> Iterable[Node]:
        """All that came out of any of these recordings by one of these uses."""

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        """How these stand now, by key; one that is gone is left out."""

    def retire(self, keys: Sequence[str], reason: str) -> None:
        """See to it that these are never used or heard again."""


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    _kinds[kind.name] = kind


def kinds() -> list[Kind]:
    """In the order in which one comes out of the other."""
    return sorted(_kinds.values(), key=lambda kind: kind.order)


def kind(name: str) -> Kind:
    return _kinds[name]


@dataclass(frozen=True)
class Level:
    kind: Kind
    nodes: list[Node]


def descendants(recordings: Iterable[int], uses: Iterable[str]) -> list[Level]:
    """Everything that came out of the recordings, a level for each kind that has some."""
    ids, asked = sorted(set(recordings)), sorted(set(uses))
    levels = [Level(kind, list(kind.find(ids, asked))) for kind in kinds()] if ids else []
    return [level for level in levels if level.nodes]
