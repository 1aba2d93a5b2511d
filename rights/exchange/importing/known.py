"""What the catalogue holds of the things that a part of a file speaks of.

Read in a handful of statements for a part, whatever its size. Shadows stand for rows, also for
those that are to be made (`pk` is None): plans change shadows, writing makes rows of them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max, Q

from rights.exchange.importing.rows import Row, folded, key_of
from rights.models import (
    Credit,
    ImportedKey,
    Party,
    PartyIdentifier,
    Recording,
    RecordingWork,
    Release,
    ReleaseTrack,
    SplitLine,
    Work,
)

Kind = ImportedKey.Kind


@dataclass(eq=False, slots=True)
class PartyShadow:
    pk: int | None
    name: str
    kind: str = ""
    credited_as: str = ""
    # Scheme and value.
    numbers: set[tuple[str, str]] = field(default_factory=set)


# Party, role, the role's own name, instrument.
CreditKey = tuple[PartyShadow, str, str, str]


@dataclass(eq=False, slots=True)
class SheetShadow:
    pk: int | None
    status: str
    shares: dict[PartyShadow, int]


@dataclass(eq=False, slots=True)
class WorkShadow:
    pk: int | None
    title: str
    iswc: str = ""
    mbid: str = ""
    credits: dict[CreditKey, str] = field(default_factory=dict)
    sheet: SheetShadow | None = None


@dataclass(eq=False, slots=True)
class RecordingShadow:
    pk: int | None
    title: str
    isrc: str = ""
    mbid: str = ""
    tags: dict[str, Any] = field(default_factory=dict)
    credits: dict[CreditKey, str] = field(default_factory=dict)
    works: list[WorkShadow] = field(default_factory=list)
    sheet: SheetShadow | None = None


@dataclass(eq=False, slots=True)
class ReleaseShadow:
    pk: int | None
    title: str
    upc: str = ""
    grid: str = ""
    label: PartyShadow | None = None
    released_on: str = ""
    # Of the tracks that a part speaks of.
    tracks: dict[int, RecordingShadow] = field(default_factory=dict)
    last: int = 0


class Parties:
    """All parties by folded name: few beside recordings, and named again and again."""

    def __init__(self) -> None:
        self._by_name: dict[str, PartyShadow] = {}
        self._by_pk: dict[int, PartyShadow] = {}
        self._by_number: dict[tuple[str, str], PartyShadow] = {}
        self._numbered: set[int] = set()
        self._last = 0

    def refresh(self) -> None:
        """Those who came since; by others too."""
        newer = Party.objects.filter(pk__gt=self._last).order_by("pk")
        wanted = ("pk", "name", "kind", "credited_as")
        for pk, name, kind, credited_as in newer.values_list(*wanted).iterator(2_000):
            self._last = pk
            if pk not in self._by_pk:
                self.add(PartyShadow(pk, name, kind, credited_as))

    def add(self, party: PartyShadow) -> None:
        self._by_name.setdefault(folded(party.name), party)
        if party.pk is not None:
            self._by_pk[party.pk] = party
        for number in party.numbers:
            self._by_number[number] = party

    def number(self, party: PartyShadow, scheme: str, value: str) -> None:
        party.numbers.add((scheme, value))
        self._by_number[scheme, value] = party

    def made(self, party: PartyShadow) -> None:
        """It has its row now."""
        assert party.pk is not None  # noqa: S101 - for the types
        self._by_pk[party.pk] = party
        self._numbered.add(party.pk)

    def load_numbers(self, rows: Iterable[Row]) -> None:
        """The numbers that these rows name, and all numbers of the parties that they name."""
        named = [party for row in rows for party in row.parties() if party.numbers]
        values = {value for party in named for value in party.numbers.values()}
        known = [self.named(party.name) for party in named]
        theirs = {party.pk for party in known if party and party.pk} - self._numbered
        if not values:
            return
        found = PartyIdentifier.objects.filter(Q(value__in=values) | Q(party__in=theirs))
        for pk, scheme, value in found.values_list("party_id", "scheme", "value"):
            self.number(self.by_pk(pk), scheme, value)
        self._numbered |= theirs

    def named(self, name: str) -> PartyShadow | None:
        return self._by_name.get(folded(name))

    def numbered(self, scheme: str, value: str) -> PartyShadow | None:
        return self._by_number.get((scheme, value))

    def by_pk(self, pk: int) -> PartyShadow:
        if pk not in self._by_pk:
            # Numbered before others that are here already, and committed after them.
            party = Party.objects.get(pk=pk)
            self.add(PartyShadow(pk, party.name, party.kind, party.credited_as))
        return self._by_pk[pk]


class Known:
    """Recordings, works and releases that some rows speak of, by whatever names them."""

    def __init__(self, source: str, parties: Parties | None = None) -> None:
        self.source = source
        self.parties = parties or Parties()
        self.recordings: dict[str, RecordingShadow] = {}
        self.works: dict[str, WorkShadow] = {}
        self.releases: dict[str, ReleaseShadow] = {}
        # Keys of this source, and what they lead to.
        self.keys: dict[tuple[str, str], Any] = {}
        self._recording_pks: dict[int, RecordingShadow] = {}
        self._work_pks: dict[int, WorkShadow] = {}
        self._release_pks: dict[int, ReleaseShadow] = {}
        # Recording to its releases without a number.
        self._on: dict[int, set[int]] = defaultdict(set)

    # --- Looking ------------------------------------------------------------------------------

    def recording_of(self, row: Row) -> RecordingShadow | None:
        """By ISRC, else by our own number, else by what the source calls it."""
        if row.isrc and (found := self.recordings.get(row.isrc)):
            return found
        if row.own and (found := self._recording_pks.get(row.own)):
            return found
        for key in recording_keys(row):
            if found := self.keys.get((Kind.RECORDING, key)):
                return found  # type: ignore[no-any-return]
        return None

    def work_numbered(self, pk: int | None) -> WorkShadow | None:
        return self._work_pks.get(pk) if pk else None

    # --- Reading ------------------------------------------------------------------------------

    def load(self, rows: Sequence[Row]) -> None:
        """Everything that the plans of these rows look at."""
        self.parties.refresh()
        self.parties.load_numbers(rows)
        keys = self._load_keys(rows)
        self._load_recordings(
            {row.isrc for row in rows if row.isrc} - self.recordings.keys(),
            ({row.own for row in rows if row.own} | keys[Kind.RECORDING])
            - self._recording_pks.keys(),
        )
        works = [work for row in rows for work in row.works]
        self._load_works(
            {work.iswc for work in works if work.iswc} - self.works.keys(),
            ({work.own for work in works if work.own} | keys[Kind.WORK]) - self._work_pks.keys(),
        )
        self._bind_keys()
        fresh = self._load_releases(rows, keys[Kind.RELEASE] | self._unnumbered(rows))
        self._bind_keys()
        self._load_tracks(rows, fresh)

    def _load_keys(self, rows: Sequence[Row]) -> dict[str, set[int]]:
        wanted = {key for row in rows for key in all_keys(row)}
        wanted -= {key for _, key in self.keys}
        self._found = list(
            ImportedKey.objects.filter(source=self.source, key__in=wanted).values_list(
                "kind", "key", "object_pk"
            )
        )
        found: dict[str, set[int]] = defaultdict(set)
        for kind, _, pk in self._found:
            found[kind].add(pk)
        return found

    def _bind_keys(self) -> None:
        places: dict[str, dict[int, Any]] = {
            Kind.RECORDING: self._recording_pks,
            Kind.WORK: self._work_pks,
            Kind.RELEASE: self._release_pks,
        }
        for kind, key, pk in self._found:
            if shadow := places[kind].get(pk):
                self.keys[kind, key] = shadow

    def _load_recordings(self, isrcs: Collection[str], pks: Collection[int]) -> None:
        if not isrcs and not pks:
            return
        found = Recording.objects.filter(Q(isrc__in=isrcs) | Q(pk__in=pks)).order_by()
        fresh: dict[int, RecordingShadow] = {}
        for pk, title, isrc, mbid, tags in found.values_list("pk", "title", "isrc", "mbid", "tags"):
            if pk not in self._recording_pks:
                fresh[pk] = RecordingShadow(pk, title, isrc, mbid, dict(tags or {}))
        if not fresh:
            return
        for pk, shadow in fresh.items():
            self._recording_pks[pk] = shadow
            if shadow.isrc:
                self.recordings[shadow.isrc] = shadow
        links = list(
            RecordingWork.objects.filter(recording__in=fresh)
            .order_by("pk")
            .values_list("recording_id", "work_id")
        )
        self._load_works((), {work for _, work in links} - self._work_pks.keys())
        for pk, work in links:
            fresh[pk].works.append(self._work_pks[work])
        self._load_credits(fresh, "recording")
        self._load_sheets(fresh, "recording")

    def _load_works(self, iswcs: Collection[str], pks: Collection[int]) -> None:
        if not iswcs and not pks:
            return
        found = Work.objects.filter(Q(iswc__in=iswcs) | Q(pk__in=pks)).order_by()
        fresh: dict[int, WorkShadow] = {}
        for pk, title, iswc, mbid in found.values_list("pk", "title", "iswc", "mbid"):
            if pk not in self._work_pks:
                fresh[pk] = self._work_pks[pk] = WorkShadow(pk, title, iswc, mbid)
                if iswc:
                    self.works[iswc] = fresh[pk]
        if fresh:
            self._load_credits(fresh, "work")
            self._load_sheets(fresh, "work")

    def _load_credits(
        self, fresh: dict[int, RecordingShadow] | dict[int, WorkShadow], subject: str
    ) -> None:
        rows = Credit.objects.filter(**{f"{subject}__in": list(fresh)}).order_by("pk")
        for pk, party, role, user, instrument, words in rows.values_list(
            f"{subject}_id", "party_id", "role", "user_defined", "instrument", "display_text"
        ):
            key = (self.parties.by_pk(party), role, user, instrument)
            fresh[pk].credits.setdefault(key, words)

    def _load_sheets(
        self, fresh: dict[int, RecordingShadow] | dict[int, WorkShadow], subject: str
    ) -> None:
        rows = SplitLine.objects.current().filter(**{f"sheet__{subject}__in": list(fresh)})
        for pk, sheet, status, party, ppm in rows.order_by("pk").values_list(
            f"sheet__{subject}_id", "sheet_id", "sheet__status", "party_id", "ppm"
        ):
            shadow = fresh[pk]
            if shadow.sheet is None:
                shadow.sheet = SheetShadow(sheet, status, {})
            shadow.sheet.shares[self.parties.by_pk(party)] = ppm

    def _load_releases(self, rows: Sequence[Row], pks: Collection[int]) -> dict[int, ReleaseShadow]:
        named = [release for row in rows for release in row.releases]
        upcs = {release.upc for release in named if release.upc}
        grids = {release.grid for release in named if release.grid}
        fresh: dict[int, ReleaseShadow] = {}
        if upcs or grids or pks:
            found = Release.objects.filter(
                Q(upc__in=upcs - {""}) | Q(grid__in=grids - {""}) | Q(pk__in=pks)
            ).order_by()
            for release in found:
                if release.pk in self._release_pks:
                    continue
                label = self.parties.by_pk(release.label_id) if release.label_id else None
                day = release.released_on.isoformat() if release.released_on else ""
                shadow = ReleaseShadow(
                    release.pk, release.title, release.upc, release.grid, label, day
                )
                fresh[release.pk] = self._release_pks[release.pk] = shadow
                for number in filter(None, (release.upc, release.grid)):
                    self.releases[number] = shadow
        return fresh

    def _unnumbered(self, rows: Sequence[Row]) -> set[int]:
        """Releases without a number that recordings of these rows are on."""
        pks = {
            shadow.pk
            for row in rows
            if any(not release.upc and not release.grid for release in row.releases)
            and (shadow := self.recording_of(row))
            and shadow.pk
        }
        if not pks:
            return set()
        tracks = ReleaseTrack.objects.filter(recording__in=pks, release__upc="", release__grid="")
        found = list(tracks.values_list("recording_id", "release_id"))
        for recording, release in found:
            self._on[recording].add(release)
        return {release for _, release in found} - self._release_pks.keys()

    def release_of(
        self, row: Row, place: int, recording: RecordingShadow | None = None
    ) -> ReleaseShadow | None:
        """By its numbers; without any, one of that title that the recording is on, or what the
        source calls it."""
        release = row.releases[place]
        for number in filter(None, (release.upc, release.grid)):
            if found := self.releases.get(number):
                return found
        if recording and recording.pk and not (release.upc or release.grid):
            for pk in self._on.get(recording.pk, ()):
                if folded(self._release_pks[pk].title) == folded(release.title):
                    return self._release_pks[pk]
        keys = (self.keys.get((Kind.RELEASE, key)) for key in release_keys(row, place))
        return next(filter(None, keys), None)

    def _load_tracks(self, rows: Sequence[Row], fresh: dict[int, ReleaseShadow]) -> None:
        """Of these releases the tracks that matter here, and where each ends."""
        releases: dict[int, ReleaseShadow] = {}
        recordings, positions = set(), set()
        for row in rows:
            if (shadow := self.recording_of(row)) and shadow.pk:
                recordings.add(shadow.pk)
            for place, numbers in enumerate(row.releases):
                if (found := self.release_of(row, place, shadow)) and found.pk:
                    releases[found.pk] = found
                    positions.add(numbers.position)
        if not releases:
            return
        tracks = ReleaseTrack.objects.filter(release__in=releases).filter(
            Q(recording__in=recordings) | Q(position__in=positions - {None})
        )
        found_rows = list(tracks.values_list("release_id", "recording_id", "position"))
        self._load_recordings((), {pk for _, pk, _ in found_rows} - self._recording_pks.keys())
        for release, recording, position in found_rows:
            releases[release].tracks.setdefault(position, self._recording_pks[recording])
        ends = ReleaseTrack.objects.filter(release__in=fresh).values_list("release_id")
        for pk, last in ends.annotate(Max("position")).order_by():
            fresh[pk].last = last


def recording_keys(row: Row) -> list[str]:
    """What the source calls a recording: its own number, else title and artists, where no ISRC
    says more."""
    keys = [key_of("ref", row.ref)] if row.ref else []
    if not row.isrc and not row.ref:
        keys.append(
            key_of("name", folded(row.title), sorted(folded(artist.name) for artist in row.artists))
        )
    return keys


def all_keys(row: Row) -> list[str]:
    """Every key that a plan of this row may look up or leave behind."""
    return [
        *recording_keys(row),
        *(key for place in range(len(row.works)) for key in work_keys(row, place)),
        *(key for place in range(len(row.releases)) for key in release_keys(row, place)),
    ]


def work_keys(row: Row, place: int) -> list[str]:
    """Of a work without ISWC: what the source calls it, else its title and who wrote it."""
    work = row.works[place]
    if work.iswc:
        return []
    if work.ref:
        return [key_of("ref", work.ref)]
    writers = sorted({folded(credit.party.name) for credit in work.credits})
    # Without writers a title is nobody's: it is the work of these artists' recording then.
    people = writers or ["by", *sorted(folded(artist.name) for artist in row.artists)]
    return [key_of("work", folded(work.title or row.title), people)]


def release_keys(row: Row, place: int) -> list[str]:
    release = row.releases[place]
    if release.upc or release.grid:
        return []
    label = folded(release.label.name) if release.label else ""
    artists = [] if label else sorted(folded(artist.name) for artist in row.artists)
    return [key_of("release", folded(release.title), label, artists)]
