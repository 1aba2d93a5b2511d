"""Write a part's plans as rows: with the rules and effects of the verbs, in a few statements.

New rows are created in bulk, under one audit line with the digest of the file's rows. What changes
the basis of permissions (a further work, artist or split of an existing recording) goes through
the verb, which places the holds that it must and writes its own line.
"""

import hashlib
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from django.db import models, transaction

from portal import audit
from portal.database import commit_order
from portal.models import User
from rights import identifiers
from rights.catalogue import catalogue
from rights.exchange.importing.changes import Changes, Subject
from rights.exchange.importing.known import (
    Kind,
    Known,
    RecordingShadow,
    ReleaseShadow,
    SheetShadow,
    WorkShadow,
)
from rights.exchange.importing.rows import Row
from rights.models import (
    Credit,
    ImportedKey,
    ImportJob,
    Party,
    PartyIdentifier,
    Recording,
    RecordingWork,
    Release,
    ReleaseTrack,
    RightType,
    Scheme,
    SplitAnswer,
    SplitLine,
    SplitSheet,
    Work,
)
from rights.parties import splits
from rights.tdm import signals

TABLES: dict[type, type[models.Model]] = {
    RecordingShadow: Recording,
    WorkShadow: Work,
    ReleaseShadow: Release,
}


@transaction.atomic
def write(job: ImportJob, known: Known, changes: Changes) -> None:
    """Enter a part, inside the transaction that also records how far the job has come."""
    if changes.rows:
        _Writing(job, known, changes).write()


def digest(rows: list[Row]) -> str:
    """Return the SHA-256 of the canonical JSON of the rows, as they were checked."""
    hasher = hashlib.sha256()
    for row in rows:
        values = asdict(row)
        del values["problems"]
        hasher.update(audit.canonical(values))
    return hasher.hexdigest()


