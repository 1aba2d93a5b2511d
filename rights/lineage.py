"""What came out of recordings: datasets, runs, checkpoints, samples, tests. In plain words and
keys, because all of it lives in rooms above this one, which register here what they have.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.db.models import QuerySet

from portal.models import User
from rights.models import CaseItem, Hold, Recording

Outcome = CaseItem.Outcome


@dataclass
class Origin:
    """The music that is asked about, by which uses, and up to which moment: what was frozen later
    rests on a later permission. `kept` is for what the kinds find and would look up again."""

    recordings: QuerySet[Recording]
    uses: Sequence[str]
    until: datetime | None = None
    kept: dict[str, Any] = field(default_factory=dict)


class Node(NamedTuple):
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
    # What a person can have done to it for good: the task, the verb on the button, what happens
    # then, and the outcome. Without a task it ends by itself.
    remedy: str
    verb: str
    meaning: str
    remedied: Outcome

    def find(self, origin: Origin) -> Iterable[Node]:
        """All that came out of any of this music by one of these uses."""

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        """How these stand now, by key; one that is gone is left out."""

    def retire(self, keys: Sequence[str], reason: str) -> None:
        """See to it that these are never used or heard again."""

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        """Those that this person may look at where they are."""

    def mark(self) -> str:
        """Another one whenever something of this kind may have come or changed; cheap to ask."""


_kinds: dict[str, Kind] = {}
_heard_at: dict[str, Callable[[CaseItem], str]] = {}
_marking: list[Callable[[QuerySet[Hold]], None]] = []


def register(kind: Kind) -> None:
    _kinds[kind.name] = kind


def let_hear(kind: str, address: Callable[[CaseItem], str]) -> None:
    """`address` is where who judges an item of this kind hears it, whatever keeps it silent."""
    _heard_at[kind] = address


def heard_at(item: CaseItem) -> str:
    """Where to hear it; empty for what makes no sound, and for what is judged already."""
    address = _heard_at.get(item.kind)
    return address(item) if address and item.settled_at is None else ""


def when_held(mark: Callable[[QuerySet[Hold]], None]) -> None:
    """`mark` is called with new holds, inside the transaction that places them."""
    _marking.append(mark)


def held(holds: QuerySet[Hold]) -> None:
    for mark in _marking:
        mark(holds)


def marks() -> str:
    """Another one whenever anything that a case tells may have changed."""
    return hashlib.sha256(" ".join(kind.mark() for kind in kinds()).encode()).hexdigest()


def kinds() -> list[Kind]:
    """In the order in which one comes out of the other."""
    return sorted(_kinds.values(), key=lambda kind: kind.order)


def kind(name: str) -> Kind:
    return _kinds[name]


@dataclass(frozen=True)
class Level:
    kind: Kind
    nodes: list[Node]


def descendants(
    recordings: Iterable[int] | QuerySet[Recording],
    uses: Iterable[str],
    until: datetime | None = None,
) -> list[Level]:
    """Everything that came out of the recordings, a level for each kind that has some."""
    if not isinstance(recordings, QuerySet):
        recordings = Recording.objects.filter(pk__in=sorted(set(recordings)))
    origin = Origin(recordings, sorted(set(uses)), until)
    levels = [Level(kind, list(kind.find(origin))) for kind in kinds()]
    return [level for level in levels if level.nodes]
