"""What entering a row would do: compared with what is known, without writing anything.

A row whose plan meets a problem is refused as a whole; nothing of it stays behind. A plan that is
taken changes the shadows, so that the next row sees it, and notes what has to be written.
"""

from collections.abc import Callable
from typing import Any

from rights import identifiers
from rights.exchange.importing.changes import Changes, Options, Subject, Verdict
from rights.exchange.importing.known import (
    Kind,
    Known,
    PartyShadow,
    RecordingShadow,
    ReleaseShadow,
    SheetShadow,
    WorkShadow,
    recording_keys,
    release_keys,
    work_keys,
)
from rights.exchange.importing.rows import CreditRow, PartyRow, ReleaseRow, Row, ShareRow, folded
from rights.models import Party, RoleCode, Scheme, SplitSheet
from rights.tdm import signals

# A party has one of these, and may have several of the others.
ONE_EACH = frozenset({Scheme.ISNI, Scheme.IPI_BASE, Scheme.MBID})


def plan(row: Row, known: Known, options: Options, changes: Changes) -> Verdict:
    """What becomes of a checked row. Its problems stand in the row afterwards."""
    draft = _Draft(row, known, options, changes)
    # Also of a row that is refused already: all its problems are told at once.
    draft.draw()
    if row.refused:
        return "refused"
    if not draft.steps:
        return "unchanged"
    for step in draft.steps:
        step()
    changes.rows.append(row)
    return "added" if draft.new else "changed"


