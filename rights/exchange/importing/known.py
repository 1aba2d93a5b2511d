"""What the catalogue has of the recordings, works, releases and parties in a part of a file.

They are read in a handful of statements, whatever the size of the part. Shadows stand for rows,
also for rows to be created (`pk` is None): plans change shadows, writing turns them into rows. Of
what the file itself adds, `row` is the row that does, or EARLIER where a part before this one has.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
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
EARLIER = -1
# What earlier parts of the same import have added: the keys of its audit lines, and row ids.
Entered = Mapping[str, Collection[int]]
NONE: Entered = MappingProxyType({})


@dataclass(eq=False, slots=True)
class PartyShadow:
    pk: int | None
    name: str
    kind: str = ""
    credited_as: str = ""
    # Scheme and value.
    numbers: set[tuple[str, str]] = field(default_factory=set)
    row: int = 0


# Party, role, user-defined role, instrument.
CreditKey = tuple[PartyShadow, str, str, str]


@dataclass(eq=False, slots=True)
class SheetShadow:
    pk: int | None
    status: str
    shares: dict[PartyShadow, int]
    row: int = 0


@dataclass(eq=False, slots=True)
class WorkShadow:
    pk: int | None
    title: str
    iswc: str = ""
    mbid: str = ""
    credits: dict[CreditKey, str] = field(default_factory=dict)
    sheet: SheetShadow | None = None
    row: int = 0
    # Values that were empty here, and the rows that fill them in.
    filled: dict[str, int] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class RecordingShadow:
    pk: int | None
    title: str
    isrc: str = ""
    mbid: str = ""
    tags: dict[str, Any] = field(default_factory=dict)
    expected_file: str = ""
    expected_hash: str = ""
    has_audio: bool = False
    credits: dict[CreditKey, str] = field(default_factory=dict)
    works: list[WorkShadow] = field(default_factory=list)
    sheet: SheetShadow | None = None
    row: int = 0
    filled: dict[str, int] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class ReleaseShadow:
    pk: int | None
    title: str
    upc: str = ""
    grid: str = ""
    label: PartyShadow | None = None
    released_on: str = ""
    # Only the tracks that a part mentions, by position.
    tracks: dict[int, RecordingShadow] = field(default_factory=dict)
    last: int = 0
    row: int = 0
    filled: dict[str, int] = field(default_factory=dict)


class Parties:
    """All parties by folded name: they are few compared with recordings, and named often.

    `same` are names that somebody has said to be parties' of the catalogue: folded name to row id.
    """

    def __init__(self, *, same: Mapping[str, int] | None = None, entered: Entered = NONE) -> None:
        self._same = same or {}
        self._entered = entered.get("parties", ())
        self._by_name: dict[str, PartyShadow] = {}
        self._by_pk: dict[int, PartyShadow] = {}
        self._by_number: dict[tuple[str, str], PartyShadow] = {}
        self._numbered: set[int] = set()
        self._last = 0

    def refresh(self) -> None:
        """Load the parties added since the last call, by others too."""
        newer = Party.objects.filter(pk__gt=self._last).order_by("pk")
        columns = ("pk", "name", "kind", "credited_as")
        for pk, name, kind, credited_as in newer.values_list(*columns).iterator(2_000):
            self._last = pk
            if pk not in self._by_pk:
                row = EARLIER if pk in self._entered else 0
                self.add(PartyShadow(pk, name, kind, credited_as, row=row))

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
        """Register a party that has its row now."""
        assert party.pk is not None  # noqa: S101 - for the types
        self._by_pk[party.pk] = party
        self._numbered.add(party.pk)

    def load_numbers(self, rows: Iterable[Row]) -> None:
        """Load the numbers that these rows name, and all numbers of the parties that they name."""
        with_numbers = [party for row in rows for party in row.parties() if party.numbers]
        values = {value for party in with_numbers for value in party.numbers.values()}
        shadows = [self.named(party.name) for party in with_numbers]
        new_pks = {party.pk for party in shadows if party and party.pk} - self._numbered
        if not values:
            return
        identifiers = PartyIdentifier.objects.filter(Q(value__in=values) | Q(party__in=new_pks))
        for pk, scheme, value in identifiers.values_list("party_id", "scheme", "value"):
            self.number(self.by_pk(pk), scheme, value)
        self._numbered |= new_pks

    def named(self, name: str) -> PartyShadow | None:
        key = folded(name)
        return self.by_pk(self._same[key]) if key in self._same else self._by_name.get(key)

    def numbered(self, scheme: str, value: str) -> PartyShadow | None:
        return self._by_number.get((scheme, value))

    def by_pk(self, pk: int) -> PartyShadow:
        if pk not in self._by_pk:
            # Its pk is lower than those loaded already, but it was committed after them.
            party = Party.objects.get(pk=pk)
            self.add(PartyShadow(pk, party.name, party.kind, party.credited_as))
        return self._by_pk[pk]


class Known:
    """Recordings, works and releases that some rows mention, by whatever identifies them."""

    def __init__(
        self, source: str, parties: Parties | None = None, entered: Entered = NONE
    ) -> None:
        self.source = source
        self._entered = entered
        self.parties = parties or Parties()
        self.recordings: dict[str, RecordingShadow] = {}
        self.works: dict[str, WorkShadow] = {}
        self.releases: dict[str, ReleaseShadow] = {}
        # Keys of this source, and the shadows that they lead to.
        self.keys: dict[tuple[str, str], Any] = {}
        self._recording_pks: dict[int, RecordingShadow] = {}
        self._work_pks: dict[int, WorkShadow] = {}
        self._release_pks: dict[int, ReleaseShadow] = {}
        # From a recording to its releases without a number.
        self._on: dict[int, set[int]] = defaultdict(set)

    def _row_of(self, kind: str, pk: int) -> int:
        return EARLIER if pk in self._entered.get(kind, ()) else 0

    # --- Finding ------------------------------------------------------------------------------

    def recording_of(self, row: Row) -> RecordingShadow | None:
        """Find it by ISRC, else by our own number, else by what the source calls it."""
        if row.isrc and (shadow := self.recordings.get(row.isrc)):
            return shadow
        if row.own and (shadow := self._recording_pks.get(row.own)):
            return shadow
        for key in recording_keys(row):
            if shadow := self.keys.get((Kind.RECORDING, key)):
                return shadow  # type: ignore[no-any-return]
        return None

    def work_numbered(self, pk: int | None) -> WorkShadow | None:
        return self._work_pks.get(pk) if pk else None

    # --- Reading ------------------------------------------------------------------------------

    def load(self, rows: Sequence[Row]) -> None:
        """Load everything that the plans of these rows look at."""
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
        new_keys = {key for row in rows for key in all_keys(row)}
        new_keys -= {key for _, key in self.keys}
        self._found = list(
            ImportedKey.objects.filter(source=self.source, key__in=new_keys).values_list(
                "kind", "key", "object_pk"
            )
        )
        by_kind: dict[str, set[int]] = defaultdict(set)
        for kind, _, pk in self._found:
            by_kind[kind].add(pk)
        return by_kind

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
        rows = (
            Recording.objects.filter(Q(isrc__in=isrcs) | Q(pk__in=pks))
            .order_by()
            .only("title", "isrc", "mbid", "tags", "expected_file", "expected_hash", "audio")
        )
        fresh: dict[int, RecordingShadow] = {}
        for recording in rows:
            pk = recording.pk
            if pk not in self._recording_pks:
                fresh[pk] = RecordingShadow(
                    pk, recording.title, recording.isrc, recording.mbid, dict(recording.tags or {}),
                    expected_file=recording.expected_file, expected_hash=recording.expected_hash,
                    has_audio=recording.audio_id is not None, row=self._row_of("recordings", pk),
                )  # fmt: skip
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
        rows = Work.objects.filter(Q(iswc__in=iswcs) | Q(pk__in=pks)).order_by()
        fresh: dict[int, WorkShadow] = {}
        for pk, title, iswc, mbid in rows.values_list("pk", "title", "iswc", "mbid"):
            if pk not in self._work_pks:
                fresh[pk] = self._work_pks[pk] = WorkShadow(pk, title, iswc, mbid)
                fresh[pk].row = self._row_of("works", pk)
                if iswc:
                    self.works[iswc] = fresh[pk]
        if fresh:
            self._load_credits(fresh, "work")
            self._load_sheets(fresh, "work")

    def _load_credits(
        self, fresh: dict[int, RecordingShadow] | dict[int, WorkShadow], subject: str
    ) -> None:
        rows = Credit.objects.filter(**{f"{subject}__in": list(fresh)}).order_by("pk")
        for pk, party, role, user_defined, instrument, display_text in rows.values_list(
            f"{subject}_id", "party_id", "role", "user_defined", "instrument", "display_text"
        ):
            key = (self.parties.by_pk(party), role, user_defined, instrument)
            fresh[pk].credits.setdefault(key, display_text)

    def _load_sheets(
        self, fresh: dict[int, RecordingShadow] | dict[int, WorkShadow], subject: str
    ) -> None:
        rows = SplitLine.objects.current().filter(**{f"sheet__{subject}__in": list(fresh)})
        for pk, sheet, status, party, ppm in rows.order_by("pk").values_list(
            f"sheet__{subject}_id", "sheet_id", "sheet__status", "party_id", "ppm"
        ):
            shadow = fresh[pk]
            if shadow.sheet is None:
                shadow.sheet = SheetShadow(sheet, status, {}, self._row_of("splits", sheet))
            shadow.sheet.shares[self.parties.by_pk(party)] = ppm

    def _load_releases(self, rows: Sequence[Row], pks: Collection[int]) -> dict[int, ReleaseShadow]:
        release_rows = [release for row in rows for release in row.releases]
        upcs = {release.upc for release in release_rows if release.upc}
        grids = {release.grid for release in release_rows if release.grid}
        fresh: dict[int, ReleaseShadow] = {}
        if upcs or grids or pks:
            releases = Release.objects.filter(
                Q(upc__in=upcs - {""}) | Q(grid__in=grids - {""}) | Q(pk__in=pks)
            ).order_by()
            for release in releases:
                if release.pk in self._release_pks:
                    continue
                label = self.parties.by_pk(release.label_id) if release.label_id else None
                released_on = release.released_on.isoformat() if release.released_on else ""
                shadow = ReleaseShadow(
                    release.pk, release.title, release.upc, release.grid, label, released_on
                )
                shadow.row = self._row_of("releases", release.pk)
                fresh[release.pk] = self._release_pks[release.pk] = shadow
                for number in filter(None, (release.upc, release.grid)):
                    self.releases[number] = shadow
        return fresh

    def _unnumbered(self, rows: Sequence[Row]) -> set[int]:
        """Return releases without a number that these recordings are on and that are not loaded."""
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
        pairs = list(tracks.values_list("recording_id", "release_id"))
        for recording, release in pairs:
            self._on[recording].add(release)
        return {release for _, release in pairs} - self._release_pks.keys()

    def release_of(
        self, row: Row, index: int, recording: RecordingShadow | None = None
    ) -> ReleaseShadow | None:
        """Find it by its numbers; without any, by its title among the recording's releases, or by
        what the source calls it."""
        release = row.releases[index]
        for number in filter(None, (release.upc, release.grid)):
            if shadow := self.releases.get(number):
                return shadow
        if recording and recording.pk and not (release.upc or release.grid):
            for pk in self._on.get(recording.pk, ()):
                if folded(self._release_pks[pk].title) == folded(release.title):
                    return self._release_pks[pk]
        keys = (self.keys.get((Kind.RELEASE, key)) for key in release_keys(row, index))
        return next(filter(None, keys), None)

    def _load_tracks(self, rows: Sequence[Row], fresh: dict[int, ReleaseShadow]) -> None:
        """Load the tracks that these rows may touch, and the last position of each new release."""
        releases: dict[int, ReleaseShadow] = {}
        recordings, positions = set(), set()
        for row in rows:
            if (shadow := self.recording_of(row)) and shadow.pk:
                recordings.add(shadow.pk)
            for index, release_row in enumerate(row.releases):
                if (known_release := self.release_of(row, index, shadow)) and known_release.pk:
                    releases[known_release.pk] = known_release
                    positions.add(release_row.position)
        if not releases:
            return
        tracks = ReleaseTrack.objects.filter(release__in=releases).filter(
            Q(recording__in=recordings) | Q(position__in=positions - {None})
        )
        track_rows = list(tracks.values_list("release_id", "recording_id", "position"))
        self._load_recordings((), {pk for _, pk, _ in track_rows} - self._recording_pks.keys())
        for release, recording, position in track_rows:
            releases[release].tracks.setdefault(position, self._recording_pks[recording])
        last_positions = ReleaseTrack.objects.filter(release__in=fresh).values_list("release_id")
        for pk, last in last_positions.annotate(Max("position")).order_by():
            fresh[pk].last = last


def recording_keys(row: Row) -> list[str]:
    """Return what the source calls a recording: its own number; without that and an ISRC, title
    and artists."""
    keys = [key_of("ref", row.ref)] if row.ref else []
    if not row.isrc and not row.ref:
        keys.append(
            key_of("name", folded(row.title), sorted(folded(artist.name) for artist in row.artists))
        )
    return keys


def all_keys(row: Row) -> list[str]:
    """Return every key that a plan of this row may look up or add."""
    return [
        *recording_keys(row),
        *(key for index in range(len(row.works)) for key in work_keys(row, index)),
        *(key for index in range(len(row.releases)) for key in release_keys(row, index)),
    ]


def work_keys(row: Row, index: int) -> list[str]:
    """Return what the source calls a work without ISWC: its number, else title and writers."""
    work = row.works[index]
    if work.iswc:
        return []
    if work.ref:
        return [key_of("ref", work.ref)]
    writers = sorted({folded(credit.party.name) for credit in work.credits})
    # A title alone does not identify a work: without writers, the recording's artists do.
    people = writers or ["by", *sorted(folded(artist.name) for artist in row.artists)]
    return [key_of("work", folded(work.title or row.title), people)]


def release_keys(row: Row, index: int) -> list[str]:
    release = row.releases[index]
    if release.upc or release.grid:
        return []
    label = folded(release.label.name) if release.label else ""
    artists = [] if label else sorted(folded(artist.name) for artist in row.artists)
    return [key_of("release", folded(release.title), label, artists)]
