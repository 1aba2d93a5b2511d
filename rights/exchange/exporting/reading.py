"""Read recordings as the rows that an import reads, a few hundred at a time."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rights.exchange.importing.rows import CreditRow, PartyRow, ReleaseRow, Row, ShareRow, WorkRow
from rights.models import (
    Credit,
    Party,
    PartyIdentifier,
    Recording,
    RecordingQuerySet,
    RecordingWork,
    ReleaseTrack,
    SplitLine,
    Work,
)

BATCH_SIZE = 500


@dataclass(slots=True)
class Exported(Row):
    """A row with its duration, which only the audio gives: seconds, 0 without a file."""

    duration: float = 0.0


def rows(recordings: RecordingQuerySet) -> Iterator[list[Exported]]:
    """Yield numbered rows in parts. Each part has its own queries: none waits for a reader."""
    last = number = 0
    while True:
        part = list(recordings.filter(pk__gt=last).order_by("pk")[:BATCH_SIZE])
        if not part:
            return
        last = part[-1].pk
        yield _Part(part, number).rows()
        number += len(part)


class _Part:
    def __init__(self, part: list[Recording], number: int) -> None:
        self.part, self.number = part, number
        pks = [row.pk for row in part]
        links = RecordingWork.objects.filter(recording__in=pks).order_by("pk")
        self.links: dict[int, list[int]] = defaultdict(list)
        for recording, work in links.values_list("recording_id", "work_id"):
            self.links[recording].append(work)
        work_pks = {work for works in self.links.values() for work in works}
        self.works = Work.objects.in_bulk(work_pks)
        self.recording_credits = self._credits("recording", pks)
        self.work_credits = self._credits("work", work_pks)
        self.recording_shares = self._shares("recording", pks)
        self.work_shares = self._shares("work", work_pks)
        tracks = ReleaseTrack.objects.filter(recording__in=pks).select_related("release")
        self.tracks: dict[int, list[ReleaseTrack]] = defaultdict(list)
        for track in tracks.order_by("release_id", "position"):
            self.tracks[track.recording_id].append(track)
        self.parties = self._parties()

    def _credits(self, subject: str, pks: Collection[int]) -> dict[int, list[Credit]]:
        by_subject: dict[int, list[Credit]] = defaultdict(list)
        for credit in Credit.objects.filter(**{f"{subject}__in": pks}).order_by("pk"):
            by_subject[getattr(credit, f"{subject}_id")].append(credit)
        return by_subject

    def _shares(self, subject: str, pks: Collection[int]) -> dict[int, list[tuple[int, int]]]:
        lines = SplitLine.objects.current().filter(**{f"sheet__{subject}__in": pks})
        by_subject: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for pk, party, ppm in lines.order_by("pk").values_list(
            f"sheet__{subject}_id", "party_id", "ppm"
        ):
            by_subject[pk].append((party, ppm))
        return by_subject

    def _parties(self) -> dict[int, PartyRow]:
        party_pks = {
            credit.party_id
            for by_subject in (self.recording_credits, self.work_credits)
            for credit_list in by_subject.values()
            for credit in credit_list
        }
        for shares in (*self.recording_shares.values(), *self.work_shares.values()):
            party_pks |= {party for party, _ in shares}
        for tracks in self.tracks.values():
            party_pks |= {track.release.label_id for track in tracks if track.release.label_id}
        party_rows = {
            pk: PartyRow(name, kind)
            for pk, name, kind in Party.objects.filter(pk__in=party_pks).values_list(
                "pk", "name", "kind"
            )
        }
        numbers = PartyIdentifier.objects.filter(party__in=party_pks).order_by("-pk")
        for party, scheme, value in numbers.values_list("party_id", "scheme", "value"):
            party_rows[party].numbers[scheme] = value
        return party_rows

    def rows(self) -> list[Exported]:
        return [
            self._row(number, recording)
            for number, recording in enumerate(self.part, self.number + 1)
        ]

    def _row(self, number: int, recording: Recording) -> Exported:
        row = Exported(
            number,
            recording.title,
            recording.isrc,
            recording.mbid,
            own=recording.pk,
            expected_file=recording.expected_file,
            expected_hash=recording.expected_hash,
            duration=recording.duration,
        )
        row.tags = {
            name: recording.tags[name]
            for name in ("genre", "tempo", "key")
            if name in recording.tags
        }
        row.credits = self._credit_rows(self.recording_credits[recording.pk])
        row.split = self._split(self.recording_shares[recording.pk])
        row.works = [self._work(self.works[pk]) for pk in self.links[recording.pk]]
        row.releases = [self._release(track) for track in self.tracks[recording.pk]]
        return row

    def _work(self, work: Work) -> WorkRow:
        return WorkRow(
            work.title,
            work.iswc,
            work.mbid,
            own=work.pk,
            credits=self._credit_rows(self.work_credits[work.pk]),
            split=self._split(self.work_shares[work.pk]),
        )

    def _credit_rows(self, credit_list: list[Credit]) -> list[CreditRow]:
        return [
            CreditRow(
                self.parties[credit.party_id],
                credit.role,
                credit.user_defined,
                credit.instrument,
                credit.display_text,
            )
            for credit in credit_list
        ]

    def _split(self, shares: list[tuple[int, int]]) -> list[ShareRow]:
        return [ShareRow(self.parties[party], ppm) for party, ppm in shares]

    def _release(self, track: ReleaseTrack) -> ReleaseRow:
        release = track.release
        return ReleaseRow(
            release.title,
            release.upc,
            release.grid,
            self.parties[release.label_id] if release.label_id else None,
            release.released_on.isoformat() if release.released_on else "",
            track.position,
        )