class _Draft:
    """One row's plan. Nothing outside of it changes until its steps are taken."""

    def __init__(self, row: Row, known: Known, options: Options, changes: Changes) -> None:
        self.row, self.known, self.options, self.changes = row, known, options, changes
        self.steps: list[Callable[[], None]] = []
        self.new = False
        self._parties: dict[str, PartyShadow] = {}
        self._numbers: dict[tuple[str, str], PartyShadow] = {}
        self._split_of: set[int] = set()

    def draw(self) -> None:
        row = self.row
        recording = self.known.recording_of(row)
        if recording is None:
            recording = self._new_recording()
        else:
            self._compare(recording)
        works = [self._work(recording, place) for place in range(len(row.works))]
        for credit in row.credits:
            self._credit(recording, recording, credit, works)
        for work, told in zip(works, row.works, strict=True):
            for credit in told.credits:
                self._credit(recording, work, credit, works)
            self._split(work, told.split, "composition_split")
        self._split(recording, row.split, "master_split")
        for place in range(len(row.releases)):
            self._release(recording, place)
        self._machine(recording)

    # --- Recordings and works -----------------------------------------------------------------

    def _new_recording(self) -> RecordingShadow:
        row, known = self.row, self.known
        shadow = RecordingShadow(None, row.title, row.isrc, row.mbid, dict(row.tags))
        self.new = True

        def step() -> None:
            if shadow.isrc:
                known.recordings[shadow.isrc] = shadow
            self.changes.recordings.append(shadow)
            for key in recording_keys(row):
                self._key(Kind.RECORDING, key, shadow)

        self.steps.append(step)
        return shadow

    def _machine(self, recording: RecordingShadow) -> None:
        told = self.row.machine
        if told and not (recording.pk and signals.is_declared(recording.pk, told)):
            self.steps.append(lambda: self.changes.machine.append((recording, told)))

    def _key(self, kind: str, key: str, shadow: Any) -> None:
        if (kind, key) not in self.known.keys:
            self.known.keys[kind, key] = shadow
            self.changes.keys.append((kind, key, shadow))

    def _compare(self, shadow: RecordingShadow) -> None:
        row = self.row
        self._value(shadow, "title", row.title, "title", self.options.update_titles)
        self._value(shadow, "isrc", row.isrc, "isrc", False)
        self._value(shadow, "mbid", row.mbid, "mbid", False)
        if row.isrc and not shadow.isrc:
            self.steps.append(lambda: self.known.recordings.update({row.isrc: shadow}))
        tags = dict(shadow.tags)
        for name, value in row.tags.items():
            if name in tags and tags[name] != value and not self.options.update_tags:
                row.wrong(
                    name,
                    f"“{shadow.title}” has {tags[name]} here and {value} in the file; choose "
                    "“Update genre, tempo and key” to change it.",
                )
            tags[name] = value
        if tags != shadow.tags:
            self.steps.append(lambda: self.changes.update(shadow, tags=tags))

    def _value(self, shadow: Any, name: str, said: str, field_name: str, may: bool) -> None:
        """An empty value is filled; one that differs is a problem, unless it may be changed."""
        old = getattr(shadow, name)
        if not said or said == old:
            return
        if old and not may:
            choice = "; choose “Update titles” to change it" if name == "title" else ""
            self.row.wrong(field_name, f"It is “{old}” here and “{said}” in the file{choice}.")
            return
        self.steps.append(lambda: self.changes.update(shadow, **{name: said}))

    def _work(self, recording: RecordingShadow, place: int) -> WorkShadow:
        told = self.row.works[place]
        work = self._find_work(recording, place)
        if work is None:
            work = self._new_work(place)
        else:
            self._value(work, "title", told.title, "work_title", self.options.update_titles)
            self._value(work, "iswc", told.iswc, "iswc", False)
            self._value(work, "mbid", told.mbid, "work_mbid", False)
            if told.iswc and not work.iswc:
                found = work
                self.steps.append(lambda: self.known.works.update({told.iswc: found}))
        if work not in recording.works:
            self._link(recording, work)
        return work

    def _find_work(self, recording: RecordingShadow, place: int) -> WorkShadow | None:
        told = self.row.works[place]
        if told.iswc and (found := self.known.works.get(told.iswc)):
            return found
        if own := self.known.work_numbered(told.own):
            return own
        if not told.title and not told.iswc and len(self.row.works) == len(recording.works) == 1:
            return recording.works[0]
        title = folded(told.title or self.row.title)
        for work in recording.works:
            if folded(work.title) == title and not (work.iswc and told.iswc):
                return work
        keys = (self.known.keys.get((Kind.WORK, key)) for key in work_keys(self.row, place))
        return next(filter(None, keys), None)

    def _new_work(self, place: int) -> WorkShadow:
        told = self.row.works[place]
        work = WorkShadow(None, told.title or self.row.title, told.iswc, told.mbid)

        def step() -> None:
            if work.iswc:
                self.known.works[work.iswc] = work
            self.changes.works.append(work)
            for key in work_keys(self.row, place):
                self._key(Kind.WORK, key, work)

        self.steps.append(step)
        return work

    def _link(self, recording: RecordingShadow, work: WorkShadow) -> None:
        late = not self.new
        if late and recording.works and not self.options.extend:
            self.row.wrong(
                "work_title",
                f"The work “{work.title}” is not in “{recording.title}” here; choose “Add works "
                "and artists to recordings that are here” to add it.",
            )
            return

        def step() -> None:
            recording.works.append(work)
            # Between being planned and written a new recording of this part is no late one.
            known_row = late and recording.pk is not None
            (self.changes.attached if known_row else self.changes.links).append((recording, work))

        self.steps.append(step)

    # --- Parties and credits ------------------------------------------------------------------

    def _party(self, told: PartyRow, field_name: str) -> PartyShadow:
        """Who is meant: by number, else by name; else somebody new."""
        row, parties = self.row, self.known.parties
        by_name = self._parties.get(folded(told.name)) or parties.named(told.name)
        found = by_name
        for scheme, value in told.numbers.items():
            number = self._numbers.get((scheme, value)) or parties.numbered(scheme, value)
            if number and found and number is not found:
                label = Scheme(scheme).label
                row.wrong(
                    field_name,
                    f"The {label} {value} is the one of {number.name}, not of {found.name}.",
                )
            found = found or number
        if found is None:
            found = PartyShadow(None, told.name, told.kind or Party.Kind.PERSON)
            self._add_party(found)
        elif by_name is None and folded(told.name) != folded(found.credited_as):
            # Rights of one would become rights of another by a slip in a number.
            row.wrong(
                field_name,
                f"{told.name} has the number of {found.name} here. Write {found.name}, or note "
                "there that it is credited by this name.",
            )
        for scheme, value in told.numbers.items():
            self._number(found, scheme, value, field_name)
        self._parties[folded(told.name)] = found
        return found

    def _add_party(self, party: PartyShadow) -> None:
        def step() -> None:
            self.known.parties.add(party)
            self.changes.parties.append(party)

        self.steps.append(step)

    def _number(self, party: PartyShadow, scheme: str, value: str, field_name: str) -> None:
        if (scheme, value) in party.numbers or (scheme, value) in self._numbers:
            return
        others = [number for name, number in party.numbers if name == scheme]
        if others and scheme in ONE_EACH:
            label = Scheme(scheme).label
            self.row.wrong(
                field_name,
                f"{party.name} has the {label} {others[0]} here and {value} in the file.",
            )
            return
        if scheme == Scheme.DPID and (warning := identifiers.dpid_warning(value)):
            self.row.wrong(field_name, f"DPID {value}: {warning}", warning=True)
        self._numbers[scheme, value] = party

        def step() -> None:
            self.known.parties.number(party, scheme, value)
            self.changes.numbers.append((party, scheme, value))

        self.steps.append(step)

    def _credit(
        self,
        recording: RecordingShadow,
        subject: Subject,
        told: CreditRow,
        works: list[WorkShadow],
    ) -> None:
        field_name = "main_artist" if told.role == RoleCode.MAIN_ARTIST else "contributors"
        party = self._party(told.party, field_name)
        for place in (subject, recording, *recording.works, *works):
            for (who, role, user, instrument), words in place.credits.items():
                if (who, role, user) == (party, told.role, told.user_defined) and (
                    not told.instrument or instrument == told.instrument
                ):
                    if told.display_text and words != told.display_text:
                        self.row.wrong(
                            field_name,
                            f"The wording of {party.name}'s credit is another here; it stays.",
                            warning=True,
                        )
                    return
        key = (party, told.role, told.user_defined, told.instrument)
        # Whoever is found in a recording that is here may have to be asked (persons.py).
        late = not self.new and isinstance(subject, RecordingShadow)
        if late and told.role == RoleCode.MAIN_ARTIST and not self.options.extend:
            self.row.wrong(
                field_name,
                f"{party.name} is no main artist of “{recording.title}” here; choose “Add works "
                "and artists to recordings that are here” to add them.",
            )
            return

        def step() -> None:
            if key in subject.credits:
                return
            subject.credits[key] = told.display_text
            if late and isinstance(subject, RecordingShadow) and subject.pk is not None:
                self.changes.late_credits.append((subject, key, told.display_text))
            else:
                self.changes.credits.append((subject, key, told.display_text))

        self.steps.append(step)

    # --- Splits -------------------------------------------------------------------------------

    def _split(self, subject: Subject, told: list[ShareRow], field_name: str) -> None:
        if not told or id(subject) in self._split_of:
            return
        self._split_of.add(id(subject))
        shares: dict[PartyShadow, int] = {}
        for share in told:
            party = self._party(share.party, field_name)
            shares[party] = shares.get(party, 0) + share.ppm
        sheet = subject.sheet
        if sheet is None:
            self._new_sheet(subject, shares, proposed=False)
        elif sheet.shares != shares:
            if not self.options.propose_splits:
                self.row.wrong(
                    field_name,
                    f"The split of “{subject.title}” is another here; choose “Propose a new split” "
                    "to have its holders asked.",
                )
            elif sheet.pk is None:
                self.row.wrong(field_name, "The file says two different splits of it.")
            else:
                self._new_sheet(subject, shares, proposed=True)
        elif self.options.confirmed_on_paper and sheet.status == SplitSheet.Status.DISPUTED:
            self.row.wrong(
                field_name,
                "A holder disputes this split here; paper does not settle that.",
                warning=True,
            )
        elif self.options.confirmed_on_paper and sheet.status == SplitSheet.Status.CONFIRMING:
            self.steps.append(lambda: self._confirm(sheet))

    def _confirm(self, sheet: SheetShadow) -> None:
        if sheet.status != SplitSheet.Status.CONFIRMED:
            sheet.status = SplitSheet.Status.CONFIRMED
            if sheet.pk is not None:
                self.changes.confirmed.append(sheet)

    def _new_sheet(
        self, subject: Subject, shares: dict[PartyShadow, int], *, proposed: bool
    ) -> None:
        paper = self.options.confirmed_on_paper
        status = SplitSheet.Status.CONFIRMED if paper else SplitSheet.Status.CONFIRMING
        sheet = SheetShadow(None, status, shares)

        def step() -> None:
            subject.sheet = sheet
            late = proposed and subject.pk is not None
            (self.changes.proposed if late else self.changes.sheets).append((subject, sheet))

        self.steps.append(step)

    # --- Releases -----------------------------------------------------------------------------

    def _release(self, recording: RecordingShadow, place: int) -> None:
        told = self.row.releases[place]
        label = self._party(told.label, "label") if told.label else None
        found = self.known.release_of(self.row, place, recording)
        if found is None:
            if not told.title:
                self.row.wrong("release_title", "This release is not here yet: it needs a title.")
                return
            found = self._new_release(place, label)
        else:
            self._compare_release(found, told, label)
        self._track(found, recording, told.position)

    def _new_release(self, place: int, label: PartyShadow | None) -> ReleaseShadow:
        told = self.row.releases[place]
        made = ReleaseShadow(None, told.title, told.upc, told.grid, label, told.released_on)

        def step() -> None:
            for number in filter(None, (made.upc, made.grid)):
                self.known.releases[number] = made
            self.changes.releases.append(made)
            for key in release_keys(self.row, place):
                self._key(Kind.RELEASE, key, made)

        self.steps.append(step)
        return made

    def _compare_release(
        self, found: ReleaseShadow, told: ReleaseRow, label: PartyShadow | None
    ) -> None:
        self._value(found, "title", told.title, "release_title", self.options.update_titles)
        self._value(found, "upc", told.upc, "upc", False)
        self._value(found, "grid", told.grid, "grid", False)
        self._value(found, "released_on", told.released_on, "release_date", False)
        for name, number in (("upc", told.upc), ("grid", told.grid)):
            if number and not getattr(found, name):
                self.steps.append(lambda number=number: self.known.releases.update({number: found}))  # type: ignore[misc]
        if label and found.label is None:
            self.steps.append(lambda: self.changes.update(found, label=label))
        elif label and label is not found.label and found.label:
            self.row.wrong(
                "label",
                f"The label of “{found.title}” is {found.label.name} here and {label.name} in the "
                "file.",
            )

    def _track(
        self, release: ReleaseShadow, recording: RecordingShadow, position: int | None
    ) -> None:
        row = self.row
        places = [place for place, track in release.tracks.items() if track is recording]
        if places:
            if position and position not in places:
                row.wrong(
                    "track_number",
                    f"It is track {places[0]} of “{release.title}” here, {position} in the file.",
                )
            return
        other = release.tracks.get(position) if position else None
        if other is not None:
            row.wrong(
                "track_number", f"Track {position} of “{release.title}” is “{other.title}” already."
            )
            return

        def step() -> None:
            place = position or release.last + 1
            release.tracks[place] = recording
            release.last = max(release.last, place)
            self.changes.tracks.append((release, recording, place))

        self.steps.append(step)
