"""Identifiers of the music business: read leniently, kept compact, refused when wrong.

Formats and check rules: ISO 3901 (ISRC), ISO 15707 (ISWC), ISO 27729 (ISNI) and the CISAC
rule of the IPI name number. ISRC and ISNI are python-stdnum's; the other two it does not have.
An ISRC has no check digit, and the ISWC's misses about one in ten single-digit errors: a code
that passes here can still be somebody else's.
"""

import re

from stdnum import isni as stdnum_isni
from stdnum import isrc as stdnum_isrc
from stdnum.exceptions import ValidationError


class BadIdentifier(ValueError):
    """A code that cannot be right; the text is a sentence for the person who typed it."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def _bare(text: str) -> str:
    return re.sub(r"[\s.\-]", "", text).upper()


def isrc(text: str) -> str:
    """The twelve characters of an ISRC; an empty text stays empty."""
    if not text.strip():
        return ""
    try:
        return str(stdnum_isrc.validate(text))
    except ValidationError as error:
        raise BadIdentifier(
            "isrc",
            f"“{text}” is not an ISRC. It has twelve characters: two letters, three letters or "
            "digits, then seven digits, such as US-SKG-19-12345.",
        ) from error


def isni(text: str) -> str:
    """The sixteen characters of an ISNI; an empty text stays empty."""
    if not text.strip():
        return ""
    try:
        return str(stdnum_isni.validate(text))
    except ValidationError as error:
        raise BadIdentifier(
            "isni",
            f"“{text}” is not an ISNI. It has sixteen digits, the last of which checks the others "
            "and may be an X, such as 0000 0001 2281 955X.",
        ) from error


def iswc(text: str) -> str:
    """T and ten digits, the last of which checks the others; an empty text stays empty."""
    if not text.strip():
        return ""
    compact = _bare(text)
    if not re.fullmatch(r"T[0-9]{10}", compact) or compact[-1] != iswc_check_digit(compact[1:10]):
        raise BadIdentifier(
            "iswc",
            f"“{text}” is not an ISWC. It has a T and ten digits, the last of which checks the "
            "others, such as T-034.524.680-1.",
        )
    return compact


def iswc_check_digit(nine: str) -> str:
    """ISO 15707: S = 1 + the sum of i times digit i from the left; the digit is -S modulo 10."""
    total = 1 + sum(place * int(digit) for place, digit in enumerate(nine, start=1))
    return str(-total % 10)


def ipi_name(text: str) -> str:
    """Eleven digits with leading zeros, the last two of which check the others; empty stays."""
    if not text.strip():
        return ""
    compact = _bare(text).zfill(11)
    if not re.fullmatch(r"[0-9]{11}", compact) or compact[-2:] != ipi_check_digits(compact[:9]):
        raise BadIdentifier(
            "ipi_name",
            f"“{text}” is not an IPI name number. It has eleven digits, the last two of which "
            "check the others, such as 00000000199.",
        )
    return compact


def ipi_check_digits(nine: str) -> str:
    """Weights 10 down to 2, modulo 101; remainders 0 and 1 both give 00."""
    rest = sum((10 - place) * int(digit) for place, digit in enumerate(nine)) % 101
    return f"{(101 - rest) % 100 if rest else 0:02d}"
