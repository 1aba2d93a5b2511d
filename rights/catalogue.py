"""The repertoire: parties, works, recordings, credits, and who holds which share.

A split sheet belongs to one subject (the composition of a work, the master of a recording).
A new sheet supersedes the old one at once, and permission rests until all have confirmed it.
"""

from collections.abc import Iterable, Mapping
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from portal import audit, storage
from portal.models import User
from rights import holds, identifiers, intake
from rights.models import PPM, Credit, Party, Recording, RightType, SplitLine, SplitSheet, Work
from rights.refused import Refused, required


@transaction.atomic
def add_party(
    *,
    by: User | None,
    name: str,
    kind: str = Party.Kind.PERSON,
    credited_as: str = "",
    contact: str = "",
    ipi_name: str = "",
    isni: str = "",
    people: Iterable[User] = (),
) -> Party:
    """Raises Refused or identifiers.BadIdentifier. `people` are the users who speak for it."""
    name = required(name, field="name", longest=200)
    if kind not in Party.Kind.values:
        raise Refused("kind", f"“{kind}” is not a kind of party.", field="kind")
    if contact:
        try:
            validate_email(contact)
        except ValidationError as error:
            raise Refused(
                "contact", f"“{contact}” is not an e-mail address.", field="contact"
            ) from error
    if Party.objects.filter(name__iexact=name).exists():
        raise Refused("duplicate", f"There is a party called {name} already.", field="name")
    party = Party.objects.create(
        name=name,
        kind=kind,
        credited_as=credited_as.strip()[:200],
        contact=contact,
        ipi_name=identifiers.ipi_name(ipi_name),
        isni=identifiers.isni(isni),
    )
    party.people.set(people)
    audit.record(by=by, verb="party.added", subject=party, kind=party.kind)
    return party


@transaction.atomic
def add_work(*, by: User | None, title: str, iswc: str = "") -> Work:
    """Raises Refused or identifiers.BadIdentifier."""
    title = required(title, field="title", longest=300)
    iswc = identifiers.iswc(iswc)
    if iswc and (other := Work.objects.filter(iswc=iswc).first()):
        raise Refused("duplicate", f"That ISWC is the one of “{other.title}”.", field="iswc")
    work = Work.objects.create(title=title, iswc=iswc)
    audit.record(by=by, verb="work.added", subject=work, title=work.title)
    return work


def add_recording(
    *,
    by: User,
    file: IO[bytes],
    filename: str,
    title: str,
    isrc: str = "",
    works: Iterable[Work] = (),
    tags: Mapping[str, Any] | None = None,
) -> Recording:
    """Check the file, keep it as delivered, and add it to the repertoire.

    Everything is checked before the first byte is stored. Raises intake.BadAudio,
    storage.TooLarge, identifiers.BadIdentifier or Refused (a duplicate names its other).
    """
    title = required(title, field="title", longest=300)
    isrc = identifiers.isrc(isrc)
    if isrc and (other := Recording.objects.filter(isrc=isrc).first()):
        raise Refused("duplicate", f"That ISRC is the one of “{other.title}”.", field="isrc")
    audio = intake.examine(file, filename=filename)
    if other := Recording.objects.filter(audio_id=audio.sha256).first():
        raise Refused(
            "duplicate", f"This very file is in the catalogue as “{other.title}”.", field="file"
        )
    blob = storage.put(file, media_type=audio.media_type)
    with transaction.atomic():
        recording = Recording.objects.create(
            title=title,
            isrc=isrc,
            audio=blob,
            format=audio.format,
            duration=audio.duration,
            sample_rate=audio.sample_rate,
            channels=audio.channels,
            lufs=audio.lufs,
            warnings=audio.warnings,
            tags=dict(tags or {}),
            added_by=by,
        )
        recording.works.set(works)
        audit.record(
            by=by,
            verb="recording.added",
            subject=recording,
            title=title,
            isrc=isrc,
            audio=blob.sha256,
            works=sorted(recording.works.values_list("pk", flat=True)),
        )
    return recording


@transaction.atomic
def attach_work(*, by: User, recording: Recording, work: Work) -> None:
    """One more composition in the recording; permission rests until its holders gave theirs."""
    if recording.works.filter(pk=work.pk).exists():
        raise Refused("duplicate", f"“{work}” is in this recording already.", field="work")
    recording.works.add(work)
    audit.record(by=by, verb="recording.work_attached", subject=recording, work=work.pk)
    holds.for_new_work(by=by, recording=recording, work=work)


