"""Identifiers of the music business: read leniently, stored compact, refused when wrong.

Formats and check rules: ISO 3901 (ISRC), ISO 15707 (ISWC), ISO 27729 (ISNI), GS1 (UPC, EAN),
IFPI (GRid), DDEX (DPID), RFC 9562 (MBID) and the CISAC rules of the two IPI numbers.
python-stdnum checks those that it knows, which ISWC and IPI are not. An ISRC has no check digit,
and the ISWC's misses about one in ten single-digit errors: a code that passes can be somebody
else's.
"""

import re
import unicodedata
import uuid

from stdnum import ean as stdnum_ean
from stdnum import isrc as stdnum_isrc
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_11_2, mod_37_36

from portal.inputs.text import clean_line


class BadIdentifier(ValueError):
    """A code that cannot be right; the text is a sentence for the person who typed it."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


# A number as a spreadsheet shows it when it has dropped digits, and one with an empty fraction.
ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)
WHOLE = re.compile(r"([0-9]+)[.,]0+")


def _bare(text: str) -> str:
    return re.sub(r"[\s.\-\u2010-\u2015]", "", _typed(text)).upper()


def _typed(text: str) -> str:
    """Return the code as a person sees it: without invisible characters, and with the full-width
    letters and digits of Japanese files as plain ones."""
    return clean_line(unicodedata.normalize("NFKC", text))


def _digits(field: str, text: str) -> str:
    """Return a code that is mostly digits without separators. Raises BadIdentifier where a
    spreadsheet took it for a number and has rounded it."""
    text = _typed(text)
    if ROUNDED.fullmatch(text):
        raise BadIdentifier(
            field,
            f"“{text}” was rounded by a spreadsheet, and its last digits are lost. Format the "
            "column as text there, and fill it in again.",
        )
    whole = WHOLE.fullmatch(text)
    return whole[1] if whole else _bare(text)


def _wrong_digit(field: str, text: str, what: str, right: str, given: str) -> BadIdentifier:
    """Return the refusal of a code whose last characters do not check the others."""
    plural = len(right) > 1
    last = f"last {len(right)} digits check" if plural else "last digit checks"
    return BadIdentifier(
        field,
        f"“{text}” is not {what}: its {last} the others, and would have to be {right}, not "
        f"{given}. One of the digits is wrong.",
    )


def isrc(text: str) -> str:
    """Return the twelve characters of an ISRC; an empty text stays empty."""
    if not text.strip():
        return ""
    try:
        code = _bare(text)
        # Twelve characters may begin with these four letters too.
        code = code.removeprefix("ISRC").removeprefix(":") if len(code) > 12 else code
        return str(stdnum_isrc.validate(code))
    except ValidationError as error:
        raise BadIdentifier(
            "isrc",
            f"“{text}” is not an ISRC. It has twelve characters: two letters, three letters or "
            "digits, then seven digits, such as US-SKG-19-12345.",
        ) from error


def isni(text: str) -> str:
    """Return the sixteen characters of an ISNI; an empty text stays empty. Zeros that a
    spreadsheet has left out count as there if the check digit fits."""
    if not text.strip():
        return ""
    compact = _digits("isni", text.rpartition("/")[2]).removeprefix("ISNI").removeprefix(":")
    if not re.fullmatch(r"[0-9]{7,15}[0-9X]", compact):
        raise BadIdentifier(
            "isni",
            f"“{text}” is not an ISNI. It has sixteen digits, the last of which checks the others "
            "and may be an X, such as 0000 0001 2281 955X.",
        )
    number = compact.zfill(16)
    digit = str(mod_11_2.calc_check_digit(number[:-1]))
    if number[-1] != digit:
        raise _wrong_digit("isni", text, "an ISNI", digit, number[-1])
    return number


def iswc(text: str) -> str:
    """Return T and ten digits, the last of which checks the others; an empty text stays empty.
    Some catalogues leave out the T."""
    if not text.strip():
        return ""
    compact = _bare(text).removeprefix("ISWC").removeprefix(":")
    compact = f"T{compact}" if re.fullmatch(r"[0-9]{10}", compact) else compact
    if not re.fullmatch(r"T[0-9]{10}", compact):
        raise BadIdentifier(
            "iswc",
            f"“{text}” is not an ISWC. It has a T and ten digits, the last of which checks the "
            "others, such as T-034.524.680-1.",
        )
    digit = iswc_check_digit(compact[1:10])
    if compact[-1] != digit:
        raise _wrong_digit("iswc", text, "an ISWC", digit, compact[-1])
    return compact


def iswc_check_digit(nine: str) -> str:
    """ISO 15707: S = 1 + the sum of i times digit i from the left; the digit is -S modulo 10."""
    total = 1 + sum(place * int(digit) for place, digit in enumerate(nine, start=1))
    return str(-total % 10)


def ipi_name(text: str) -> str:
    """Return eleven digits with leading zeros; the last two check the others. Empty stays empty."""
    if not text.strip():
        return ""
    compact = _digits("ipi_name", text).zfill(11)
    if not re.fullmatch(r"[0-9]{11}", compact):
        raise BadIdentifier(
            "ipi_name",
            f"“{text}” is not an IPI name number. It has eleven digits, the last two of which "
            "check the others, such as 00000000199.",
        )
    digits = ipi_check_digits(compact[:9])
    if compact[-2:] != digits:
        raise _wrong_digit("ipi_name", text, "an IPI name number", digits, compact[-2:])
    return compact


def ipi_check_digits(nine: str) -> str:
    """Weights 10 down to 2, modulo 101; remainders 0 and 1 both give 00."""
    remainder = sum((10 - place) * int(digit) for place, digit in enumerate(nine)) % 101
    return f"{(101 - remainder) % 100 if remainder else 0:02d}"


def ipi_base(text: str) -> str:
    """Return I, nine digits and one that checks them, as I-000000001-9; empty stays empty."""
    if not text.strip():
        return ""
    compact = _bare(text)
    if not re.fullmatch(r"I[0-9]{10}", compact):
        raise BadIdentifier(
            "ipi_base",
            f"“{text}” is not an IPI base number. It has an I and ten digits, the last of which "
            "checks the others, such as I-000000001-9.",
        )
    digit = ipi_base_digit(compact[1:10])
    if compact[-1] != digit:
        raise _wrong_digit("ipi_base", text, "an IPI base number", digit, compact[-1])
    return compact


def ipi_base_digit(nine: str) -> str:
    """Return the check digit as the ISWC's, but with a sum that starts at two."""
    total = 2 + sum(place * int(digit) for place, digit in enumerate(nine, start=1))
    return str(-total % 10)


