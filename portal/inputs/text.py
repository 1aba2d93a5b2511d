"""Texts in the one form in which they are stored, by whichever door they came.

Forms, verbs and imports all clean with these functions, so that what a form stores an import finds
again. Two spellings that look the same are one: accents are composed (NFC), every kind of space is
a space, and characters that show nothing and mean nothing (zero-width spaces, byte order marks,
soft hyphens, control characters, marks of direction) are left out. The joiners U+200C and U+200D
stay: in Persian, in Indian scripts and in emoji they change what is read.
"""

import re
import unicodedata

from django.db import connection
from django.db.models import Q

# C0 without the spaces in it, DEL, and what is invisible and means nothing between letters.
MEANINGLESS = re.compile(
    "[\x01-\x08\x0e-\x1b\x7f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
    # Letters that are blanks: fillers of Hangul, and the Braille pattern without a dot.
    "\u115f\u1160\u2800\u3164\uffa0]"
)
SPACE = re.compile(r"[^\S\t]")
# NUL and half characters, which no database stores, and C1: no text has these, but letters
# that were read in a wrong encoding become some.
UNREADABLE = re.compile("[\0\x80-\x84\x86-\x9f\ud800-\udfff]")
SEPARATORS = re.compile(r"[\s.\-_/\u2010-\u2015]")
# Fewer characters are found in every other code.
LEAST_CODE = 5


def clean_line(text: str) -> str:
    """Return the text in one line: single spaces, none at its ends."""
    return " ".join(MEANINGLESS.sub("", unicodedata.normalize("NFC", text)).split())


def clean_prose(text: str) -> str:
    """Return the text with its lines and their indents, without spaces at the ends of lines."""
    lines = MEANINGLESS.sub("", unicodedata.normalize("NFC", text)).splitlines()
    return "\n".join(SPACE.sub(" ", line).rstrip() for line in lines).strip()


def unreadable(text: str) -> str:
    """Return why this cannot be a text, as a sentence; nothing if it can."""
    match = UNREADABLE.search(text)
    if match is None:
        return ""
    return (
        f"There is a character in it that is no text (U+{ord(match[0]):04X}). It may have been "
        "read in another encoding than it was written in."
    )


# --- Searching --------------------------------------------------------------------------------


def spellings(text: str) -> list[str]:
    """Return the ways in which rows may have this text, for a search that ignores the case.

    Rows from before texts were cleaned may have decomposed accents; and SQLite finds capitals of
    A to Z alone.
    """
    cleaned = clean_line(text)
    found = {cleaned, unicodedata.normalize("NFD", cleaned)}
    if connection.vendor == "sqlite" and not cleaned.isascii():
        found |= {
            unicodedata.normalize(form, cased)
            for cased in (cleaned.lower(), cleaned.upper(), cleaned.title())
            for form in ("NFC", "NFD")
        }
    return sorted(found)


def matching(text: str, *fields: str, lookup: str = "icontains") -> Q:
    """Return the condition that one of the fields contains the text, however either is written."""
    condition = Q()
    for field in fields:
        for spelling in spellings(text):
            condition |= Q(**{f"{field}__{lookup}": spelling})
    return condition


def matching_code(text: str, *fields: str, lookup: str = "icontains") -> Q:
    """Return the condition that one of the fields contains this identifier, or a part of it, with
    or without its separators and its leading zeros."""
    compact = SEPARATORS.sub("", clean_line(text)).upper()
    if lookup == "icontains":
        # The same number has 12, 13 or 14 digits, and some systems leave out what is zero.
        compact = compact.lstrip("0") if compact.isdecimal() else compact
        compact = compact if len(compact) >= LEAST_CODE else ""
    condition = Q(pk__in=[])
    for field in fields if compact else ():
        condition |= Q(**{f"{field}__{lookup}": compact})
    return condition
