"""Participation in bulk: lines of ISRC, use and yes or no, for one party.

A yes drafts a grant for each right that the party holds in the recording, and puts none in force:
somebody else does that. A no opts the recording out at once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from django.db.models import Q

from rights import identifiers
from rights.consent import persons
from rights.errors import Refused
from rights.exchange.importing.changes import Verdict
from rights.exchange.importing.reading import Reading
from rights.exchange.importing.rows import Problem, clean, folded
from rights.exchange.importing.tables import Table
from rights.grants import agreements, lifecycle
from rights.identifiers import BadIdentifier
from rights.models import (
    Agreement,
    Grant,
    ImportJob,
    OptOut,
    Party,
    Recording,
    RightType,
    SplitSheet,
    Use,
)
from rights.withdrawal import holds

YES = frozenset({"yes", "y", "true", "1", "in", "allowed", "opt-in", "opt in"})
NO = frozenset({"no", "n", "false", "0", "out", "notallowed", "not allowed", "opt-out", "opt out"})
USES = {use.value: use for use in Use} | {folded(str(use.label)): use for use in Use}
NOTE = "Declared out in a list of recordings."


@dataclass(slots=True)
class ParticipationLine:
    """One answer for one recording and use; `yes` is None where it cannot be read."""

    number: int
    isrc: str
    use: Use | None = None
    yes: bool | None = None
    problems: list[Problem] = field(default_factory=list)

    def add_problem(self, field_name: str, sentence: str, *, warning: bool = False) -> None:
        self.problems.append(Problem(self.number, field_name, sentence[:400], warning))

    @property
    def refused(self) -> bool:
        return any(not problem.warning for problem in self.problems)


class LineReader:
    """Reads lines of a table or of plain text; `use` and `yes` stand in for what a line omits."""

    def __init__(
        self,
        file: IO[bytes],
        reading: Reading | None = None,
        *,
        use: str = "",
        yes: bool | None = None,
    ) -> None:
        self._table = Table(file, reading)
        self._use, self._apply_yes = use, yes

    def rows(self, after: int = 0) -> Iterator[ParticipationLine]:
        first = _cells(self._table.header)
        no_header = _is_isrc(first[0]) if first else False
        if no_header and after < 1:
            yield self._line(1, first)
        for number, cells in self._table.rows():
            if number + no_header > after:
                yield self._line(number + no_header, _cells(cells))

    def _line(self, number: int, cells: Sequence[str]) -> ParticipationLine:
        isrc, use, answer = [*cells[:3], "", "", ""][:3]
        line = ParticipationLine(number, "")
        try:
            line.isrc = identifiers.isrc(isrc)
        except BadIdentifier as error:
            line.add_problem("isrc", str(error))
        if not isrc:
            line.add_problem("isrc", "The ISRC is missing.")
        line.use = USES.get(folded(use or self._use))
        if line.use is None:
            line.add_problem("use", f"“{use or self._use}” is not a use, such as train.generative.")
        folded_answer = folded(answer)
        line.yes = True if folded_answer in YES else False if folded_answer in NO else None
        if not folded_answer:
            line.yes = self._apply_yes
        if line.yes is None:
            line.add_problem("answer", f"“{answer}” is neither yes nor no.")
        return line


def _cells(cells: Sequence[str]) -> list[str]:
    cleaned = [clean(cell) for cell in cells]
    # Plain text has its words in one cell, with spaces between them.
    return cleaned[0].split(" ") if len(cleaned) == 1 else cleaned


def _is_isrc(text: str) -> bool:
    try:
        return bool(identifiers.isrc(text))
    except BadIdentifier:
        return False


class Holdings:
    """The rights of a party in some recordings, and which of them its open grants cover."""

    def __init__(self, party: Party, pks: Sequence[int], uses: Collection[str]) -> None:
        self._party = party
        self._rights = self._rights_held(pks)
        self._personal = self._persona_uses(pks, uses)
        # Recording, use and right.
        self.covered = self._granted(pks, uses)
        opt_outs = OptOut.objects.filter(party=party, recording__in=pks, use__in=uses)
        self.opted_out = set(opt_outs.values_list("recording", "use"))

    def _rights_held(self, pks: Sequence[int]) -> Mapping[int, set[str]]:
        sheets = SplitSheet.objects.current().filter(lines__party=self._party)
        rights: dict[int, set[str]] = defaultdict(set)
        for pk in sheets.filter(recording__in=pks).values_list("recording", flat=True):
            rights[pk].add(RightType.MASTER)
        work_sheets = sheets.filter(work__recordings__in=pks)
        for pk in work_sheets.values_list("work__recordings", flat=True):
            rights[pk].add(RightType.COMPOSITION)
        return rights

    def _persona_uses(self, pks: Sequence[int], uses: Collection[str]) -> set[tuple[int, str]]:
        """Return recordings, with uses of a person that need this party's own permission there."""
        return {
            (recording, use)
            for use in persons.PERSONA_USES.intersection(uses)
            for recording, party in persons.asked_in(pks, use)
            if party == self._party.pk
        }

    def _granted(self, pks: Sequence[int], uses: Collection[str]) -> set[tuple[int, str, str]]:
        covered: set[tuple[int, str, str]] = set()
        grants = Grant.objects.filter(
            grantor=self._party, use__in=uses, status__in=Grant.OPEN_STATUSES
        ).filter(Q(recording=None) | Q(recording__in=pks))
        for grant in grants:
            if grant.recording_id:
                # Also before its split is entered: an opt-out ends the grant (lifecycle.covering).
                covered.add((grant.recording_id, grant.use, grant.right_type))
                continue
            covered_pks = holds.covered_by(grant).filter(pk__in=pks).values_list("pk", flat=True)
            covered.update((pk, grant.use, grant.right_type) for pk in covered_pks)
        return covered

    def needed(self, pk: int, use: str) -> set[str]:
        """Return the rights for which the use of the recording needs this party's permission."""
        rights = set(self._rights.get(pk, ()))
        return rights | {RightType.PERSONA} if (pk, use) in self._personal else rights

    def granted(self, pk: int, use: str) -> set[str]:
        return {
            right
            for recording, covered_use, right in self.covered
            if (recording, covered_use) == (pk, use)
        }

    def missing(self, pk: int, use: str) -> list[str]:
        return sorted(
            right for right in self.needed(pk, use) if (pk, use, right) not in self.covered
        )


