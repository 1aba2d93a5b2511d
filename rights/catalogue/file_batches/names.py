"""What the name of a file says of the recording in it.

Names are written by people and programs: “01 - Title”, “Artist - Album - 03 - Title”, “A1 Title”,
“Title_24bit_MASTER”, with an ISRC somewhere. All that a name may mean is read from it; which of it
is meant, the announced recordings say.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from rights import identifiers
from rights.catalogue import titles

ISRC = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}[-_ ]?[A-Za-z0-9]{3}[-_ ]?[0-9]{2}[-_ ]?[0-9]{5}(?![A-Za-z0-9])"
)
ENDING = re.compile(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,5}$")
DASH = "[-\N{EN DASH}\N{EM DASH}]"
SPACED_DASH = re.compile(rf"\s+{DASH}+\s*|{DASH}+\s+")
# “03”, “1-03”, “1.03”, side and number of a record.
NUMBER = r"(?:[0-9]{1,2}[-.][0-9]{1,3}|[0-9]{1,3}|[A-Ha-h][0-9]{1,2})"
NUMBER_ALONE = re.compile(rf"(?:(?:track|cd|disc|disk)\s*)?{NUMBER}", re.IGNORECASE)
NUMBER_BEFORE = re.compile(rf"[(\[]?{NUMBER}(?:\s*[)\].:-]+\s*|\s+)(?=\S)")
# What programs and studios add: the format, that it is the master, the second download.
MADE_AS = re.compile(
    r"[\s(\[-]+(?:master(?:ed)?|final|copy|(?:16|24|32)[\s-]?bit|[0-9]{2,3}(?:\.[0-9])?\s?k(?:hz)?"
    r"|wav|aiff?|flac|mp3)[)\]]?$|\s*\([1-9]\)$",
    re.IGNORECASE,
)
# A title has at most so many dashes in it.
MOST_PARTS = 8


@dataclass(frozen=True)
class Reading:
    """One thing that a name may mean: the key of a title, and the other parts of the name, which
    may name its artist or album. `unusual`: only if one of them does."""

    title: str
    others: tuple[str, ...] = ()
    unusual: bool = False


def folders_and_name(path: str) -> list[str]:
    return [part for part in path.split("/") if part] or [path]


def stem(path: str) -> str:
    """Return the file's name without its folders and its ending."""
    name = folders_and_name(path)[-1]
    return ENDING.sub("", name) or name


def stem_key(path: str) -> str:
    """Return what the names of one file have in common: case and ending do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem(path)).casefold())


def isrcs(path: str) -> list[str]:
    """Return the ISRCs in the file's name; without any, those in the name of its nearest folder."""
    for part in reversed(folders_and_name(path)):
        if codes := _isrcs_in(part):
            return codes
    return []


def valid_isrcs(texts: Iterator[str] | list[str]) -> list[str]:
    """Return those of the texts that are an ISRC, each once."""
    codes = []
    for text in texts:
        try:
            codes.append(identifiers.isrc(text.replace("_", "")))
        except identifiers.BadIdentifier:
            continue
    return [code for code in dict.fromkeys(codes) if code]


def _isrcs_in(text: str) -> list[str]:
    return valid_isrcs([match[0] for match in ISRC.finditer(text)])


def readings(text: str) -> list[Reading]:
    """Return what a name without its ending, or a title in a tag, may mean."""
    spaced = ISRC.sub(" - ", text).replace("_", " ").strip()
    found = list(_of_parts([part for part in SPACED_DASH.split(spaced) if part.strip()]))
    if found and not SPACED_DASH.search(spaced):
        found += _of_parts([part for part in re.split(DASH, spaced) if part.strip()])
    return [reading for reading in dict.fromkeys(found) if reading.title]


def _of_parts(parts: list[str]) -> Iterator[Reading]:
    """Yield the readings of the parts between dashes: a title is what comes last, or all of it."""
    for start in sorted({0, *range(max(0, len(parts) - MOST_PARTS), len(parts))}):
        others = _keys(parts[:start])
        for title in _spellings(" ".join(parts[start:])):
            yield Reading(title, others)
    # “Title - Artist” is read as well, but only if that is its artist: it may be another mix.
    if len(parts) > 1:
        for title in _spellings(parts[0]):
            yield Reading(title, _keys(parts[1:]), unusual=True)


def _keys(parts: list[str]) -> tuple[str, ...]:
    named = (part for part in parts if not NUMBER_ALONE.fullmatch(part.strip()))
    return tuple(titles.key(NUMBER_BEFORE.sub("", part.strip(), count=1)) for part in named)


def _spellings(text: str) -> Iterator[str]:
    """Yield the title as it is, without a number before it, and without what it was made as."""
    text = text.strip()
    yield titles.key(text)
    bare = NUMBER_BEFORE.sub("", text, count=1) if NUMBER_BEFORE.match(text) else text
    yield titles.key(bare)
    while (shorter := MADE_AS.sub("", bare)) not in {bare, ""}:
        bare = shorter
        yield titles.key(bare)
