"""Which verbs of the audit log end or narrow something, and how each is repeated."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from portal.models import User


class JournalEntry(NamedTuple):
    """One line of the audit log as the journal has it: numbers and codes, no names or reasons."""

    seq: int
    hash: str
    at: datetime
    verb: str
    subject_type: str
    subject_id: str
    actor: int | None
    body: dict[str, Any]


class Outcome(Enum):
    """What became of an entry that the database lacked."""

    DONE = "done"
    ALREADY = "already"
    BY_HAND = "by hand"


class Answer(NamedTuple):
    outcome: Outcome
    sentence: str


def _subject(entry: JournalEntry) -> Hashable:
    return entry.subject_type, entry.subject_id


@dataclass(frozen=True)
class Ending:
    """How a verb is repeated: `replay` does it as `by` and returns the outcome; an exception is
    reported to whoever restores. `takes_back` names the verbs that this one undoes if `about` is
    the same: neither is repeated then. Verbs that permit something are journaled for that alone."""

    verb: str
    replay: Callable[[JournalEntry, User], Answer]
    about: Callable[[JournalEntry], Hashable] = field(default=_subject)
    takes_back: tuple[str, ...] = ()
    # Whether a line of the verb is journaled, by its body.
    when: Callable[[Mapping[str, Any]], bool] = field(default=lambda _: True)


_declared: dict[str, Ending] = {}


def declare(*endings: Ending) -> None:
    _declared.update({ending.verb: ending for ending in endings})


def declared() -> dict[str, Ending]:
    return dict(_declared)


def is_kept(verb: str, body: Mapping[str, Any]) -> bool:
    """Return whether a line of the log belongs in the journal."""
    ending = _declared.get(verb)
    return ending is not None and ending.when(body)
