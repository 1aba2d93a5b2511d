"""Our own JSON: `{"format": "backline.catalogue/1", "portal": …, "recordings": […]}`.

Read one recording at a time, however long the list is; docs/imports.md has the fields.
"""

import codecs
import json
from collections.abc import Iterator, Sequence
from typing import IO, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from backline import bounds
from rights.exchange.importing.rows import (
    MAX_ROWS,
    BadFile,
    CreditRow,
    PartyRow,
    ReleaseRow,
    Row,
    ShareRow,
    WorkRow,
)

FORMAT = "backline.catalogue/1"
PIECE = 65_536
LONGEST = 1024 * 1024

Text = Annotated[str, Field(max_length=2_000)]
# A number of the portal's own, as its columns hold it.
Own = Annotated[int, Field(ge=0, le=bounds.MAX_INT)]


class DocumentPart(BaseModel):
    """Part of a document. An unknown field is an error, since the sender wants to know of it."""

    model_config = ConfigDict(extra="forbid")


class PartyPart(DocumentPart):
    name: Text
    kind: Text = ""
    numbers: dict[Text, Text] = Field(default_factory=dict, max_length=10)


class CreditPart(DocumentPart):
    party: PartyPart
    role: Text
    user_defined: Text = ""
    instrument: Text = ""
    display_text: Text = ""


class SharePart(DocumentPart):
    party: PartyPart
    ppm: int = Field(gt=0, le=1_000_000)


class WorkPart(DocumentPart):
    id: Own | None = None
    ref: Text = ""
    title: Text = ""
    iswc: Text = ""
    mbid: Text = ""
    credits: list[CreditPart] = Field(default_factory=list, max_length=500)
    split: list[SharePart] = Field(default_factory=list, max_length=500)


class ReleasePart(DocumentPart):
    title: Text = ""
    upc: Text = ""
    grid: Text = ""
    label: PartyPart | None = None
    released_on: Text = ""
    track: int | None = Field(default=None, ge=1, le=1_000_000)


class RecordingPart(DocumentPart):
    """One recording. `id` is the portal's own number, `ref` the sender's."""

    id: Own | None = None
    ref: Text = ""
    title: Text = ""
    isrc: Text = ""
    mbid: Text = ""
    genre: Text = ""
    tempo: float | int | Literal[""] = ""
    key: Text = ""
    file: Text = ""
    hash: Text = ""
    credits: list[CreditPart] = Field(default_factory=list, max_length=500)
    works: list[WorkPart] = Field(default_factory=list, max_length=100)
    split: list[SharePart] = Field(default_factory=list, max_length=500)
    releases: list[ReleasePart] = Field(default_factory=list, max_length=500)