class _Writing:
    def __init__(self, job: ImportJob, known: Known, changes: Changes) -> None:
        self.job, self.known, self.changes = job, known, changes
        self.by: User = job.made_by
        self.at: datetime = commit_order.moment()

    def write(self) -> None:
        self._parties()
        self._works()
        self._recordings()
        self._updates()
        self._credits()
        self._sheets(self.changes.sheets)
        self._releases()
        self._keys()
        self._record()
        self._change_existing()

    def _parties(self) -> None:
        shadows = self.changes.parties
        parties = Party.objects.bulk_create(
            Party(name=shadow.name, kind=shadow.kind, created_at=self.at) for shadow in shadows
        )
        for shadow, party in zip(shadows, parties, strict=True):
            shadow.pk = party.pk
            self.known.parties.made(shadow)
        PartyIdentifier.objects.bulk_create(
            PartyIdentifier(
                party_id=_pk(party),
                scheme=scheme,
                value=value,
                warning=identifiers.dpid_warning(value) if scheme == Scheme.DPID else "",
                created_at=self.at,
            )
            for party, scheme, value in self.changes.numbers
        )

    def _works(self) -> None:
        works = Work.objects.bulk_create(
            Work(title=work.title, iswc=work.iswc, mbid=work.mbid, created_at=self.at)
            for work in self.changes.works
        )
        _number(self.changes.works, works)

    def _recordings(self) -> None:
        recordings = Recording.objects.bulk_create(
            Recording(
                title=shadow.title, isrc=shadow.isrc, mbid=shadow.mbid, tags=shadow.tags,
                expected_file=shadow.expected_file, expected_hash=shadow.expected_hash,
                added_by=self.by, created_at=self.at,
            )
            for shadow in self.changes.recordings
        )  # fmt: skip
        _number(self.changes.recordings, recordings)
        RecordingWork.objects.bulk_create(
            RecordingWork(recording_id=_pk(recording), work_id=_pk(work), created_at=self.at)
            for recording, work in self.changes.links
        )

    def _updates(self) -> None:
        """Update what was filled in or changed by option, each with a line: the bulk has none."""
        for shadow, names in self.changes.updated.items():
            values = {name: getattr(shadow, name) for name in sorted(names)}
            if "label" in values:
                values["label_id"] = _pk(values.pop("label"))
            if "released_on" in values:
                values["released_on"] = date.fromisoformat(values["released_on"])
            table = TABLES[type(shadow)]
            table._default_manager.filter(pk=shadow.pk).update(**values)
            audit.record(
                by=self.by,
                verb=f"{table._meta.model_name}.imported",
                subject=table(pk=shadow.pk),
                job=self.job.pk,
                fields=sorted(names),
            )

    def _credits(self) -> None:
        Credit.objects.bulk_create(
            Credit(
                recording_id=subject.pk if isinstance(subject, RecordingShadow) else None,
                work_id=subject.pk if isinstance(subject, WorkShadow) else None,
                party_id=_pk(party),
                role=role,
                user_defined=user_defined,
                instrument=instrument,
                display_text=text,
                created_at=self.at,
            )
            for subject, (party, role, user_defined, instrument), text in self.changes.credits
        )

    def _sheets(self, sheets: list[tuple[Subject, SheetShadow]]) -> None:
        sheet_rows = SplitSheet.objects.bulk_create(
            SplitSheet(
                recording_id=subject.pk if isinstance(subject, RecordingShadow) else None,
                work_id=subject.pk if isinstance(subject, WorkShadow) else None,
                right_type=RightType.MASTER
                if isinstance(subject, RecordingShadow)
                else RightType.COMPOSITION,
                status=sheet.status,
                created_at=self.at,
            )
            for subject, sheet in sheets
        )
        _number([sheet for _, sheet in sheets], sheet_rows)
        confirmed = SplitSheet.Status.CONFIRMED
        lines = SplitLine.objects.bulk_create(
            SplitLine(
                sheet_id=_pk(sheet),
                party_id=_pk(party),
                ppm=ppm,
                confirmed_at=self.at if sheet.status == confirmed else None,
            )
            for _, sheet in sheets
            for party, ppm in sheet.shares.items()
        )
        SplitAnswer.objects.bulk_create(
            SplitAnswer(line=line, confirmed=True, reason=self.paper, made_by=self.by, at=self.at)
            for line in lines
            if line.confirmed_at
        )

    @property
    def paper(self) -> str:
        return f"Confirmed on paper, says import {self.job.pk}."

    def _releases(self) -> None:
        releases = Release.objects.bulk_create(
            Release(
                title=shadow.title,
                upc=shadow.upc,
                grid=shadow.grid,
                label_id=_pk(shadow.label) if shadow.label else None,
                released_on=date.fromisoformat(shadow.released_on) if shadow.released_on else None,
                created_at=self.at,
            )
            for shadow in self.changes.releases
        )
        _number(self.changes.releases, releases)
        ReleaseTrack.objects.bulk_create(
            ReleaseTrack(release_id=_pk(release), recording_id=_pk(recording), position=position)
            for release, recording, position in self.changes.tracks
        )

    def _keys(self) -> None:
        ImportedKey.objects.bulk_create(
            ImportedKey(source=self.known.source, kind=Kind(kind), key=key, object_pk=_pk(shadow))
            for kind, key, shadow in self.changes.keys
        )

    def _record(self) -> None:
        """Write one audit line for the part: its rows, what was created for them, their digest."""
        changes = self.changes
        entered: dict[str, Any] = dict(changes.entered())
        audit.record(
            by=self.by,
            verb="import.part",
            subject=self.job,
            rows=[changes.rows[0].number, changes.rows[-1].number],
            digest=digest(changes.rows),
            credits=len(changes.credits),
            **entered,
            confirmed=any(
                sheet.status == SplitSheet.Status.CONFIRMED for _, sheet in changes.sheets
            ),
        )

    def _change_existing(self) -> None:
        """Make the changes that affect permissions of existing recordings."""
        for recording, work in self.changes.attached:
            catalogue.attach_work(by=self.by, recording=_row(recording), work=_row(work))
        for recording, (party, role, user_defined, instrument), text in self.changes.late_credits:
            catalogue.add_credit(
                by=self.by, subject=_row(recording), party=Party.objects.get(pk=_pk(party)),
                role=role, user_defined=user_defined, instrument=instrument, display_text=text,
            )  # fmt: skip
        for subject, sheet in self.changes.proposed:
            lines = {Party.objects.get(pk=_pk(party)): ppm for party, ppm in sheet.shares.items()}
            proposal = splits.propose(by=self.by, subject=_row(subject), lines=lines)
            sheet.pk = proposal.pk
            if sheet.status == SplitSheet.Status.CONFIRMED:
                self._confirm(proposal)
        for sheet in self.changes.confirmed:
            self._confirm(SplitSheet.objects.get(pk=_pk(sheet)))
        for recording, declared in self.changes.machine:
            signals.declare(
                by=self.by,
                recording=_row(recording),
                declaration=declared,
                source=f"Import {self.job.pk}",
            )

    def _confirm(self, sheet: SplitSheet) -> None:
        for line in sheet.lines.select_related("party").order_by("pk"):
            splits.confirm(sheet=sheet, party=line.party, by=self.by, reason=self.paper)


def _pk(shadow: Any) -> int:
    assert shadow.pk is not None  # noqa: S101 - rows are created before what points to them
    return int(shadow.pk)


def _number(shadows: list[Any], rows: list[Any]) -> None:
    for shadow, row in zip(shadows, rows, strict=True):
        shadow.pk = row.pk


def _row(shadow: Any) -> Any:
    return TABLES[type(shadow)]._default_manager.get(pk=shadow.pk)
