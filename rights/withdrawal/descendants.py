"""What came out of recordings: datasets, runs, checkpoints, samples, tests. In plain words and
keys, because all of it lives in rooms above this one, which register here what they have.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Manager, Model, QuerySet

from portal.models import User
from rights.consent.evaluator import Context
from rights.models import CaseItem, Hold, WithdrawalCase

Outcome = CaseItem.Outcome
M = TypeVar("M", bound=Model)


class Reliance(NamedTuple):
    """Music that was frozen to be used: where, when, and in which context it was allowed.

    `source` is its key as a dataset. With `made_for` the asked use is what it was frozen for, or
    what a run did with it, at `made_at`; else one that only follows and goes on until now, such as
    playing its clips to listeners.
    """

    source: str
    context: Context
    made_at: datetime
    recordings: frozenset[int]
    made_for: bool


class CaseMark(NamedTuple):
    """That a case withholds what was made of a frozen set, from the moment of its hold on; the
    music in it that the case is about, in each context that the set is asked about in."""

    case: WithdrawalCase
    hold: Hold
    reliances: list[Reliance]


class Basis(Protocol):
    """The room that freezes music and knows what was made of it."""

    def relied_on(self, recordings: Collection[int], use: str) -> list[Reliance]:
        """Every frozen set with any of these recordings, with those of them that it holds; one
        that is asked about in several contexts comes several times."""

    def mark(
        self, case: WithdrawalCase, held: Mapping[str, Hold], staying: Collection[str]
    ) -> None:
        """From now on what came of the `held` sets is withheld for the case's use; `staying` is
        what the case is about too, and goes on as agreed."""

    def marked(self, case: WithdrawalCase) -> tuple[list[str], list[str]]:
        """What the case withholds, and what it is about and stays."""

    def marks(self, recordings: Collection[int]) -> list[CaseMark]:
        """All that is withheld of sets with any of these recordings."""

    def unmark(self, mark: CaseMark) -> None:
        """The case withholds this set no more."""


@dataclass
class Origin:
    """The frozen sets that are asked about, by their keys, and by which uses of them. `kept` is for
    what the kinds find and would look up again."""

    sources: Sequence[str]
    uses: Sequence[str]
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
        """All that came of any of these sets by one of these uses."""

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        """How these stand now, by key; one that is gone is left out."""

    def retire(self, keys: Sequence[str], reason: str) -> None:
        """See to it that these are never used or heard again."""

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        """Those that this person may look at where they are."""

    def mark(self) -> str:
        """Another one whenever something of this kind may have come or changed; cheap to ask."""


def rows_named(rows: Manager[M] | QuerySet[M], keys: Iterable[str]) -> QuerySet[M]:
    """Those of `rows` that these keys name. People type keys: what no row could have names none,
    where the database would break off over it."""
    pk = rows.model._meta.pk
    assert pk is not None  # noqa: S101 - for the types
    names = []
    for key in keys:
        with suppress(ValidationError):
            name = pk.clean(key, None)
            if str(name) == key:
                names.append(name)
    return rows.filter(pk__in=names)


_kinds: dict[str, Kind] = {}
_heard_at: dict[str, Callable[[CaseItem], str]] = {}
_basis: list[Basis] = []


def register(kind: Kind) -> None:
    _kinds[kind.name] = kind


def let_hear(kind: str, address: Callable[[CaseItem], str]) -> None:
    """`address` is where who judges an item of this kind hears it, whatever keeps it silent."""
    _heard_at[kind] = address


def heard_at(item: CaseItem) -> str:
    """Where to hear it; empty for what makes no sound, and for what is judged already."""
    address = _heard_at.get(item.kind)
    return address(item) if address and item.settled_at is None else ""


def rest_on(basis: Basis) -> None:
    """Names the one room where music is frozen."""
    _basis[:] = [basis]


def basis() -> Basis:
    return _basis[0]


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


def descendants(sources: Iterable[str], uses: Iterable[str]) -> list[Level]:
    """Everything that came of these frozen sets, a level for each kind that has some."""
    origin = Origin(sorted(set(sources)), sorted(set(uses)))
    levels = [Level(kind, list(kind.find(origin))) for kind in kinds()] if origin.sources else []
    return [level for level in levels if level.nodes]