def upc(text: str) -> str:
    """Return a UPC, EAN or GTIN in its one form: 8, 12, 13 or 14 digits; empty stays empty.

    A number is the same with zeros before it (GS1 General Specifications, 7.9): 12, 13 and 14
    digits of one number are its shortest, and zeros that a spreadsheet has left out count as there
    if the check digit fits.
    """
    if not text.strip():
        return ""
    compact = re.sub(r"^(?:UPC|EAN|GTIN|ICPN):?", "", _digits("upc", text))
    if not re.fullmatch(r"[0-9]{7,14}", compact):
        raise BadIdentifier(
            "upc",
            f"“{text}” is not a UPC or EAN. It has 8, 12, 13 or 14 digits, the last of which "
            "checks the others, such as 036000291452.",
        )
    # The rule of GS1 counts from the right, so it is one for all lengths.
    digit = stdnum_ean.calc_check_digit(compact[:-1])
    if compact[-1] != digit:
        raise _wrong_digit("upc", text, "a UPC or EAN", digit, compact[-1])
    number = compact.zfill(14)
    length = next(length for length in (8, 12, 13, 14) if not number[:-length].strip("0"))
    return number[-length:]


def grid(text: str) -> str:
    """Return the eighteen characters of a GRid; empty stays empty."""
    if not text.strip():
        return ""
    compact = _bare(text).removeprefix("GRID").removeprefix(":")
    if not re.fullmatch(r"[0-9A-Z]{18}", compact):
        raise BadIdentifier(
            "grid",
            f"“{text}” is not a GRid. It has eighteen letters and digits, the last of which checks "
            "the others, such as A1-2425G-ABC1234002-M.",
        )
    character = mod_37_36.calc_check_digit(compact[:-1])
    if compact[-1] != character:
        raise _wrong_digit("grid", text, "a GRid", character, compact[-1])
    return compact


def dpid(text: str) -> str:
    """Return PADPIDA and eleven characters; empty stays empty. See `dpid_warning` for the last."""
    if not text.strip():
        return ""
    compact = _bare(text)
    if not re.fullmatch(r"PADPIDA[0-9A-Z]{11}", compact):
        raise BadIdentifier(
            "dpid",
            f"“{text}” is not a DPID. It begins with PADPIDA and has eighteen letters and digits, "
            "such as PA-DPIDA-2013020802-I.",
        )
    return compact


def dpid_warning(compact: str) -> str:
    """Warn of a wrong check character: many ids in use were made up, so none is refused for it."""
    if not compact or mod_37_36.is_valid(compact):
        return ""
    return "Its check character does not fit; ask the party whether it is typed correctly."


def mbid(text: str) -> str:
    """Return a MusicBrainz id, a UUID with hyphens in lower case; empty stays empty."""
    if not text.strip():
        return ""
    try:
        return str(uuid.UUID(text.strip().rpartition("/")[2]))
    except ValueError as error:
        raise BadIdentifier(
            "mbid",
            f"“{text}” is not a MusicBrainz id, such as 5b11f4ce-a62d-471e-81fc-a69a8278c7da.",
        ) from error


HASH_DIGITS = {"sha256": 64, "sha1": 40, "md5": 32}


def file_hash(text: str) -> str:
    """Return the hash of a file with its method before it, `sha256:` and hexadecimal digits; empty
    stays empty. A hash alone is told by its length."""
    compact = re.sub(r"\s", "", text).casefold()
    if not compact:
        return ""
    method, colon, digits = compact.rpartition(":")
    method = method.replace("-", "").replace("_", "")
    if not colon:
        method = next((name for name, count in HASH_DIGITS.items() if len(digits) == count), "")
    if not re.fullmatch(r"[0-9a-f]+", digits) or len(digits) != HASH_DIGITS.get(method):
        raise BadIdentifier(
            "expected_hash",
            f"“{text}” is not the hash of a file. It has 64 hexadecimal digits (SHA-256), 40 "
            "(SHA-1) or 32 (MD5), such as md5:9e107d9d372bb6826bd81d3542a419d6.",
        )
    return f"{method}:{digits}"
