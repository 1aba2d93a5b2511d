"""The credit statement: whose music is behind something, in what shares, and by whose leave.

It is ids and amounts, kept by the SHA-256 of its canonical JSON: the same facts give the same
digest. Names are not in it, they are looked up when somebody reads it: a party may be renamed or
erased, and a statement about a hundred thousand recordings stays small. `notes` are the names for
a page, `table` those for a file.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple, TypedDict

from backline.uses import ARTISTS
from portal.database.bulk import among, parts
from rights.models import Credit, Decision, DecisionLine, Grant, Recording, RightType, Use

# Recording id to (examples, seconds).
Exposures = Mapping[int, tuple[int, float]]
# So many of the greatest shares are read on a page; the others are counted there.
LISTED = 50
AT_ONCE = 1000
VERSION = 2


class CreditLine(NamedTuple):
    """One recording: seconds of its audio in so many examples; `share` of all seconds, 0 to 1;
    ids of the grants that the decisions rested on."""

    recording: int
    examples: int
    seconds: float
    share: float
    grants: list[int]


@dataclass(frozen=True)
class Statement:
    """`basis` says in words what the shares are parts of. Lines come with the greatest share
    first. `references` were reference audio, as the program declared it: heard themselves, and
    not only learned from. `more` recordings are not listed, where it was cut short for a page."""

    use: str
    decisions: list[int]
    basis: str
    examples: int
    seconds: float
    lines: list[CreditLine]
    references: list[CreditLine] = field(default_factory=list)
    more: int = 0

    def canonical(self) -> bytes:
        """As it is kept: sorted keys, no spaces, UTF-8."""
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


def read(canonical: bytes) -> Statement:
    """The inverse of `canonical`."""
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
    """What was used, in shares of the seconds that were heard in training.

    `older` are the decisions behind the weights that training started from, `origin` says in the
    basis which runs these were. `references` were reference audio by `reference_decision`; their
    basis is that they were declared. Before the first use is reported the share is even, and
    `basis` says so. A constant number of queries. `top` lists only so many lines.
    """
    total = sum(seconds for _, seconds in exposures.values())
    decisions = [candidate.pk for candidate in (decision, *older) if candidate]
    made = Statement(
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
        asked = [reference_decision.pk] if reference_decision else []
        made = replace(made, references=_lines(references, asked))
    return made


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
    found: dict[int, list[int]] = {}
    for decision in decisions:
        lines = DecisionLine.objects.filter(decision=decision, recording__in=among(recordings))
        for recording, grants in lines.order_by().values_list("recording", "grants"):
            known = found.setdefault(recording, [])
            known += [grant for grant in grants if grant not in known]
    return found


def artists(lines: Sequence[CreditLine]) -> list[int]:
    """The main and featured artists of these recordings, by party id, greatest share first."""
    share = {line.recording: line.share for line in lines}
    sums: dict[int, float] = defaultdict(float)
    credits_of = Credit.objects.filter(recording__in=among(share), role__in=ARTISTS).order_by()
    for party, recording in credits_of.values_list("party", "recording").distinct():
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
    """A statement as a page lists it: the greatest shares with names, the others counted."""

    statement: Statement
    recordings: list[Note]
    references: list[Note]
    more: int


def notes(statement: Statement, top: int = LISTED) -> Notes:
    """A constant number of queries."""
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
    """Every line of the statement with its names, as rows of `TABLE`, some at a time."""
    for basis, lines in (("reference audio", statement.references), ("learned", statement.lines)):
        for some in parts(lines, AT_ONCE):
            for note in _notes(some):
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
            f"{grant['grantor']} ({grant['right']}: {grant['use']})" for grant in note["grants"]
        ),
        str(note["examples"]),
        f"{note['seconds']:.6f}",
        f"{note['share']:.12f}",
    ]


def _notes(lines: Sequence[CreditLine]) -> list[Note]:
    """In the order of share, then title."""
    ids = [line.recording for line in lines]
    recordings = Recording.objects.filter(pk__in=among(ids)).prefetch_related(
        "works__credits__party", "credits__party"
    )
    known = {recording.pk: recording for recording in recordings}
    grants = _grant_notes({grant for line in lines for grant in line.grants})
    found = [
        _note(known[line.recording], line, [grants[pk] for pk in line.grants if pk in grants])
        for line in lines
    ]
    return sorted(found, key=lambda note: (-note["share"], note["title"], note["id"]))


def _note(recording: Recording, line: CreditLine, grants: list[GrantNote]) -> Note:
    credits_of = list(recording.credits.all())
    works = sorted(recording.works.all(), key=lambda work: work.pk)
    contributors = [_contributor(credit, "recording") for credit in credits_of]
    contributors += [
        _contributor(credit, "composition") for work in works for credit in work.credits.all()
    ]
    return Note(
        id=recording.pk,
        title=recording.title,
        isrc=recording.isrc,
        artists=sorted(credit.party.credit_name for credit in credits_of if credit.role in ARTISTS),
        works=[{"title": work.title, "iswc": work.iswc} for work in works],
        contributors=sorted(
            contributors, key=lambda one: (one["name"], one["role"], one["instrument"], one["on"])
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
    # No objects: a grant's wide columns were most of the time that a long table took.
    rows = Grant.objects.filter(pk__in=among(grants)).values_list(
        "pk", "right_type", "use", "agreement__title", "grantor__name", "grantor__credited_as"
    )
    return {
        pk: GrantNote(
            id=pk,
            grantor=credited_as or name,
            right=str(RightType(right).label),
            use=str(Use(use).label),
            agreement=title,
        )
        for pk, right, use, title, name, credited_as in rows
    }
