"""Find out what somebody brought, and read it; or say what it seems to be and what to do instead.

People paste what a tool or a browser shows them. Whatever has a denial in it that can be read is
read, all of it; everything else is refused in words, so that nobody believes that it was noted.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from rights.errors import Refused
from rights.models import Signal
from rights.tdm import reservations, texts
from rights.tdm.reservations import RESERVED, Reservation, Statement

Scheme = Signal.Scheme
# PLUS data mining in XMP, by its code and as exiftool words it.
PROHIBITED = re.compile(r"DMI-PROHIBITED[A-Z-]*")
PROHIBITED_IN_WORDS = re.compile(
    r"^[^\n:]{0,100}(?<![\w.])data[ _-]?mining\b[^\n:]{0,100}:[\s\"]*prohibited[^\n\"]*",
    re.IGNORECASE | re.MULTILINE,
)
MENTIONED = re.compile(r"training[._-]mining", re.IGNORECASE)
WANTED = (
    "Give a site's tdmrep.json, the headers or source of one of its pages, or the JSON that "
    "c2patool prints of a file."
)
C2PATOOL = "Run “c2patool” with the file's name and nothing else, and give all that it prints."


def read(content: bytes, *, scheme: str = "", path: str = "") -> list[Reservation]:
    """Return every reservation in it, whatever its kind; one that is named has to be among them.
    Raises Refused, with what it seems to be, where there is none or a part cannot be read."""
    statement = Statement.of(content)
    if not statement.text.strip():
        raise texts.unreadable(f"There is nothing in it. {WANTED}")
    readers = dict(_readers(statement, path))
    if not readers:
        raise texts.unreadable(_what_it_is(statement))
    if scheme and scheme not in readers:
        kinds = " and ".join(str(Scheme(kind).label) for kind in readers)
        raise Refused(
            "scheme",
            f"What is in it is {kinds}. Choose that, or have it found out.",
            field="scheme",
        )
    return reservations.merged(said for reader in readers.values() for said in reader())


def _readers(
    statement: Statement, path: str
) -> Iterator[tuple[str, Callable[[], list[Reservation]]]]:
    """Yield a reader for each kind of statement that is in it."""
    values = statement.values
    has_assertions = any(True for _ in reservations.assertions_in(values))
    prohibition = None
    if texts.page_in(statement.text) is None:
        prohibition = PROHIBITED.search(statement.text)
        if not has_assertions:
            prohibition = prohibition or PROHIBITED_IN_WORDS.search(statement.text)
    if has_assertions or prohibition:
        yield (
            Scheme.CAWG,
            lambda: [
                *(reservations.read_entries(values) if has_assertions else ()),
                *_prohibitions(statement, prohibition),
            ],
        )
    rules = [value for value in values if _is_rules(value)]
    if rules or statement.reserves:
        yield (
            Scheme.TDMREP,
            lambda: reservations.read_rules(statement._replace(values=rules), path=path),
        )


def _is_rules(value: Any) -> bool:
    entries = value if isinstance(value, list) else [value]
    return any(
        isinstance(entry, dict) and {"location", "tdm-reservation"} & set(reservations.names(entry))
        for entry in entries
    )


def _prohibitions(statement: Statement, prohibition: re.Match[str] | None) -> Iterator[Reservation]:
    if prohibition is None:
        return
    if not statement.values and MENTIONED.search(statement.text):
        # A flattened assertion stands beside it: half of what the file says would be lost.
        raise texts.unreadable(_what_it_is(statement))
    info = " ".join(prohibition[0].split())[: reservations.MAX_INFO]
    yield Reservation(Scheme.CAWG, "plus.DataMining", "notAllowed", info, RESERVED)


# --- What it seems to be --------------------------------------------------------------------------


def _what_it_is(statement: Statement) -> str:
    """Return a sentence on what it seems to be, and what to do instead."""
    text = statement.text.strip()
    if statement.values:
        return _which_json(statement)
    for sentence, *patterns in SEEMS:
        if all(re.search(pattern, text, re.IGNORECASE | re.MULTILINE) for pattern in patterns):
            return sentence
    if texts.page_in(text) is not None:
        return (
            "This is the source of a page, and it has no tdm-reservation in a meta element. Look "
            "at the page's headers and at /.well-known/tdmrep.json of its site."
        )
    if text.startswith("<"):
        return f"This is XML, and none that is read here. {WANTED}"
    if "{" in text:
        return (
            "There is something like JSON in it, which cannot be read. Give the JSON alone, from "
            "the first brace to the last."
        )
    return f"It cannot be told what this is: it begins with “{text[:40]}”. {WANTED}"


EXIFTOOL = (
    "This is what exiftool prints: it writes an assertion flat, so that what it denies cannot be "
    f"told for sure. {C2PATOOL}"
)
# What to say of a text, and the patterns that it has all of.
SEEMS = (
    (
        (
            "This is what c2patool prints for a file without content credentials: the file says "
            "nothing, so there is nothing to note."
        ),
        r"^(?:error: )?no (?:claim|manifest|c2pa|jumbf|content credentials?)\b",
    ),
    (
        (
            "This is a robots.txt or ai.txt: it tells crawlers where to go, and has no "
            "tdm-reservation. Look at /.well-known/tdmrep.json and the headers of the site; if the "
            "holder means it as a no, have them opt out, or enter that for them."
        ),
        r"^user-agent\s*:",
        r"^(?:dis)?allow\s*:",
    ),
    (EXIFTOOL, r"^exiftool version number|^\[?(?:jumbf|xmp|cbor)\b.* : "),
    (
        (
            "It names a training-mining assertion, without the assertion itself: a tree or summary "
            f"of a report. {C2PATOOL}"
        ),
        MENTIONED.pattern,
    ),
    (
        (
            "This is only an address, and nothing is fetched from here. Open it, and give what it "
            "shows."
        ),
        r"\Ahttps?://\S+\Z",
    ),
    (
        (
            "These are headers of a page, and none of them is a tdm-reservation: they say nothing. "
            "Look at /.well-known/tdmrep.json of the site, too."
        ),
        r"^(?:< )?HTTP/[0-9.]+ [0-9]{3}",
    ),
)


def _which_json(statement: Statement) -> str:
    values = statement.values
    first = values[0]
    keys = list(first) if isinstance(first, dict) else []
    if isinstance(first, list) and first and isinstance(first[0], dict):
        keys = list(first[0])
    names = [str(key) for key in keys]
    if {"manifests", "active_manifest", "assertions", "assertion_store", "claim"} & set(names):
        if MENTIONED.search(statement.text):
            # A claim lists it, or a redaction took it out: that is not the same as silence.
            return (
                f"This report names a training-mining assertion, but it has no entries. {C2PATOOL}"
            )
        labels = sorted({label for value in values for label in reservations.labels_in(value)})
        listed = ", ".join(label[:60] for label in labels[:6]) or "none"
        return (
            "This is a C2PA report with no training-mining assertion in it: the file says nothing "
            f"of training, so there is nothing to note. Its assertions: {listed}."
        )
    if "SourceFile" in names or "ExifToolVersion" in names:
        return EXIFTOOL
    if names:
        listed = ", ".join(f"“{name[:40]}”" for name in names[:5])
        return f"This is JSON with {listed}, and neither a tdmrep.json nor an assertion. {WANTED}"
    return f"This is JSON that is neither a tdmrep.json nor an assertion. {WANTED}"
