"""How acts that ended or narrowed a permission are repeated after a restore (portal/endings).

Each is repeated by the verb that did it first. Rows are found by their ids, which a restored
database may have given to something else since: a row younger than the journal entry is not the
entry's subject. Reasons are not in the journal, so each new reason gives the time of the entry.
"""

from collections.abc import Callable, Hashable
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

from django.db import models

from portal.endings import Answer, Ending, JournalEntry, Outcome, declare
from portal.models import User
from rights.catalogue import catalogue, derivations
from rights.errors import Refused
from rights.grants import lifecycle
from rights.models import (
    Grant,
    Mandate,
    Party,
    Recording,
    RoleCode,
    Signal,
    Use,
    WithdrawalCase,
    Work,
)
from rights.parties import members, parties, public_credit, splits
from rights.tdm import signals
from rights.tdm.reservations import Reservation as Read
from rights.withdrawal import cases

M = TypeVar("M", bound=models.Model)
Status = Grant.Status
# Codes of refusals by which a verb reports that the act has been done already.
DONE_ALREADY = frozenset({"opted_out", "duplicate", "none", "superseded"})


def reason(entry: JournalEntry) -> str:
    """Return a reason; it is the same for all entries of one moment, so they share a case again."""
    return f"Said on {entry.at:%Y-%m-%d %H:%M:%S} UTC, before the restore; the words are lost."


def done(sentence: str) -> Answer:
    return Answer(Outcome.DONE, sentence)


def already(sentence: str) -> Answer:
    return Answer(Outcome.ALREADY, sentence)


def by_hand(sentence: str) -> Answer:
    return Answer(Outcome.BY_HAND, sentence)


def find(table: type[M], pk: object, entry: JournalEntry, *, born: str = "created_at") -> M | None:
    """Return the row with that id, if it existed at the time of the entry."""
    row = table._default_manager.filter(pk=pk).first()
    if row is None:
        return None
    created: datetime | None = getattr(row, born)
    return row if created is None or created <= entry.at else None


def about(
    table: type[M], *, born: str = "created_at"
) -> Callable[[Callable[[M, JournalEntry, User], Answer]], Callable[[JournalEntry, User], Answer]]:
    """Decorate the handler of a verb whose subject is a row of this table. A row that came after
    the back-up is not there, so nothing of it has to end."""

    def of_row(
        again: Callable[[M, JournalEntry, User], Answer],
    ) -> Callable[[JournalEntry, User], Answer]:
        @wraps(again)
        def found(entry: JournalEntry, by: User) -> Answer:
            row = find(table, entry.subject_id, entry, born=born)
            if row is None:
                name = table._meta.verbose_name
                return already(f"The {name} {entry.subject_id} came after the back-up and is gone.")
            try:
                return again(row, entry, by)
            except Refused as error:
                return already(str(error)) if error.code in DONE_ALREADY else by_hand(str(error))

        return found

    return of_row


def _name(grant: Grant) -> str:
    return f"grant {grant.pk} of {grant.grantor} ({Use(grant.use).label})"


@about(Grant)
def _withdraw(grant: Grant, entry: JournalEntry, by: User) -> Answer:
    if grant.ended_at is not None:
        return already(f"{_name(grant).capitalize()} has ended.")
    # Under the commit-order lock and with its case: in force, suspended or on offer.
    lifecycle.withdraw(grant, by, reason(entry))
    return done(f"Ended {_name(grant)}.")


@about(Grant)
def _suspend(grant: Grant, entry: JournalEntry, by: User) -> Answer:
    if grant.status != Status.ACTIVE:
        return already(f"{_name(grant).capitalize()} is {grant.get_status_display().lower()}.")
    lifecycle.suspend(grant, by, reason(entry))
    return done(f"Suspended {_name(grant)}.")


@about(Grant)
def _resume(grant: Grant, entry: JournalEntry, by: User) -> Answer:  # noqa: ARG001 - nothing is permitted
    if grant.status != Status.SUSPENDED:
        return already(f"{_name(grant).capitalize()} does not rest.")
    return by_hand(f"{_name(grant).capitalize()} was resumed since: resume it if that stands.")


@about(Grant)
def _supersede(grant: Grant, entry: JournalEntry, by: User) -> Answer:
    """Suspend the grant: its next version, which may be narrower, is not in force here."""
    if grant.ended_at is not None:
        return already(f"{_name(grant).capitalize()} has ended.")
    if grant.status == Status.ACTIVE:
        lifecycle.suspend(grant, by, reason(entry))
    return by_hand(
        f"{_name(grant).capitalize()} was replaced by a later version, so it rests: put that "
        "version in force again, or resume it."
    )