class Answers:
    """Compares lines, part by part, with what the party holds and has granted."""

    def __init__(self, job: ImportJob) -> None:
        self.job = job
        self.party = Party.objects.get(pk=job.options["party"])
        agreement = job.options.get("agreement")
        self.agreement = Agreement.objects.get(pk=agreement) if agreement else None
        # The answer of an earlier line of the file for the same recording and use.
        self._answers: dict[tuple[str, str], bool] = {}
        # What earlier lines have changed, or would have in a dry run.
        self._done: dict[tuple[int, str], bool] = {}

    def load(self, lines: Sequence[ParticipationLine]) -> None:
        recordings = Recording.objects.filter(isrc__in={line.isrc for line in lines if line.isrc})
        self._recordings = {row.isrc: row for row in recordings}
        pks = [row.pk for row in self._recordings.values()]
        uses = {line.use.value for line in lines if line.use}
        self._holdings = Holdings(self.party, pks, uses)

    def answer(self, line: ParticipationLine, *, enter: bool) -> Verdict:
        """Return the verdict on a loaded line; `enter` also carries it out."""
        recording = None if line.refused else self._check(line)
        if recording is None or line.use is None or line.refused:
            return "refused"
        if self._done.get((recording.pk, line.use)) is not None:
            return "unchanged"
        verdict = (self._apply_yes if line.yes else self._apply_no)(
            recording, line.use, enter=enter
        )
        if verdict != "unchanged":
            self._done[recording.pk, line.use] = bool(line.yes)
        return verdict

    def _check(self, line: ParticipationLine) -> Recording | None:
        recording = self._recordings.get(line.isrc)
        if recording is None:
            line.add_problem("isrc", f"No recording here has the ISRC {line.isrc}.")
            return None
        if not self._holdings.needed(recording.pk, str(line.use)):
            line.add_problem(
                "isrc", f"{self.party} holds nothing in “{recording}” that this use needs."
            )
        if self._answers.setdefault((line.isrc, str(line.use)), bool(line.yes)) != line.yes:
            line.add_problem(
                "answer", "An earlier line says the opposite of this recording and use."
            )
        if line.yes and self.agreement is None:
            line.add_problem("answer", "A yes needs the agreement that it is given under.")
        return recording

    def _apply_yes(self, recording: Recording, use: Use, *, enter: bool) -> Verdict:
        missing = self._holdings.missing(recording.pk, use)
        for right in missing:
            if enter and self.agreement is not None:
                agreements.draft_grant(
                    by=self.job.made_by,
                    agreement=self.agreement,
                    right_type=right,
                    use=use,
                    recording=recording,
                )
        return "added" if missing else "unchanged"

    def _apply_no(self, recording: Recording, use: Use, *, enter: bool) -> Verdict:
        opted_out = (recording.pk, use) in self._holdings.opted_out
        if opted_out and not self._holdings.granted(recording.pk, use):
            return "unchanged"
        if enter:
            lifecycle.opt_out(recording, use, self.party, self.job.made_by, NOTE)
        return "changed"


def check_agreement(party: Party, agreement: Agreement | None) -> None:
    """Raise Refused where the agreement is another party's."""
    if agreement is not None and agreement.counterparty_id != party.pk:
        raise Refused("agreement", f"This agreement is not one of {party}.", field="agreement")