@transaction.atomic
def add_credit(
    *, by: User | None, subject: Recording | Work, party: Party, role: str, instrument: str = ""
) -> Credit:
    """A contributor's role on a recording or a work."""
    if role not in Credit.RoleCode.values:
        raise Refused("role", f"“{role}” is not a role.", field="role")
    instrument = instrument.strip()[:100]
    if subject.credits.filter(party=party, role=role, instrument=instrument).exists():
        raise Refused("duplicate", f"{party} has that credit already.", field="party")
    credit = Credit.objects.create(
        recording=subject if isinstance(subject, Recording) else None,
        work=subject if isinstance(subject, Work) else None,
        party=party,
        role=role,
        instrument=instrument,
    )
    audit.record(by=by, verb="credit.added", subject=subject, party=party.pk, role=role)
    if isinstance(subject, Recording) and role == Credit.RoleCode.MAIN_ARTIST:
        holds.for_new_artist(by=by, recording=subject, party=party)
    return credit


@transaction.atomic
def propose_split(
    *, by: User | None, subject: Recording | Work, lines: Mapping[Party, int]
) -> SplitSheet:
    """A new sheet for the subject, in parts per million; each party is still to confirm it.

    It supersedes the one in force, and what was permitted under that one is put on hold.
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
    # The subject's row is the lock: two proposals at once follow one another.
    type(subject).objects.select_for_update().get(pk=subject.pk)
    open_sheets = subject.splits.exclude(status=SplitSheet.Status.SUPERSEDED)
    old = open_sheets.select_for_update().first()
    if old and old.status == SplitSheet.Status.CONFIRMED:
        holds.for_split(
            by=by, sheet=old, party=next(iter(lines)), reason="A new split is proposed."
        )
    if old:
        open_sheets.update(status=SplitSheet.Status.SUPERSEDED)
    is_recording = isinstance(subject, Recording)
    sheet = SplitSheet.objects.create(
        recording=subject if isinstance(subject, Recording) else None,
        work=subject if isinstance(subject, Work) else None,
        right_type=RightType.MASTER if is_recording else RightType.COMPOSITION,
        version=old.version + 1 if old else 1,
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
    return sheet


@transaction.atomic
def confirm_split(*, sheet: SplitSheet, party: Party, by: User | None) -> SplitSheet:
    """The party says its share is right; the last one to say so confirms the sheet.

    A party that had disputed it takes the dispute back this way.
    """
    sheet, line = _line(sheet, party)
    if line.confirmed_at and not line.disputed_at:
        return sheet
    line.confirmed_at, line.disputed_at = timezone.now(), None
    line.save(update_fields=["confirmed_at", "disputed_at"])
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
    return sheet


@transaction.atomic
def dispute_split(*, sheet: SplitSheet, party: Party, by: User | None, reason: str) -> SplitSheet:
    """The party says the shares are wrong: nothing is permitted until that is settled."""
    reason = required(reason, field="reason", longest=300)
    sheet, line = _line(sheet, party)
    if sheet.status == SplitSheet.Status.CONFIRMED:
        holds.for_split(by=by, sheet=sheet, party=party, reason=f"Split disputed: {reason}")
    line.confirmed_at, line.disputed_at = None, timezone.now()
    line.save(update_fields=["confirmed_at", "disputed_at"])
    sheet.status = SplitSheet.Status.DISPUTED
    sheet.save(update_fields=["status"])
    audit.record(
        by=by,
        verb="split.disputed",
        subject=_subject(sheet),
        sheet=sheet.pk,
        party=party.pk,
        reason=reason,
    )
    return sheet


def _line(sheet: SplitSheet, party: Party) -> tuple[SplitSheet, SplitLine]:
    """The open sheet and the party's line on it, both locked."""
    locked = SplitSheet.objects.select_for_update().get(pk=sheet.pk)
    if locked.status == SplitSheet.Status.SUPERSEDED:
        raise Refused("superseded", "There is a newer split sheet; look at that one.")
    line = locked.lines.select_for_update().filter(party=party).first()
    if line is None:
        raise Refused("party", f"{party} is not on this split sheet.", field="party")
    return locked, line


def _subject(sheet: SplitSheet) -> Recording | Work:
    subject = sheet.recording or sheet.work
    assert subject is not None  # noqa: S101 - a database constraint says so
    return subject
