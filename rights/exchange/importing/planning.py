"""Plan what entering a row would do: compare it with what is known, without writing anything.

A row whose plan meets a problem is refused as a whole and leaves nothing behind. A plan that is
carried out changes the shadows, so that the next row sees it, and notes what has to be written.
"""

from collections.abc import Callable
from typing import Any

from rights import identifiers
from rights.exchange.importing.changes import Changes, Options, Subject, Verdict
from rights.exchange.importing.known import (
    EARLIER,
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

# A party has at most one number of these schemes, and may have several of the others.
ONE_EACH = frozenset({Scheme.ISNI, Scheme.IPI_BASE, Scheme.MBID})


def plan(row: Row, known: Known, options: Options, changes: Changes) -> Verdict:
    """Plan a checked row, and return the verdict. Its problems are in the row afterwards."""
    draft = _Draft(row, known, options, changes)
    # Also for a row that is refused already: all its problems are reported at once.
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
    """One row's plan. Nothing outside of it changes until its steps are run."""

    def __init__(self, row: Row, known: Known, options: Options, changes: Changes) -> None:
        self.row, self.known, self.options, self.changes = row, known, options, changes
        self.steps: list[Callable[[], None]] = []
        self.new = False
        self._parties: dict[str, PartyShadow] = {}
        self._numbers: dict[tuple[str, str], PartyShadow] = {}
        self._split_of: set[int] = set()
        # Who is credited in the recording already, where it is here.
        self._credited: set[PartyShadow] = set()

    def draw(self) -> None:
        row = self.row
        recording = self.known.recording_of(row)
        if recording is None:
            recording = self._new_recording()
        else:
            self._compare(recording)
            subjects: list[Subject] = [recording, *recording.works]
            for subject in subjects:
                self._credited.update(party for party, *_ in subject.credits)
        works = [self._work(recording, index) for index in range(len(row.works))]
        for credit in row.credits:
            self._credit(recording, recording, credit, works)
        for work, work_row in zip(works, row.works, strict=True):
            for credit in work_row.credits:
                self._credit(recording, work, credit, works)
            self._split(work, work_row.split, "composition_split")
        self._split(recording, row.split, "master_split")
        for index in range(len(row.releases)):
            self._release(recording, index)
        self._machine(recording)

    # --- Recordings and works -----------------------------------------------------------------

    def _new_recording(self) -> RecordingShadow:
        row, known = self.row, self.known
        shadow = RecordingShadow(
            None, row.title, row.isrc, row.mbid, dict(row.tags), row=row.number,
            expected_file=row.expected_file, expected_hash=row.expected_hash,
        )  # fmt: skip
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
        declaration = self.row.machine
        if declaration and not (recording.pk and signals.is_declared(recording.pk, declaration)):
            self.steps.append(lambda: self.changes.machine.append((recording, declaration)))

    def _key(self, kind: str, key: str, shadow: Any) -> None:
        if (kind, key) not in self.known.keys:
            self.known.keys[kind, key] = shadow
            self.changes.keys.append((kind, key, shadow))

    def _compare(self, shadow: RecordingShadow) -> None:
        row = self.row
        self._title(shadow, row, "title")
        self._value(shadow, "isrc", row.isrc, "isrc", False)
        self._value(shadow, "mbid", row.mbid, "mbid", False)
        if not shadow.has_audio:
            # Another file is announced: nobody has permitted anything for the one before.
            self._value(shadow, "expected_file", row.expected_file, "expected_file", True)
            self._value(shadow, "expected_hash", row.expected_hash, "expected_hash", True)
        if row.isrc and not shadow.isrc:
            self.steps.append(lambda: self.known.recordings.update({row.isrc: shadow}))
        tags = dict(shadow.tags)
        for name, value in row.tags.items():
            if name in tags and tags[name] != value and not self.options.update_tags:
                there, here = _places(shadow)
                row.add_problem(
                    name,
                    f"“{shadow.title}” has {tags[name]} {there} and {value} {here}; choose "
                    "“Update genre, tempo and key” to change it.",
                )
            tags[name] = value
        if tags != shadow.tags:
            self.steps.append(lambda: self.changes.update(shadow, tags=tags))

    def _title(
        self, shadow: RecordingShadow | ReleaseShadow, row: Row | ReleaseRow, field_name: str
    ) -> None:
        """Compare titles. What is here may be the same title in another script of the message."""
        may_change = self.options.update_titles
        if may_change or folded(shadow.title) not in map(folded, row.other_titles):
            self._value(shadow, "title", row.title, field_name, may_change)

    def _value(self, shadow: Any, name: str, value: str, field_name: str, may_change: bool) -> None:
        """Fill an empty value; a different one is a problem, unless it may be changed."""
        old = getattr(shadow, name)
        if not value or value == old:
            return
        if old and not may_change:
            choice = "; choose “Update titles” to change it" if name == "title" else ""
            there, here = _places(shadow, name)
            self.row.add_problem(field_name, f"It is “{old}” {there} and “{value}” {here}{choice}.")
            return

        def step() -> None:
            shadow.filled[name] = self.row.number
            self.changes.update(shadow, **{name: value})

        self.steps.append(step)

    def _work(self, recording: RecordingShadow, index: int) -> WorkShadow:
        work_row = self.row.works[index]
        work = self._find_work(recording, index)
        if work is None:
            work = self._new_work(index)
        else:
            self._value(work, "title", work_row.title, "work_title", self.options.update_titles)
            self._value(work, "iswc", work_row.iswc, "iswc", False)
            self._value(work, "mbid", work_row.mbid, "work_mbid", False)
            if work_row.iswc and not work.iswc:
                known_work = work
                self.steps.append(lambda: self.known.works.update({work_row.iswc: known_work}))
        if work not in recording.works:
            self._link(recording, work)
        return work

    def _find_work(self, recording: RecordingShadow, index: int) -> WorkShadow | None:
        work_row = self.row.works[index]
        if work_row.iswc and (by_iswc := self.known.works.get(work_row.iswc)):
            return by_iswc
        if by_pk := self.known.work_numbered(work_row.own):
            return by_pk
        if (
            not work_row.title
            and not work_row.iswc
            and len(self.row.works) == len(recording.works) == 1
        ):
            return recording.works[0]
        title = folded(work_row.title or self.row.title)
        for work in recording.works:
            if folded(work.title) == title and not (work.iswc and work_row.iswc):
                return work
        keys = (self.known.keys.get((Kind.WORK, key)) for key in work_keys(self.row, index))
        return next(filter(None, keys), None)

    def _new_work(self, index: int) -> WorkShadow:
        work_row = self.row.works[index]
        work = WorkShadow(None, work_row.title or self.row.title, work_row.iswc, work_row.mbid)
        work.row = self.row.number

        def step() -> None:
            if work.iswc:
                self.known.works[work.iswc] = work
            self.changes.works.append(work)
            for key in work_keys(self.row, index):
                self._key(Kind.WORK, key, work)

        self.steps.append(step)
        return work

    def _link(self, recording: RecordingShadow, work: WorkShadow) -> None:
        late = not self.new
        if late and recording.works and not self.options.extend:
            self.row.add_problem(
                "work_title",
                f"“{recording.title}” {_places(recording)[0]} is without the work “{work.title}”; "
                "choose “Add works and artists to recordings that are here” to add it.",
            )
            return

        def step() -> None:
            recording.works.append(work)
            # A recording that an earlier row of this part adds does not exist yet.
            exists = late and recording.pk is not None
            (self.changes.attached if exists else self.changes.links).append((recording, work))

        self.steps.append(step)

    # --- Parties and credits ------------------------------------------------------------------

    def _party(self, party_row: PartyRow, field_name: str) -> PartyShadow:
        """Find the party that is meant, by name or number; else plan a new one."""
        row, parties = self.row, self.known.parties
        by_name = (
            self._parties.get(folded(party_row.name))
            or parties.named(party_row.name)
            or self._spelled_otherwise(party_row)
        )
        party = by_name
        for scheme, value in party_row.numbers.items():
            by_number = self._numbers.get((scheme, value)) or parties.numbered(scheme, value)
            if by_number and party and by_number is not party:
                label = Scheme(scheme).label
                row.add_problem(
                    field_name,
                    f"The {label} {value} is the one of {by_number.name}, not of {party.name}.",
                )
            party = party or by_number
        if party is None:
            party = PartyShadow(None, party_row.name, party_row.kind or Party.Kind.PERSON)
            party.row = row.number
            self._add_party(party)
        elif by_name is None and not _may_be(party_row, party):
            # A typo in a number would otherwise give one party's rights to another.
            row.add_problem(
                field_name,
                f"{party_row.name} has the number of {party.name} {_places(party)[0]}. Write "
                f"{party.name}, or note there that it is credited by this name.",
            )
        for scheme, value in party_row.numbers.items():
            self._number(party, scheme, value, field_name)
        self._parties[folded(party_row.name)] = party
        return party

    def _spelled_otherwise(self, party_row: PartyRow) -> PartyShadow | None:
        """Return a party that this very recording credits here by another spelling of the name.
        Elsewhere a spelling is not enough: a transcription fits several people."""
        shadows = (self.known.parties.named(name) for name in party_row.other_names)
        return next((party for party in shadows if party in self._credited), None)

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
            label, (there, here) = Scheme(scheme).label, _places(party)
            self.row.add_problem(
                field_name,
                f"{party.name} has the {label} {others[0]} {there} and {value} {here}.",
            )
            return
        if scheme == Scheme.DPID and (warning := identifiers.dpid_warning(value)):
            self.row.add_problem(field_name, f"DPID {value}: {warning}", warning=True)
        self._numbers[scheme, value] = party

        def step() -> None:
            self.known.parties.number(party, scheme, value)
            self.changes.numbers.append((party, scheme, value))

        self.steps.append(step)

    def _credit(
        self,
        recording: RecordingShadow,
        subject: Subject,
        credit: CreditRow,
        works: list[WorkShadow],
    ) -> None:
        field_name = "main_artist" if credit.role == RoleCode.MAIN_ARTIST else "contributors"
        party = self._party(credit.party, field_name)
        for shadow in (subject, recording, *recording.works, *works):
            for (other, role, user_defined, instrument), display_text in shadow.credits.items():
                if (other, role, user_defined) == (party, credit.role, credit.user_defined) and (
                    not credit.instrument or instrument == credit.instrument
                ):
                    if credit.display_text and display_text != credit.display_text:
                        self.row.add_problem(
                            field_name,
                            f"The wording of {party.name}'s credit is another "
                            f"{_places(shadow)[0]}; it stays.",
                            warning=True,
                        )
                    return
        key = (party, credit.role, credit.user_defined, credit.instrument)
        # A person newly credited in an existing recording may have to be asked (persons.py).
        late = not self.new and isinstance(subject, RecordingShadow)
        if late and credit.role == RoleCode.MAIN_ARTIST and not self.options.extend:
            self.row.add_problem(
                field_name,
                f"{party.name} is no main artist of “{recording.title}” {_places(recording)[0]}; "
                "choose “Add works and artists to recordings that are here” to add them.",
            )
            return

        def step() -> None:
            if key in subject.credits:
                return
            subject.credits[key] = credit.display_text
            if late and isinstance(subject, RecordingShadow) and subject.pk is not None:
                self.changes.late_credits.append((subject, key, credit.display_text))
            else:
                self.changes.credits.append((subject, key, credit.display_text))

        self.steps.append(step)

    # --- Splits -------------------------------------------------------------------------------

    def _split(self, subject: Subject, share_rows: list[ShareRow], field_name: str) -> None:
        if not share_rows or id(subject) in self._split_of:
            return
        self._split_of.add(id(subject))
        shares: dict[PartyShadow, int] = {}
        for share in share_rows:
            party = self._party(share.party, field_name)
            shares[party] = shares.get(party, 0) + share.ppm
        sheet = subject.sheet
        if sheet is None:
            self._new_sheet(subject, shares, proposed=False)
        elif sheet.shares != shares:
            if sheet.row:
                self.row.add_problem(
                    field_name,
                    f"The split of “{subject.title}” is another {_places(sheet)[0]}: the file says "
                    "two different ones.",
                )
            elif not self.options.propose_splits:
                self.row.add_problem(
                    field_name,
                    f"The split of “{subject.title}” is another here; choose “Propose a new split” "
                    "to have its holders asked.",
                )
            else:
                self._new_sheet(subject, shares, proposed=True)
        elif self.options.confirmed_on_paper and sheet.status == SplitSheet.Status.DISPUTED:
            self.row.add_problem(
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
        sheet = SheetShadow(None, status, shares, self.row.number)

        def step() -> None:
            subject.sheet = sheet
            late = proposed and subject.pk is not None
            (self.changes.proposed if late else self.changes.sheets).append((subject, sheet))

        self.steps.append(step)

    # --- Releases -----------------------------------------------------------------------------

    def _release(self, recording: RecordingShadow, index: int) -> None:
        """Plan a release. If it does not fit what is here it waits, and leaves no step behind."""
        since, steps = len(self.row.problems), len(self.steps)
        parties, numbers = dict(self._parties), dict(self._numbers)
        self._plan_release(recording, index)
        if self.row.release_waits(self.row.releases[index], since):
            del self.steps[steps:]
            self._parties, self._numbers = parties, numbers

    def _plan_release(self, recording: RecordingShadow, index: int) -> None:
        release_row = self.row.releases[index]
        label = self._party(release_row.label, "label") if release_row.label else None
        release = self.known.release_of(self.row, index, recording)
        if release is None:
            if not release_row.title:
                self.row.add_problem(
                    "release_title", "This release is not here yet: it needs a title."
                )
                return
            release = self._new_release(index, label)
        else:
            self._compare_release(release, release_row, label)
        self._track(release, recording, release_row.position)

    def _new_release(self, index: int, label: PartyShadow | None) -> ReleaseShadow:
        release_row = self.row.releases[index]
        release = ReleaseShadow(
            None,
            release_row.title,
            release_row.upc,
            release_row.grid,
            label,
            release_row.released_on,
            row=self.row.number,
        )

        def step() -> None:
            for number in filter(None, (release.upc, release.grid)):
                self.known.releases[number] = release
            self.changes.releases.append(release)
            for key in release_keys(self.row, index):
                self._key(Kind.RELEASE, key, release)

        self.steps.append(step)
        return release

    def _compare_release(
        self, entry: ReleaseShadow, release_row: ReleaseRow, label: PartyShadow | None
    ) -> None:
        self._title(entry, release_row, "release_title")
        self._value(entry, "upc", release_row.upc, "upc", False)
        self._value(entry, "grid", release_row.grid, "grid", False)
        self._value(entry, "released_on", release_row.released_on, "release_date", False)
        for name, number in (("upc", release_row.upc), ("grid", release_row.grid)):
            if number and not getattr(entry, name):
                self.steps.append(lambda number=number: self.known.releases.update({number: entry}))  # type: ignore[misc]
        if label and entry.label is None:
            self.steps.append(lambda: self.changes.update(entry, label=label))
        elif label and label is not entry.label and entry.label:
            there, here = _places(entry, "label")
            self.row.add_problem(
                "label",
                f"The label of “{entry.title}” is {entry.label.name} {there} and {label.name} "
                f"{here}.",
            )

    def _track(
        self, release: ReleaseShadow, recording: RecordingShadow, position: int | None
    ) -> None:
        row = self.row
        numbers = [number for number, track in release.tracks.items() if track is recording]
        if numbers:
            if position and position not in numbers:
                there, here = _places(release)
                row.add_problem(
                    "track_number",
                    f"It is track {numbers[0]} of “{release.title}” {there}, {position} {here}.",
                )
            return
        other = release.tracks.get(position) if position else None
        if other is not None:
            row.add_problem(
                "track_number", f"Track {position} of “{release.title}” is “{other.title}” already."
            )
            return

        def step() -> None:
            number = position or release.last + 1
            release.tracks[number] = recording
            release.last = max(release.last, number)
            self.changes.tracks.append((release, recording, number))

        self.steps.append(step)


def _may_be(party_row: PartyRow, party: PartyShadow) -> bool:
    """Whether one of the names in the file is the party's, or the one that it is credited by."""
    names = {folded(name) for name in (party_row.name, *party_row.other_names)}
    return bool(names & {folded(party.name), folded(party.credited_as)} - {""})


def _places(shadow: Any, name: str = "") -> tuple[str, str]:
    """Say where a thing stands, or one of its values: "here" is the catalogue, and what another row
    of the file says is no fact of the catalogue. The second is this row, in contrast to that."""
    row = shadow.row or (shadow.filled.get(name, 0) if name else 0)
    if not row:
        return "here", "in the file"
    return (f"in row {row}" if row != EARLIER else "in another row"), "in this one"
