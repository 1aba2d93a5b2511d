"""After a restore: what people have ended since the back-up is ended again.

By the same verbs, so that holds, cases and lines of the log are there as after the first time.
Nothing is ever permitted by it: what was taken back since is left as the back-up has it, and what
cannot be done again is told for a person to decide.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db import transaction

from portal import audit
from portal.database import commit_order
from portal.database.bulk import parts
from portal.endings import journal, places
from portal.endings.declared import Answer, Ending, JournalEntry, Outcome, declare, declared
from portal.models import AuditEvent, EndingsPosition, User

RESTORED = "endings.restored"
AT_ONCE = 500


class Replayed(NamedTuple):
    said: JournalEntry
    answer: Answer


@dataclass
class ReplayReport:
    """`done` in the order in which it was said; `faults` of the journal itself; `doubted` are the
    words of which it is not known whether they were ever committed."""

    done: list[Replayed] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    doubted: int = 0

    def count(self, outcome: Outcome) -> int:
        return sum(replayed.answer.outcome == outcome for replayed in self.done)


def behind() -> bool:
    """Whether the database is older than its journal, and `restored` has not been run yet.

    Cheap: it reads the journal's last lines. Raises OSError."""
    return journal.kept_beyond(places.current(), EndingsPosition.objects.first())


def apply_missing(*, by: User) -> ReplayReport:
    """Do again what the journal has and the database lacks, all in one transaction. Run again it
    finds nothing. Raises OSError or journal.Unwritable."""
    kept, found = journal.read(), ReplayReport()
    position = EndingsPosition.objects.first()
    found.faults = [*kept.faults, *_lost(position)]
    with transaction.atomic():
        commit_order.moment()
        missing, back = _missing(kept.said), _taken_back(kept.said)
        for place in missing:
            said = kept.said[place]
            found.done.append(Replayed(said, _again(said, by, gone=place in back)))
            found.doubted += said.hash in kept.doubted
        if missing or found.faults or behind():
            audit.record(
                by=by,
                verb=RESTORED,
                subject=by,
                lines=len(missing),
                done=found.count(Outcome.DONE),
                by_hand=found.count(Outcome.BY_HAND),
                faults=len(found.faults),
            )
    return found


def _lost(position: EndingsPosition | None) -> list[str]:
    """What this database knows to have been in the journal, and is there no more."""
    if position is None:
        return []
    place = places.current()
    if position.journal not in place.names():
        return [f"The journal {position.journal} is gone from {place.where()}."]
    try:
        last = journal.last_line(place, position.journal)
    except journal.Damaged:
        return []  # Told by who has read it all.
    shorter = journal.lost(position.journal, last, position)
    return [shorter] if shorter else []


def _missing(said: Sequence[JournalEntry]) -> list[int]:
    """The places of what is not in the log, and was not looked at after an earlier restore."""
    known: set[str] = set()
    for some in parts([ending.hash for ending in said], AT_ONCE):
        known.update(AuditEvent.objects.filter(hash__in=some).values_list("hash", flat=True))
    looked = max(
        (
            place
            for place, ending in enumerate(said)
            if ending.verb == RESTORED and ending.hash in known
        ),
        default=-1,
    )
    return [
        place
        for place, ending in enumerate(said)
        if place > looked and ending.hash not in known and ending.verb != RESTORED
    ]


def _again(said: JournalEntry, by: User, *, gone: bool) -> Answer:
    ending = declared().get(said.verb)
    if ending is None:
        return Answer(Outcome.BY_HAND, f"{said.verb} is a word that this version does not know.")
    if gone:
        return Answer(Outcome.ALREADY, "It was taken back since.")
    try:
        # One that cannot be done again must not keep the others from it.
        with transaction.atomic():
            return ending.again(said, _speaker(said, by))
    except journal.Unwritable:
        raise
    except Exception as error:  # noqa: BLE001 - a person reads it
        return Answer(Outcome.BY_HAND, str(error) or type(error).__name__)


def _taken_back(said: Sequence[JournalEntry]) -> set[int]:
    """The places of the words that a later one takes back."""
    known, back = declared(), set[int]()
    since: set[tuple[str, Hashable]] = set()
    for place in reversed(range(len(said))):
        line = said[place]
        ending = known.get(line.verb)
        if ending is None:
            continue
        about = ending.about(line)
        if (line.verb, about) in since:
            back.add(place)
        # A word that was said again counts by its last time.
        since.discard((line.verb, about))
        since.update((verb, about) for verb in ending.takes_back)
    return back


def _speaker(said: JournalEntry, by: User) -> User:
    """Who said it, while they are still somebody here."""
    if said.actor is None:
        return by
    rows = User.objects.filter(pk=said.actor, is_active=True, date_joined__lte=said.at)
    return rows.first() or by


declare(Ending(RESTORED, lambda said, _: Answer(Outcome.ALREADY, str(said.seq))))
