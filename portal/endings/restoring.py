"""After a restore: what people have ended since the back-up is ended again.

It uses the same verbs, so that holds, cases and lines of the log are there as after the first time.
It never permits anything: what was taken back since is left as the back-up has it, and what cannot
be repeated is reported for a person to decide.
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
BATCH_SIZE = 500


class Replayed(NamedTuple):
    entry: JournalEntry
    answer: Answer


@dataclass
class ReplayReport:
    """`done` is in the order of the journal; `faults` are those of the journal itself; `doubted`
    counts the entries of which it is not known whether they were ever committed."""

    done: list[Replayed] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    doubted: int = 0

    def count(self, outcome: Outcome) -> int:
        return sum(replayed.answer.outcome == outcome for replayed in self.done)


def behind() -> bool:
    """Return whether the database is older than its journal, and `restored` has not been run yet.

    Cheap: it reads the journal's last lines. Raises OSError."""
    return journal.committed_beyond(places.current(), EndingsPosition.objects.first())


def apply_missing(*, by: User) -> ReplayReport:
    """Repeat what the journal has and the database lacks, all in one transaction. A second run
    finds nothing. Raises OSError or journal.Unwritable."""
    contents, report = journal.read(), ReplayReport()
    position = EndingsPosition.objects.first()
    report.faults = [*contents.faults, *_lost_lines(position)]
    with transaction.atomic():
        commit_order.moment()
        missing, taken_back = _missing(contents.entries), _taken_back(contents.entries)
        for index in missing:
            entry = contents.entries[index]
            report.done.append(Replayed(entry, _again(entry, by, gone=index in taken_back)))
            report.doubted += entry.hash in contents.doubted
        if missing or report.faults or behind():
            audit.record(
                by=by,
                verb=RESTORED,
                subject=by,
                lines=len(missing),
                done=report.count(Outcome.DONE),
                by_hand=report.count(Outcome.BY_HAND),
                faults=len(report.faults),
            )
    return report


def _lost_lines(position: EndingsPosition | None) -> list[str]:
    """Return what this database knows to have been in the journal and is missing now."""
    if position is None:
        return []
    place = places.current()
    if position.journal not in place.names():
        return [f"The journal {position.journal} is gone from {place.where()}."]
    try:
        last = journal.last_line(place, position.journal)
    except journal.Damaged:
        return []  # The faults of journal.read name it.
    shorter = journal.lost(position.journal, last, position)
    return [shorter] if shorter else []


def _missing(entries: Sequence[JournalEntry]) -> list[int]:
    """Return the indexes of entries that the log lacks and no earlier restore has handled."""
    known: set[str] = set()
    for hashes in parts([entry.hash for entry in entries], BATCH_SIZE):
        known.update(AuditEvent.objects.filter(hash__in=hashes).values_list("hash", flat=True))
    last_restore = max(
        (
            index
            for index, entry in enumerate(entries)
            if entry.verb == RESTORED and entry.hash in known
        ),
        default=-1,
    )
    return [
        index
        for index, entry in enumerate(entries)
        if index > last_restore and entry.hash not in known and entry.verb != RESTORED
    ]


def _again(entry: JournalEntry, by: User, *, gone: bool) -> Answer:
    ending = declared().get(entry.verb)
    if ending is None:
        return Answer(Outcome.BY_HAND, f"This version does not know the verb {entry.verb}.")
    if gone:
        return Answer(Outcome.ALREADY, "It was taken back since.")
    try:
        # An entry that cannot be repeated must not stop the others.
        with transaction.atomic():
            return ending.replay(entry, _acting_user(entry, by))
    except journal.Unwritable:
        raise
    except Exception as error:  # noqa: BLE001 - a person reads it
        return Answer(Outcome.BY_HAND, str(error) or type(error).__name__)


def _taken_back(entries: Sequence[JournalEntry]) -> set[int]:
    """Return the indexes of entries that a later entry takes back."""
    known, taken_back = declared(), set[int]()
    since: set[tuple[str, Hashable]] = set()
    for index in reversed(range(len(entries))):
        entry = entries[index]
        ending = known.get(entry.verb)
        if ending is None:
            continue
        about = ending.about(entry)
        if (entry.verb, about) in since:
            taken_back.add(index)
        since.update((verb, about) for verb in ending.takes_back)
    return taken_back


def _acting_user(entry: JournalEntry, by: User) -> User:
    """Return who ended it, if their account is still active; otherwise `by`."""
    if entry.actor is None:
        return by
    rows = User.objects.filter(pk=entry.actor, is_active=True, date_joined__lte=entry.at)
    return rows.first() or by


declare(Ending(RESTORED, lambda entry, _: Answer(Outcome.ALREADY, str(entry.seq))))
