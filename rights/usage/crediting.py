"""The credit statement: whose music is behind something, in what shares, and with whose permission.

It has ids and amounts, stored by the SHA-256 of its canonical JSON: the same facts give the same
digest. Names are not in it, they are looked up when somebody reads it: a party may be renamed or
erased, and a statement about a hundred thousand recordings stays small. `credit_notes` are the
names for a page, `table` those for a file.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import NamedTuple, TypedDict

from backline.uses import ARTISTS
from portal.database.bulk import among, parts
from rights.models import Credit, Decision, DecisionLine, Grant, Recording, RightType, Use

# Recording id to (examples, seconds).
Exposures = Mapping[int, tuple[int, float]]
# A page lists this many of the largest shares, and counts the others.
LISTED = 50
BATCH_SIZE = 1000
VERSION = 2


class CreditLine(NamedTuple):
    """One recording: seconds of its audio and number of examples; `share` of all seconds, 0 to 1;
    ids of the grants that the decisions rested on."""

    recording: int
    examples: int
    seconds: float
    share: float
    grants: list[int]


@dataclass(frozen=True)
class Statement:
    """`basis` says in words what the shares are parts of. Lines are sorted by share, largest first.
    `references` were reference audio, as the program declared it: used themselves, and not only for
    training. `more` recordings are not listed, where it was cut short for a page."""

    use: str
    decisions: list[int]
    basis: str
    examples: int
    seconds: float
    lines: list[CreditLine]
    references: list[CreditLine] = field(default_factory=list)
    more: int = 0

    def canonical(self) -> bytes:
        """Return the stored form: sorted keys, no spaces, UTF-8."""
        if self.more:
            raise ValueError("A statement that was cut short for a page is not kept.")
        # Not `asdict`, which would copy each of the lines.
        body = {
            column.name: getattr(self, column.name)
            for column in fields(self)
            if column.name != "more"
        }
        body["version"] = VERSION
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()


def parse_statement(canonical: bytes) -> Statement:
    """Parse a statement; the inverse of `canonical`."""
    body = json.loads(canonical)
    if body.pop("version") != VERSION:
        raise ValueError("This is no credit statement of a version that is known here.")
    for key in ("lines", "references"):
        body[key] = [CreditLine(*line) for line in body[key]]
    return Statement(**body)


def digest(canonical: bytes) -> str:
    return hashlib.sha256(canonical).hexdigest()


def statement(
    exposures: Exposures,
    use: Use | str,
    decision: Decision | None,
    *,
    older: Sequence[Decision] = (),
    origin: str = "",
    references: Exposures | None = None,
    reference_decision: Decision | None = None,
    top: int | None = None,
) -> Statement:
    """Return what was used, in shares of the seconds used in training.

    `older` are the decisions behind the initial weights, `origin` says in the basis which runs
    these were. `references` were reference audio by `reference_decision`; their basis is that they
    were declared. Before the first use is reported the share is even, and `basis` says so. Takes a
    constant number of queries. `top` limits the number of lines.
    """
    total = sum(seconds for _, seconds in exposures.values())
    decisions = [candidate.pk for candidate in (decision, *older) if candidate]
    credit_statement = Statement(
        use=str(Use(use).value),
        decisions=decisions,
        basis=("seconds of audio used in training" + origin) if total
        else "even: no use is reported yet",
        examples=sum(examples for examples, _ in exposures.values()),
        seconds=round(total, 6),
        lines=_lines(exposures, decisions, top),
        more=max(0, len(exposures) - top) if top is not None else 0,
    )  # fmt: skip
    if references:
        reference_decisions = [reference_decision.pk] if reference_decision else []
        credit_statement = replace(
            credit_statement, references=_lines(references, reference_decisions)
        )
    return credit_statement


def _lines(exposures: Exposures, decisions: list[int], top: int | None = None) -> list[CreditLine]:
    total = sum(seconds for _, seconds in exposures.values())
    chosen = sorted(exposures, key=lambda pk: (-exposures[pk][1], pk))[:top]
    grants = _grants(decisions, chosen)
    return [
        CreditLine(
            recording=pk,
            examples=exposures[pk][0],
            seconds=round(exposures[pk][1], 6),
            # Twelve places: the same on every machine, and finer than any share that is paid.
            share=round(exposures[pk][1] / total if total else 1 / len(exposures), 12),
            grants=grants.get(pk, []),
        )
        for pk in chosen
    ]


def _grants(decisions: list[int], recordings: Collection[int]) -> dict[int, list[int]]:
    """Recording id to the grants that the decisions rested on, the first decision's first."""
    by_recording: dict[int, list[int]] = {}
    for decision in decisions:
        lines = DecisionLine.objects.filter(decision=decision, recording__in=among(recordings))
        for recording, grants in lines.order_by().values_list("recording", "grants"):
            listed = by_recording.setdefault(recording, [])
            listed += [grant for grant in grants if grant not in listed]
    return by_recording