class JsonReader:
    def __init__(self, file: IO[bytes], *, portal: str = "") -> None:
        self._file = file
        self._portal = portal

    def rows(self, after: int = 0) -> Iterator[Row]:
        owned: bool | None = None
        for number, (head, value) in enumerate(self._values(), start=1):
            if owned is None:
                owned = bool(self._portal) and head.get("portal") == self._portal
            if number > MAX_ROWS:
                raise BadFile(f"The file has more than {MAX_ROWS:,} recordings.")
            if number > after:
                yield row_of(number, value, owned=owned)

    def _values(self) -> Iterator[tuple[dict[str, Any], Any]]:
        """Yield the head with each recording, never with the whole list in memory."""
        text = _Text(self._file)
        head: dict[str, Any] = {}
        names = set[str]()
        text.expect("{")
        while not text.taken("}"):
            name = text.value()
            text.expect(":")
            if not isinstance(name, str):
                raise BadFile("The file is not JSON: the name of a field is a text.")
            if name in names:
                raise BadFile(_twice(name))
            names.add(name)
            if name != "recordings":
                head[name] = text.value()
                text.taken(",")
                continue
            if head.get("format") != FORMAT:
                raise BadFile(f'The file must begin with "format": "{FORMAT}".')
            text.expect("[")
            while not text.taken("]"):
                yield head, text.value()
                text.taken(",")
            text.taken(",")
        text.end()
        if head.get("format") != FORMAT:
            raise BadFile(f'The file must begin with "format": "{FORMAT}".')


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a field that stands twice: only one of its values would be read."""
    members = dict(pairs)
    if len(members) < len(pairs):
        seen = set[str]()
        for name, _ in pairs:
            if name in seen:
                raise BadFile(_twice(name))
            seen.add(name)
    return members


def _twice(name: str) -> str:
    return (
        f"“{bounds.readable(name)[:60]}” stands twice in the same place of the file, and only one "
        "of them can be meant."
    )


class _Text:
    """Reads JSON values from a file, one at a time."""

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0)
        self._file = file
        self._letters = codecs.getincrementaldecoder("utf-8-sig")()
        self._decoder = json.JSONDecoder(object_pairs_hook=_members, parse_constant=self._refuse)
        self._text = ""
        self._over = False

    @staticmethod
    def _refuse(name: str) -> None:
        raise BadFile(f"{name} is no number of JSON.")

    def _more(self) -> bool:
        if self._over:
            return False
        piece = self._file.read(PIECE)
        self._over = not piece
        try:
            self._text += self._letters.decode(piece, final=self._over)
        except UnicodeDecodeError as error:
            raise BadFile("The file's characters cannot be read; JSON is UTF-8.") from error
        return not self._over

    def _skip(self) -> str:
        """Return the next character that is no space, or nothing at the end."""
        while True:
            self._text = self._text.lstrip(" \t\r\n")
            if self._text or not self._more():
                return self._text[:1]

    def taken(self, mark: str) -> bool:
        character = self._skip()
        if not character:
            raise BadFile("The file ends in the middle.")
        if character != mark:
            return False
        self._text = self._text[1:]
        return True

    def expect(self, mark: str) -> None:
        if not self._skip() or not self.taken(mark):
            raise BadFile(f"The file is not JSON of ours: “{mark}” is missing somewhere.")

    def end(self) -> None:
        """Refuse what follows the document: it would be passed over in silence."""
        if self._skip():
            raise BadFile(
                "Something follows the last brace of the document, and would be lost. Send each "
                "document in a file of its own."
            )

    def value(self) -> Any:
        if not self._skip():
            raise BadFile("The file ends in the middle.")
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text)
            except json.JSONDecodeError as error:
                if len(self._text) > LONGEST:
                    raise BadFile("A recording is longer than 1 MB, or is not JSON.") from error
                if not self._more():
                    raise BadFile(f"The file is not JSON: {error.msg}.") from error
                continue
            except BadFile:
                raise
            except ValueError as error:
                raise BadFile("The file has a number too long to be one.") from error
            except RecursionError as error:
                raise BadFile("Values lie too deep in one another.") from error
            # A number at the end of the text read so far may continue.
            if end == len(self._text) and self._more():
                continue
            self._text = self._text[end:]
            return value


def row_of(number: int, value: Any, *, owned: bool) -> Row:
    try:
        part = RecordingPart.model_validate(value)
    except ValidationError as error:
        if faulty := _faulty_releases(error):
            return _without_releases(number, value, faulty, owned=owned)
        row = Row(number, title=str(value.get("title", "")) if isinstance(value, dict) else "")
        faults = dict.fromkeys(
            # A tempo that is no number fails as a number of each kind: that is one fault.
            ("tempo", "a number is expected here")
            if problem["loc"][:1] == ("tempo",)
            else (_place(problem["loc"]), _why(problem))
            for problem in error.errors()
        )
        for place, why in list(faults)[:20]:
            row.add_problem(place[:60] or "recording", f"{place or 'The recording'}: {why}.")
        return row
    row = Row(
        number,
        title=part.title,
        isrc=part.isrc,
        mbid=part.mbid,
        own=part.id if owned else None,
        ref=part.ref,
        expected_file=part.file,
        expected_hash=part.hash,
        tags={
            name: str(tag)
            for name, tag in (("genre", part.genre), ("tempo", part.tempo), ("key", part.key))
            if tag != ""
        },
        credits=[_credit(credit) for credit in part.credits],
        split=[_share(share) for share in part.split],
    )
    row.works = [
        WorkRow(
            title=work.title,
            iswc=work.iswc,
            mbid=work.mbid,
            own=work.id if owned else None,
            ref=work.ref,
            credits=[_credit(credit) for credit in work.credits],
            split=[_share(share) for share in work.split],
        )
        for work in part.works
    ]
    row.releases = [
        ReleaseRow(
            title=release.title,
            upc=release.upc,
            grid=release.grid,
            label=_party(release.label) if release.label else None,
            released_on=release.released_on,
            position=release.track,
        )
        for release in part.releases
    ]
    return row


def _place(steps: Sequence[int | str]) -> str:
    return bounds.readable(".".join(str(step) for step in steps))


# What is wrong with a value, by the code that the checking library gives it.
WORDS = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "model_type": "an object is expected here",
    "dict_type": "an object is expected here",
    "list_type": "a list is expected here",
    "string_type": "a text is expected here",
    "string_unicode": "there is a character in it that is no text",
    "int_type": "a whole number is expected here",
    "int_parsing": "a whole number is expected here",
    "int_from_float": "a whole number is expected here",
    "int_parsing_size": "the number is too large",
    "float_type": "a number is expected here",
    "float_parsing": "a number is expected here",
    "string_too_long": "the text is longer than {max_length:,} characters",
    "too_long": "there are more than {max_length:,} of them",
    "greater_than": "the number has to be more than {gt:,}",
    "greater_than_equal": "the number has to be {ge:,} or more",
    "less_than_equal": "the number may be {le:,} at most",
}


def _why(problem: ErrorDetails) -> str:
    words = WORDS.get(problem["type"])
    return words.format(**problem.get("ctx", {})) if words else problem["msg"]


def _faulty_releases(error: ValidationError) -> dict[int, list[tuple[str, str]]]:
    """Return the faults of each faulty release by its place, or none if anything else is faulty."""
    faulty: dict[int, list[tuple[str, str]]] = {}
    for problem in error.errors():
        match problem["loc"]:
            case ("releases", int(place), *steps):
                name = _place(steps) or "release"
                fault = (name[:60], f"{name}: {_why(problem)}.")
                faulty.setdefault(place, []).append(fault)
            case _:
                return {}
    return faulty


def _without_releases(
    number: int, value: dict[str, Any], faulty: dict[int, list[tuple[str, str]]], *, owned: bool
) -> Row:
    """Read the recording without its faulty releases; they are noted, and wait."""
    releases = value["releases"]
    good = [release for place, release in enumerate(releases) if place not in faulty]
    row = row_of(number, value | {"releases": good}, owned=owned)
    for place, faults in faulty.items():
        release = releases[place]
        title = release.get("title") if isinstance(release, dict) else ""
        row.releases.append(
            ReleaseRow(title=title if isinstance(title, str) else "", faults=faults[:20])
        )
    return row


def _party(part: PartyPart) -> PartyRow:
    return PartyRow(part.name, part.kind, dict(part.numbers))


def _credit(part: CreditPart) -> CreditRow:
    return CreditRow(
        _party(part.party), part.role, part.user_defined, part.instrument, part.display_text
    )


def _share(part: SharePart) -> ShareRow:
    return ShareRow(_party(part.party), part.ppm)