@about(Mandate)
def _end_mandate(row: Mandate, entry: JournalEntry, by: User) -> Answer:
    if row.revoked_at is not None:
        return already(f"The mandate of {row.agent} for {row.holder} has ended.")
    parties.end_mandate(row, by, reason(entry))
    return done(f"Ended the mandate of {row.agent} for {row.holder}.")


@about(Recording)
def _opt_out(recording: Recording, entry: JournalEntry, by: User) -> Answer:
    party = find(Party, entry.body["party"], entry)
    if party is None:
        return already(f"The party {entry.body['party']} came after the back-up and is gone.")
    lifecycle.opt_out(recording, entry.body["use"], party, by, reason(entry))
    use = Use(entry.body["use"]).label
    return done(f"Opted “{recording}” out of {use} for {party}.")


@about(Recording)
def _signal_of_recording(recording: Recording, entry: JournalEntry, by: User) -> Answer:
    return _signal(recording, entry, by)


@about(Party)
def _signal_of_party(party: Party, entry: JournalEntry, by: User) -> Answer:
    return _signal(party, entry, by)


def _signal(subject: Recording | Party, entry: JournalEntry, by: User) -> Answer:
    uses = tuple(Use(use) for use in entry.body.get("denied", ()))
    if not uses:
        return already(f"{entry.body['key']} of “{subject}” denied nothing.")
    scheme = Signal.Scheme(entry.body.get("scheme", Signal.Scheme.CAWG))
    reservation = Read(scheme, entry.body["key"], entry.body["value"], "", uses)
    signals.record_signals(by=by, subject=subject, reservations=[reservation], source=reason(entry))
    return done(f"Noted again that {reservation.key} of “{subject}” says {reservation.value}.")


def _note(entry: JournalEntry, by: User) -> Answer:
    return (_signal_of_party if entry.subject_type == "rights.party" else _signal_of_recording)(
        entry, by
    )


def _subject(entry: JournalEntry) -> Recording | Work | None:
    table: type[models.Model] = Work if entry.subject_type == "rights.work" else Recording
    row: Any = find(table, entry.subject_id, entry)
    return row  # type: ignore[no-any-return]


def _parties(shares: dict[str, int], entry: JournalEntry) -> dict[Party, int]:
    """Return the shares by party; raise Refused where a party is not there."""
    by_id = {int(pk): find(Party, pk, entry) for pk in shares}
    if missing := [pk for pk, party in by_id.items() if party is None]:
        raise Refused("party", f"The party {missing[0]} is not in the back-up.")
    return {party: shares[str(pk)] for pk, party in by_id.items() if party is not None}


def _propose(entry: JournalEntry, by: User) -> Answer:
    """Propose the same shares again; nothing is permitted until they are confirmed."""
    subject = _subject(entry)
    if subject is None:
        return already(f"{entry.subject_type} {entry.subject_id} came after the back-up.")
    lines = _parties(entry.body["lines"], entry)
    sheet = subject.splits.current().first()
    if sheet and {line.party: line.ppm for line in sheet.lines.select_related("party")} == lines:
        return already(f"The shares of “{subject}” are those that were proposed.")
    splits.propose(by=by, subject=subject, lines=lines)
    return by_hand(f"Proposed the shares of “{subject}” again: their holders confirm them anew.")


def _dispute(entry: JournalEntry, by: User) -> Answer:
    subject, party = _subject(entry), find(Party, entry.body["party"], entry)
    if subject is None or party is None:
        return already(f"{entry.subject_type} {entry.subject_id} came after the back-up.")
    sheet = subject.splits.current().first()
    line = sheet.lines.filter(party=party).first() if sheet else None
    if sheet is None or line is None:
        return by_hand(f"{party} disputed shares of “{subject}” that are not in the back-up.")
    if line.disputed_at is not None:
        return already(f"{party} disputes the shares of “{subject}”.")
    splits.dispute(sheet=sheet, party=party, by=by, reason=reason(entry))
    return done(f"{party} disputes the shares of “{subject}”.")


def _confirm(entry: JournalEntry, by: User) -> Answer:  # noqa: ARG001 - nothing is permitted
    subject = _subject(entry)
    if subject is None:
        return already(f"{entry.subject_type} {entry.subject_id} came after the back-up.")
    sheet = subject.splits.current().first()
    line = sheet.lines.filter(party=entry.body["party"]).first() if sheet else None
    if line and line.confirmed_at and not line.disputed_at:
        return already(f"{line.party} has confirmed its share of “{subject}”.")
    name = line.party if line else f"The party {entry.body['party']}"
    return by_hand(f"{name} confirmed its share of “{subject}” since: it is to be confirmed again.")


def _of_party(entry: JournalEntry) -> Hashable:
    return entry.subject_type, entry.subject_id, entry.body.get("party")