def artists(lines: Sequence[CreditLine]) -> list[int]:
    """Return the party ids of the main and featured artists of these recordings, largest share
    first."""
    share = {line.recording: line.share for line in lines}
    sums: dict[int, float] = defaultdict(float)
    artist_credits = Credit.objects.filter(recording__in=among(share), role__in=ARTISTS).order_by()
    for party, recording in artist_credits.values_list("party", "recording").distinct():
        sums[party] += share[recording]
    return sorted(sums, key=lambda party: (-sums[party], party))


# --- With names, as they are today -------------------------------------------------------------


class Contributor(TypedDict):
    name: str
    role: str
    instrument: str
    on: str


class GrantNote(TypedDict):
    id: int
    grantor: str
    right: str
    use: str
    agreement: str
    # Until when it allowed it; None: it has not ended.
    ended_at: datetime | None


class Note(TypedDict):
    """One recording as its credits are read."""

    id: int
    title: str
    isrc: str
    artists: list[str]
    works: list[dict[str, str]]
    contributors: list[Contributor]
    grants: list[GrantNote]
    examples: int
    seconds: float
    share: float


@dataclass(frozen=True)
class Notes:
    """A statement as a page lists it: the largest shares with names, the others counted."""

    statement: Statement
    recordings: list[Note]
    references: list[Note]
    more: int


def credit_notes(statement: Statement, top: int = LISTED) -> Notes:
    """Return the largest shares with names, in a constant number of queries."""
    return Notes(
        statement,
        recordings=_notes(statement.lines[:top]),
        references=_notes(statement.references[:top]),
        more=statement.more + max(0, len(statement.lines) - top),
    )


TABLE = (
    "basis", "recording", "title", "isrc", "artists", "works", "contributors", "allowed_by",
    "examples", "seconds", "share",
)  # fmt: skip


def table(statement: Statement) -> Iterator[list[str]]:
    """Yield every line of the statement with its names, as rows of `TABLE`, read in batches."""
    for basis, lines in (("reference audio", statement.references), ("learned", statement.lines)):
        for batch in parts(lines, BATCH_SIZE):
            for note in _notes(batch):
                yield [basis, *_row(note)]


def _row(note: Note) -> list[str]:
    return [
        str(note["id"]),
        note["title"],
        note["isrc"],
        "; ".join(note["artists"]),
        "; ".join(f"{work['title']} {work['iswc']}".strip() for work in note["works"]),
        "; ".join(
            f"{contributor['name']} ({contributor['role']})" for contributor in note["contributors"]
        ),
        "; ".join(
            f"{grant['grantor']} ({grant['right']}: {grant['use']}){_until(grant)}"
            for grant in note["grants"]
        ),
        str(note["examples"]),
        f"{note['seconds']:.6f}",
        f"{note['share']:.12f}",
    ]


def _until(grant: GrantNote) -> str:
    return f" until {grant['ended_at']:%Y-%m-%d}" if grant["ended_at"] else ""


def _notes(lines: Sequence[CreditLine]) -> list[Note]:
    """Return the notes in the order of share, then title."""
    ids = [line.recording for line in lines]
    recordings = Recording.objects.filter(pk__in=among(ids)).prefetch_related(
        "works__credits__party", "credits__party"
    )
    by_id = {recording.pk: recording for recording in recordings}
    grants = _grant_notes({grant for line in lines for grant in line.grants})
    unsorted_notes = [
        _note(by_id[line.recording], line, [grants[pk] for pk in line.grants if pk in grants])
        for line in lines
    ]
    return sorted(unsorted_notes, key=lambda note: (-note["share"], note["title"], note["id"]))


def _note(recording: Recording, line: CreditLine, grants: list[GrantNote]) -> Note:
    recording_credits = list(recording.credits.all())
    works = sorted(recording.works.all(), key=lambda work: work.pk)
    contributors = [_contributor(credit, "recording") for credit in recording_credits]
    contributors += [
        _contributor(credit, "composition") for work in works for credit in work.credits.all()
    ]
    return Note(
        id=recording.pk,
        title=recording.title,
        isrc=recording.isrc,
        artists=sorted(
            credit.party.credit_name for credit in recording_credits if credit.role in ARTISTS
        ),
        works=[{"title": work.title, "iswc": work.iswc} for work in works],
        contributors=sorted(
            contributors,
            key=lambda contributor: (
                contributor["name"],
                contributor["role"],
                contributor["instrument"],
                contributor["on"],
            ),
        ),
        grants=grants,
        examples=line.examples,
        seconds=line.seconds,
        share=line.share,
    )


def _contributor(credit: Credit, on: str) -> Contributor:
    return Contributor(
        name=credit.party.credit_name,
        role=str(credit.get_role_display()),
        instrument=credit.instrument,
        on=on,
    )


def _grant_notes(grants: Collection[int]) -> dict[int, GrantNote]:
    # Values, not objects: a grant's wide columns took most of the time of a long table.
    rows = Grant.objects.filter(pk__in=among(grants)).values_list(
        "pk",
        "right_type",
        "use",
        "agreement__title",
        "grantor__name",
        "grantor__credited_as",
        "ended_at",
    )
    return {
        pk: GrantNote(
            id=pk,
            grantor=credited_as or name,
            right=str(RightType(right).label),
            use=str(Use(use).label),
            agreement=title,
            ended_at=ended_at,
        )
        for pk, right, use, title, name, credited_as, ended_at in rows
    }
