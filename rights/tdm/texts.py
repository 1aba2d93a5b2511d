"""Read what people bring as text: a file or what they pasted, as tools and terminals print it.

A terminal adds colours, log lines before and a prompt after; an office program curls quotation
marks. All of that is looked past. What breaks off is refused, since a denial may be in the missing
part. Everything here takes time in proportion to the length, whatever the text.
"""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from backline import bounds
from rights.errors import Refused

MOST_BYTES = 256 * 1024
# Values within values: the longest reports have about a dozen.
DEEPEST = 60
# Single JSON values in one text, such as reports of several files.
MOST_VALUES = 50

ESCAPES = re.compile(
    "\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]{0,500}(?:\x07|\x1b\\\\)|[@-Z\\\\-_])"
)
# A brace or bracket that begins a line and a JSON value. A log line's bracket is followed by a date
# or a level, a prompt's by a name.
BEGINNING = re.compile(r"^[ \t]*(\{|\[(?=\s*[\[{\"\]]))", re.MULTILINE)
# A line of a JSON value whose beginning is missing.
REMNANT = re.compile(r"^[ \t]*(?:[}\]]|\"[^\"\n]{0,500}\"[ \t]*:)", re.MULTILINE)
# An object that follows something else on its line.
INLINE = re.compile(r"\{\s*\"")
# What office programs make of quotation marks and spaces.
CURLED = str.maketrans({"“": '"', "”": '"', "„": '"', "‟": '"', "\u00a0": " ", "\u202f": " "})
# The first bytes of files that are no text.
BINARIES = (
    (b"RIFF", "a WAV file"), (b"fLaC", "a FLAC file"), (b"ID3", "an MP3 file"),
    (b"OggS", "an Ogg file"), (b"FORM", "an AIFF file"), (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"), (b"%PDF", "a PDF"), (b"PK\x03\x04", "a ZIP or Office file"),
    (b"\x1f\x8b", "a compressed file"),
)  # fmt: skip
GIVE_ALL = "Take care to give all of it, from the first brace to the last."
RUN_A_TOOL = (
    "What is read here is what a tool says of a file: run c2patool on it, and paste what it prints."
)


def unreadable(sentence: str) -> Refused:
    return Refused("file", sentence, field="file")


def text_of(content: bytes) -> str:
    """Return the text without byte order mark and colours. Raises Refused for anything else."""
    if len(content) > MOST_BYTES:
        raise unreadable(
            f"This is longer than {MOST_BYTES // 1024} kB, and no signal is. Of a long report, "
            "give only the training-mining assertion."
        )
    for start, name in BINARIES:
        if content.startswith(start):
            raise unreadable(f"This is {name} itself. {RUN_A_TOOL}")
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise unreadable("This is not text: save it as UTF-8.") from error
    if "\0" in text:
        raise unreadable(f"This is not text but a file of bytes. {RUN_A_TOOL}")
    return ESCAPES.sub("", text.lstrip("\ufeff"))


# --- JSON -------------------------------------------------------------------------------------


def json_in(text: str) -> list[Any]:
    """Return every JSON value that begins a line; none if there is none. Raises Refused for one
    that breaks off at either end, is nested too deep or has a key twice."""
    try:
        values = _values(text)
    except Refused:
        straight = text.translate(CURLED)
        if straight == text:
            raise
        values = _values(straight)
    return values or _inline(text)


def _values(text: str) -> list[Any]:
    values: list[Any] = []
    end = 0
    while match := BEGINNING.search(text, end):
        _refuse_remnants(text[end : match.start(1)])
        value, end = _value_at(text, match.start(1))
        values.append(value)
        if len(values) > MOST_VALUES:
            raise unreadable(f"There are more than {MOST_VALUES} JSON values in it.")
    _refuse_remnants(text[end:])
    return values


def _inline(text: str) -> list[Any]:
    """Return the object that follows something else on its line, such as a file's name. It is not
    insisted on: headers of pages may have something like it."""
    match = INLINE.search(text)
    try:
        return [_value_at(text, match.start())[0]] if match else []
    except Refused:
        return []


def _value_at(text: str, start: int) -> tuple[Any, int]:
    decoder = json.JSONDecoder(
        object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant
    )
    try:
        value, end = decoder.raw_decode(text, start)
    except Refused:
        raise
    except RecursionError as error:
        raise _too_deep() from error
    except json.JSONDecodeError as error:
        raise unreadable(
            f"The JSON in it cannot be read: line {error.lineno} is not as JSON has it "
            f"({error.msg.lower()}). {GIVE_ALL}"
        ) from error
    except ValueError as error:
        raise unreadable("The JSON in it has a number too long to be one.") from error
    _refuse_depth(value)
    return _readable(value), end


def _refuse_remnants(text: str) -> None:
    if REMNANT.search(text):
        raise unreadable(f"The JSON in it is not whole: its beginning is missing. {GIVE_ALL}")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a duplicate key: it would be read with its last value only."""
    pairs = [(bounds.readable(name), value) for name, value in pairs]
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise unreadable(f"“{name[:60]}” stands twice in the same place of the file.")
            seen.add(name)
    return members


def _readable(value: Any) -> Any:
    """Replace what JSON can escape and no database stores, in values as in keys: a denial under
    such a key stays one."""
    if isinstance(value, str):
        return bounds.readable(value)
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, dict):
        return {name: _readable(member) for name, member in value.items()}
    return value


def _refuse_constant(name: str) -> None:
    raise unreadable(f"{name} is no number of JSON.")


def _too_deep() -> Refused:
    return unreadable("The JSON in it is nested deeper than any signal is.")


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            member
            for parent in level
            if isinstance(parent, dict | list)
            for member in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return
    raise _too_deep()


# --- Pages and their headers --------------------------------------------------------------------

PAGE = re.compile(r"<(?:!doctype|html|head|meta|body|script|link|title)\b", re.IGNORECASE)
META = re.compile(r"""<meta\b((?:[^<>"']|"[^"]{0,2000}"|'[^']{0,2000}'){0,2000})>""", re.IGNORECASE)
ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+)""")


def page_in(text: str) -> str | None:
    """Return the source of a page, without what stands above it; None in JSON and other text."""
    if text.lstrip()[:1] in {"{", "["}:
        return None
    match = PAGE.search(text)
    return text[match.start() :] if match else None


def metas(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and content of the meta elements of a page. Python's own parser takes a minute
    for a page of broken tags."""
    for match in META.finditer(_without_comments(text)):
        values = {
            name.casefold(): unescape(value.strip("\"'"))
            for name, value in ATTRIBUTE.findall(match[1])
        }
        name = values.get("name") or values.get("property") or values.get("http-equiv") or ""
        if name:
            yield name, values.get("content", "")


def _without_comments(text: str) -> str:
    """Leave out comments; one that never ends is none, lest it hide what follows."""
    kept, start = [], 0
    while (begin := text.find("<!--", start)) >= 0 and (end := text.find("-->", begin)) >= 0:
        kept.append(text[start:begin])
        start = end + 3
    return " ".join([*kept, text[start:]])


def headers(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of lines with a colon. `curl -v` marks an answer's lines; a browser
    puts the value on the next one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line, following in zip(lines, [*lines, ""][1:], strict=True):
        name, colon, value = line.removeprefix("< ").partition(":")
        if colon:
            yield name, value.strip() or following
