"""What was derived from recordings: datasets, runs, checkpoints, samples, tests. In plain words and
keys, because all of it lives in packages above this one, which register their kinds here."""

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
    """Music that was frozen for a use: where, when, and in which context it was allowed.

    `source` is its key as a dataset. With `made_for` the use asked about is what it was frozen for,
    or what a run did with it, at `made_at`; otherwise it is one that only follows and goes on until
    now, such as playing its clips to listeners.
    """

    source: str
    context: Context
    made_at: datetime
    recordings: frozenset[int]
    made_for: bool


class CaseMark(NamedTuple):
    """The fact that a case withholds what was made of a frozen set, from the moment of its hold on;
    with the music in it that the case is about, in each context that the set is asked about in."""

    case: WithdrawalCase
    hold: Hold
    reliances: list[Reliance]


class Basis(Protocol):
    """The package that freezes music and knows what was made of it."""

    def relied_on(self, recordings: Collection[int], use: str) -> list[Reliance]:
        """Return every frozen set with any of these recordings, with those of them that it
        contains; a set that is asked about in several contexts is returned once for each."""

    def mark(
        self, case: WithdrawalCase, held: Mapping[str, Hold], staying: Collection[str]
    ) -> None:
        """Withhold what was derived from the `held` sets from now on, for the case's use; the
        `staying` sets belong to the case too, and go on as agreed."""

    def marked(self, case: WithdrawalCase) -> tuple[list[str], list[str]]:
        """Return the sets that the case withholds, and those that belong to it and stay."""

    def marks(self, recordings: Collection[int]) -> list[CaseMark]:
        """Return the marks of all withheld sets with any of these recordings."""

    def unmark(self, mark: CaseMark) -> None:
        """Stop withholding this set for the case."""


@dataclass
class Origin:
    """The frozen sets that are asked about, by their keys, and by which uses of them. `kept` caches
    what the kinds find and would look up again."""

    sources: Sequence[str]
    uses: Sequence[str]
    cache: dict[str, Any] = field(default_factory=dict)


class Node(NamedTuple):
    """One descendant. `outcome` is what has become of it so far, OPEN where nothing has."""

    kind: str
    key: str
    label: str
    url: str = ""
    at: datetime | None = None
    outcome: Outcome = Outcome.OPEN


class Kind(Protocol):
    """One kind of descendant, as its package registers it. `order` is its place in the sequence."""

    name: str
    title: str
    order: int
    # What a person can have done to it for good: the task, the verb on the button, what that does,
    # and the outcome. Without a task it ends by itself.
    remedy: str
    verb: str
    meaning: str
    remedied: Outcome

    def find(self, origin: Origin) -> Iterable[Node]:
        """Return all that was derived from any of these sets by one of these uses."""

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        """Return how these stand now, by key; a deleted one is left out."""

    def retire(self, keys: Sequence[str], reason: str) -> None:
        """Make sure that these are never used or heard again."""

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        """Return the keys of those that this person may look at on their own pages."""

    def mark(self) -> str:
        """Return another value whenever something of this kind may be new or changed; cheap."""


def rows_named(rows: Manager[M] | QuerySet[M], keys: Iterable[str]) -> QuerySet[M]:
    """Return those of `rows` that these keys name. People type keys: one that no row could have
    names none, where the database would raise an error."""
    pk = rows.model._meta.pk
    assert pk is not None  # noqa: S101 - for the types
    values = []
    for key in keys:
        with suppress(ValidationError):
            value = pk.clean(key, None)
            if str(value) == key:
                values.append(value)
    return rows.filter(pk__in=values)


_kinds: dict[str, Kind] = {}
_heard_at: dict[str, Callable[[CaseItem], str]] = {}
_basis: list[Basis] = []


def register(kind: Kind) -> None:
    _kinds[kind.name] = kind


def register_listening_page(kind: str, address: Callable[[CaseItem], str]) -> None:
    """Register where a reviewer hears an item of this kind, even while it is withheld."""
    _heard_at[kind] = address


def listening_url(item: CaseItem) -> str:
    """Return where to hear the item; empty for what makes no sound, or is judged already."""
    address = _heard_at.get(item.kind)
    return address(item) if address and item.settled_at is None else ""


def register_basis(basis: Basis) -> None:
    """Register the one package where music is frozen."""
    _basis[:] = [basis]


def basis() -> Basis:
    return _basis[0]


def state_digest() -> str:
    """Return another value whenever anything that a case shows may have changed."""
    return hashlib.sha256(" ".join(kind.mark() for kind in kinds()).encode()).hexdigest()


def kinds() -> list[Kind]:
    """Return the kinds in the order in which one is derived from another."""
    return sorted(_kinds.values(), key=lambda kind: kind.order)


def kind(name: str) -> Kind:
    return _kinds[name]


@dataclass(frozen=True)
class Level:
    kind: Kind
    nodes: list[Node]


def descendants(sources: Iterable[str], uses: Iterable[str]) -> list[Level]:
    """Return everything derived from these frozen sets, a level for each kind that has some."""
    origin = Origin(sorted(set(sources)), sorted(set(uses)))
    levels = [Level(kind, list(kind.find(origin))) for kind in kinds()] if origin.sources else []
    return [level for level in levels if level.nodes]
