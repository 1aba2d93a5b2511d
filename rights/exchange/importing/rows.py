"""One recording as a file describes it, whatever the file's format."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from portal.inputs.text import clean_line
from rights.models import RoleCode, Scheme

# Credits with these roles belong to the composition, all others to the recording.
WORK_ROLES = frozenset(
    {
        RoleCode.COMPOSER, RoleCode.LYRICIST, RoleCode.COMPOSER_LYRICIST, RoleCode.ARRANGER,
        RoleCode.ADAPTER, RoleCode.TRANSLATOR, RoleCode.MUSIC_PUBLISHER,
    }
)  # fmt: skip
# The most rows that a file may have; send more in several files.
MAX_ROWS = 1_000_000
# Names repeat a lot in one file; this many cleaned names are cached.
REMEMBERED = 50_000
LONGEST_NAME = 300
ROLE_CODES = frozenset(RoleCode.values)
SCHEMES = frozenset(Scheme.values)


class BadFile(ValueError):
    """The file as a whole cannot be read; the sentence is for whoever sent it."""


@dataclass(slots=True)
class Problem:
    """What is wrong with one field of a row. A warning does not refuse the row."""

    row: int
    field: str
    sentence: str
    warning: bool = False


@dataclass(slots=True)
class PartyRow:
    """A party; `numbers` are by scheme (rights.models.Scheme)."""

    name: str
    kind: str = ""
    numbers: dict[str, str] = field(default_factory=dict)
    # Its name in other scripts and spellings, which are nobody else's in the file.
    other_names: list[str] = field(default_factory=list)


@dataclass(slots=True)
class CreditRow:
    party: PartyRow
    role: str
    user_defined: str = ""
    instrument: str = ""
    display_text: str = ""


@dataclass(slots=True)
class ShareRow:
    party: PartyRow
    ppm: int


@dataclass(slots=True)
class WorkRow:
    """A work. An empty title is unknown; a new work then takes the recording's."""

    title: str = ""
    iswc: str = ""
    mbid: str = ""
    # `own` is our own number, where the file is an export of ours; `ref` is the source's number.
    own: int | None = None
    ref: str = ""
    credits: list[CreditRow] = field(default_factory=list)
    split: list[ShareRow] = field(default_factory=list)


@dataclass(slots=True)
class ReleaseRow:
    title: str = ""
    upc: str = ""
    grid: str = ""
    label: PartyRow | None = None
    released_on: str = ""
    # None: after the last known track.
    position: int | None = None
    # The same title in other scripts and spellings: not stored, and no contradiction either.
    other_titles: list[str] = field(default_factory=list)
    # What the reader found wrong with it alone: field and sentence.
    faults: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Row:
    """`number` is the row's place in the file, from 1. What the reader noticed is in `problems`."""

    number: int
    title: str = ""
    isrc: str = ""
    mbid: str = ""
    own: int | None = None
    ref: str = ""
    tags: dict[str, Any] = field(default_factory=dict)
    credits: list[CreditRow] = field(default_factory=list)
    works: list[WorkRow] = field(default_factory=list)
    split: list[ShareRow] = field(default_factory=list)
    releases: list[ReleaseRow] = field(default_factory=list)
    # The same title in other scripts and spellings: not stored, and no contradiction either.
    other_titles: list[str] = field(default_factory=list)
    # The audio file that is to come, without folders, and its hash, such as "md5:" and hex digits.
    expected_file: str = ""
    expected_hash: str = ""
    # Which parts a machine made, as the file declares; empty where it declares nothing.
    machine: str = ""
    problems: list[Problem] = field(default_factory=list)

    def add_problem(self, field_name: str, sentence: str, *, warning: bool = False) -> None:
        self.problems.append(Problem(self.number, field_name, sentence[:400], warning))

    def release_waits(self, release: ReleaseRow, since: int) -> bool:
        """Return whether problems came up from this place on, which are the release's alone.

        They do not keep the recording out: the release is left out instead, and they are warnings
        that say so. Imported once more when they are corrected, the file adds the release.
        """
        problems = [problem for problem in self.problems[since:] if not problem.warning]
        if not problems:
            return False
        name = release.title or release.upc or release.grid
        which = f" “{name[:60]}”" if name else ""
        for problem in problems:
            problem.warning = True
            problem.sentence = (
                f"{problem.sentence[:250]} The release{which} waits: correct this, and import the "
                "file again."
            )
        return True

    @property
    def refused(self) -> bool:
        return any(not problem.warning for problem in self.problems)

    @property
    def artists(self) -> list[PartyRow]:
        return [credit.party for credit in self.credits if credit.role == RoleCode.MAIN_ARTIST]

    def parties(self) -> Iterator[PartyRow]:
        """Yield every party that the row names, with repetitions."""
        subjects: list[Row | WorkRow] = [self, *self.works]
        for subject in subjects:
            yield from (credit.party for credit in subject.credits)
            yield from (share.party for share in subject.split)
        for release in self.releases:
            if release.label:
                yield release.label


class Reader(Protocol):
    def rows(self, after: int = 0) -> Iterator[Row]:
        """Yield the rows, without the first `after` of them; raises BadFile."""


def clean(text: str) -> str:
    """Return the text as it is stored (portal/inputs/text.py)."""
    return _cleaned(text) if len(text) <= LONGEST_NAME else _cleaned.__wrapped__(text)


@lru_cache(REMEMBERED)
def _cleaned(text: str) -> str:
    return clean_line(text)


def folded(text: str) -> str:
    """Return the form in which two spellings of a name are equal."""
    return _folded(text) if len(text) <= LONGEST_NAME else clean(text).casefold()


@lru_cache(REMEMBERED)
def _folded(text: str) -> str:
    return clean(text).casefold()


def key_of(*parts: object) -> str:
    """Return a digest of fixed length of the parts that name a thing within its source."""
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def whole_number(text: str) -> int | None:
    """Return a number without sign or point, such as a track's; None for anything else."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
