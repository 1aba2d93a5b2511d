"""Who holds which share: proposed in versions, confirmed or disputed by each party.

A sheet belongs to one subject (the composition of a work, the master of a recording). A new one
supersedes the old one at once, and permission is suspended until all have confirmed it.
"""

from collections.abc import Mapping

from django.db import transaction

from portal import audit
from portal.database import commit_order
from portal.models import User
from rights.errors import Refused, required
from rights.models import (
    PPM,
    Party,
    Recording,
    RightType,
    SplitAnswer,
    SplitLine,
    SplitSheet,
    Work,
)
from rights.withdrawal import cases, losses


@transaction.atomic
def propose(
    *, by: User | None, subject: Recording | Work, lines: Mapping[Party, int]
) -> SplitSheet:
    """Propose a new sheet for the subject, in parts per million; each party has yet to confirm it.

    It supersedes the one in force, and what was permitted under that one is put on hold until all
    have confirmed; if no permission is missing then, it is released.
    """
    if not lines:
        raise Refused("empty", "A split needs at least one holder.", field="lines")
    if any(not 0 < ppm <= PPM for ppm in lines.values()):
        raise Refused("share", "Each share lies between 0 and 100 %.", field="lines")
    if (total := sum(lines.values())) != PPM:
        raise Refused(
            "total",
            f"The shares add up to {total / 10_000:g} %; they must make exactly 100 %.",
            field="lines",
        )
    # Proposals made at the same time follow one another.
    at = commit_order.moment()
    watch = losses.Watch(_music(subject))
    open_sheets = subject.splits.current()
    old = open_sheets.first()
    if old:
        open_sheets.update(status=SplitSheet.Status.SUPERSEDED, superseded_at=at)
    is_recording = isinstance(subject, Recording)
    sheet = SplitSheet.objects.create(
        recording=subject if isinstance(subject, Recording) else None,
        work=subject if isinstance(subject, Work) else None,
        right_type=RightType.MASTER if is_recording else RightType.COMPOSITION,
        version=old.version + 1 if old else 1,
        created_at=at,
    )
    SplitLine.objects.bulk_create(
        SplitLine(sheet=sheet, party=party, ppm=ppm) for party, ppm in lines.items()
    )
    audit.record(
        by=by,
        verb="split.proposed",
        subject=subject,
        sheet=sheet.pk,
        version=sheet.version,
        lines={str(party.pk): ppm for party, ppm in lines.items()},
    )
    cases.open_for_findings(
        by=by, party=next(iter(lines)), watch=watch, reason="A new split is proposed."
    )
    return sheet


def _music(subject: Recording | Work) -> list[int]:
    """Return the recordings that depend on the subject's sheet."""
    if isinstance(subject, Recording):
        return [subject.pk]
    return list(subject.recordings.order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def confirm(*, sheet: SplitSheet, party: Party, by: User | None, reason: str = "") -> SplitSheet:
    """Confirm the party's share; the last party to confirm confirms the sheet.

    A party that had disputed it takes the dispute back this way. `reason` says how it is known,
    where the party did not say so itself.
    """
    sheet, line = _line(sheet, party)
    if line.confirmed_at and not line.disputed_at:
        return sheet
    _answer(line, by=by, confirmed=True, reason=reason)
    if sheet.lines.exclude(disputed_at=None).exists():
        sheet.status = SplitSheet.Status.DISPUTED
    elif sheet.lines.filter(confirmed_at=None).exists():
        sheet.status = SplitSheet.Status.CONFIRMING
    else:
        sheet.status = SplitSheet.Status.CONFIRMED
    sheet.save(update_fields=["status"])
    audit.record(
        by=by, verb="split.confirmed", subject=_subject(sheet), sheet=sheet.pk, party=party.pk
    )
    if sheet.status == SplitSheet.Status.CONFIRMED:
        cases.release_settled(_music(_subject(sheet)), by=by)
    return sheet


@transaction.atomic
def dispute(*, sheet: SplitSheet, party: Party, by: User | None, reason: str) -> SplitSheet:
    """Dispute the shares for the party: nothing is permitted until that is settled."""
    reason = required(reason, field="reason", longest=300)
    sheet, line = _line(sheet, party)
    watch = losses.Watch(_music(_subject(sheet)))
    _answer(line, by=by, confirmed=False, reason=reason)
    sheet.status = SplitSheet.Status.DISPUTED
    sheet.save(update_fields=["status"])
    audit.record(
        by=by,
        verb="split.disputed",
        subject=_subject(sheet),
        sheet=sheet.pk,
        party=party.pk,
        private={"reason": reason},
    )
    cases.open_for_findings(by=by, party=party, watch=watch, reason=f"Split disputed: {reason}")
    return sheet


def _answer(line: SplitLine, *, by: User | None, confirmed: bool, reason: str) -> None:
    at = commit_order.moment()
    line.confirmed_at, line.disputed_at = (at, None) if confirmed else (None, at)
    line.save(update_fields=["confirmed_at", "disputed_at"])
    SplitAnswer.objects.create(line=line, confirmed=confirmed, reason=reason, made_by=by, at=at)


def _line(sheet: SplitSheet, party: Party) -> tuple[SplitSheet, SplitLine]:
    """Return the open sheet and the party's line on it, in this transaction's turn."""
    commit_order.moment()
    current = SplitSheet.objects.get(pk=sheet.pk)
    if current.status == SplitSheet.Status.SUPERSEDED:
        raise Refused("superseded", "There is a newer split sheet; look at that one.")
    line = current.lines.filter(party=party).first()
    if line is None:
        raise Refused("party", f"{party} is not on this split sheet.", field="party")
    return current, line


def _subject(sheet: SplitSheet) -> Recording | Work:
    subject = sheet.recording or sheet.work
    assert subject is not None  # noqa: S101 - a database constraint says so
    return subject


def first_holder(recording: Recording) -> Party | None:
    """Return the party for a case about a finding on the music: the master's first holder."""
    sheets = recording.splits.current()
    lines = SplitLine.objects.filter(sheet__in=sheets).order_by("pk").select_related("party")
    return next((line.party for line in lines[:1]), None)