@about(Recording)
def _attach_work(recording: Recording, entry: JournalEntry, by: User) -> Answer:
    work = find(Work, entry.body["work"], entry)
    if work is None:
        return by_hand(f"“{recording}” got a further work that is not in the back-up: enter it.")
    catalogue.attach_work(by=by, recording=recording, work=work)
    return done(f"“{work}” is in “{recording}” again: its holders' permission is needed.")


def _credit(entry: JournalEntry, by: User) -> Answer:
    """Credit the artist again, so that they are asked; persons.py says which uses ask whom."""
    subject, party = _subject(entry), find(Party, entry.body["party"], entry)
    role = entry.body["role"]
    if subject is None:
        return already(f"{entry.subject_type} {entry.subject_id} came after the back-up.")
    if party is None:
        return by_hand(f"“{subject}” got an artist who is not in the back-up: credit them.")
    if subject.credits.filter(party=party, role=role).exists():
        return already(f"{party} is credited on “{subject}”.")
    if role == RoleCode.USER_DEFINED:
        return by_hand(f"{party} was credited on “{subject}” in a role of other words: enter it.")
    catalogue.add_credit(by=by, subject=subject, party=party, role=role)
    return done(f"{party} is credited on “{subject}” again: {RoleCode(role).label.lower()}.")


@about(Party)
def _add_member(group: Party, entry: JournalEntry, by: User) -> Answer:
    member = find(Party, entry.body["member"], entry)
    if member is None:
        return by_hand(f"{group} got a member who is not in the back-up: enter them.")
    if group.members.filter(member=member).exists():
        return already(f"{member} is a member of {group}.")
    members.add(by=by, group=group, member=member)
    return done(f"{member} is a member of {group} again.")


def _relate(entry: JournalEntry, by: User) -> Answer:
    recording, source = _subject(entry), find(Recording, entry.body["source"], entry)
    if not isinstance(recording, Recording) or source is None:
        return already(f"The recording {entry.subject_id} or its source came after the back-up.")
    try:
        derivations.add_relation(by=by, recording=recording, source=source, kind=entry.body["kind"])
    except Refused as error:
        return already(str(error)) if error.code == "duplicate" else by_hand(str(error))
    return done(f"“{recording}” comes from “{source}” again.")


@about(Party)
def _public_credit(party: Party, entry: JournalEntry, by: User) -> Answer:
    if entry.body["credit"] == Party.PublicCredit.UNNAMED:
        if party.public_credit == Party.PublicCredit.UNNAMED:
            return already(f"{party} is named nowhere in public.")
        public_credit.choose(by=by, party=party, credit=Party.PublicCredit.UNNAMED)
        return done(f"{party} is named nowhere in public.")
    return by_hand(f"{party} chose anew how public pages speak of it: ask, and enter it again.")


def _remedy(entry: JournalEntry, by: User) -> Answer:
    case, kind = find(WithdrawalCase, entry.subject_id, entry, born="opened_at"), entry.body["kind"]
    if case is None:
        return by_hand(
            f"In a case that is opened anew the kind “{kind}” was remedied: do it again."
        )
    try:
        count = cases.remedy(case, kind, by, reason(entry))
    except Refused as error:
        return already(str(error)) if error.code == "none" else by_hand(f"{case}: {error}")
    return done(f"{case}: retired or recalled {count} of the kind “{kind}”.")


def _settle(entry: JournalEntry, by: User) -> Answer:  # noqa: ARG001
    case = find(WithdrawalCase, entry.subject_id, entry, born="opened_at")
    name = str(case) if case else "A case that is opened anew"
    return by_hand(f"{name}: one of what came out of it was settled. Settle it again.")


declare(
    Ending("grant.withdrawn", _withdraw),
    Ending("grant.declined", _withdraw),
    Ending("grant.superseded", _supersede),
    Ending("grant.suspended", _suspend),
    Ending("grant.resumed", _resume, takes_back=("grant.suspended",)),
    Ending("mandate.revoked", _end_mandate),
    Ending("recording.opted_out", _opt_out),
    Ending("signal.noted", _note, when=lambda body: bool(body.get("denied"))),
    Ending("split.proposed", _propose),
    Ending("split.disputed", _dispute, about=_of_party),
    Ending("split.confirmed", _confirm, about=_of_party, takes_back=("split.disputed",)),
    Ending("recording.work_attached", _attach_work),
    Ending("credit.added", _credit),
    Ending("party.member_added", _add_member),
    Ending("recording.relation_said", _relate),
    Ending("party.public_credit", _public_credit),
    Ending("case.remedied", _remedy),
    Ending("case.item_settled", _settle),
)
