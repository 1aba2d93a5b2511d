"""Comma-separated values for spreadsheets, and back.

The only writer of CSV: what it writes is a text in every spreadsheet, and `original` gives it back
after one has opened and saved it.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

# Excel takes a file without it for one in the encoding of its country.
BYTE_ORDER_MARK = "\ufeff"
# How a formula begins in a spreadsheet: at the start of a cell, or after blanks, line ends and
# marks that it leaves out; in full width and small forms too. Some also take what follows a tab.
FORMULA = re.compile(
    "'*(?:[\\s\0-\x20\x7f\u200b-\u200f\u2060\ufeff]*"
    "[=+\\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20\u207a-\u207c]|[\t\r\n])"
)
# What a spreadsheet takes for a number, a date, a time or a truth, and saves in another way: codes
# with leading zeros or more digits than it shows, "1E5", "(5)", "3/4", "1-2", "1.5" (the first of
# May), "MAR1", "9 PM", "TRUE"; in the languages of most of our labels.
MONTH = (
    r"(?:jan(?:uary|uar|v|vier)?|j\u00e4n(?:ner)?|feb(?:ruary|ruar|r)?|f\u00e9vr?(?:ier)?|mar(?:ch|s)?"
    r"|m\u00e4r(?:z)?|mrz|apr(?:il)?|avr(?:il)?|may|mai|june?|juni|juin|july?|juli|juil(?:let)?"
    r"|aug(?:ust)?|ao\u00fbt|sept?(?:ember|embre)?|o[ck]t(?:ober|obre)?|nov(?:ember|embre)?"
    r"|de[cz](?:ember)?|d\u00e9c(?:embre)?|ene|gen|abr|mag|giu|lug|ago|set|ott|dic)\.?"
)
TRUTH = "true|false|wahr|falsch|vrai|faux|verdadero|falso|vero|waar|onwaar"
CHANGED = re.compile(
    r"'*(?:0[0-9]+|[0-9]{12,}|[0-9]*[.,]?[0-9]*e[+-]?[0-9]+|[0-9]+[.,][0-9]*0|[.,][0-9]+|[0-9]+[.,]"
    r"|\([0-9.,]+\)|%[0-9.,]+|[0-9.,]+ +%|[\uff10-\uff19]+|[0-9]+\u6708(?:[0-9]+\u65e5)?"
    r"|[0-9]{1,4}[-/.: ][0-9]{1,4}(?:[-/.: ][0-9]{1,4})?\.?(?: ?[ap]m?)?|[0-9]{1,2} ?[ap]m?"
    rf"|(?:[0-9]{{1,2}}[-. ]{{0,2}})?{MONTH}(?:[-, ]{{0,2}}[0-9]{{1,4}}){{1,2}}"
    rf"|[0-9]{{1,4}}[-. ]{{0,2}}{MONTH}"
    rf"|{TRUTH}|[$\u20ac\u00a3\u00a5] ?[0-9.,]+)",
    re.IGNORECASE,
)
# In countries that write numbers with a comma, a cell ends at these unless it is quoted.
SEPARATORS = re.compile("[;\t|]")


def document(lines: Iterable[Sequence[object]], *, exact: bool = False) -> Iterator[str]:
    """Yield a whole file in pieces: its mark, then line after line."""
    yield BYTE_ORDER_MARK
    for values in lines:
        yield line(values, exact=exact)


def line(values: Sequence[object], *, exact: bool = False) -> str:
    """Format one line by RFC 4180. What is to come back from a spreadsheet as it is now, a code or
    a title, is written `exact`; people who only look are spared the apostrophes."""
    out = io.StringIO()
    cells = [harmless(value, exact=exact) for value in values]
    quote_all = any(isinstance(cell, str) and SEPARATORS.search(cell) for cell in cells)
    csv.writer(out, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL).writerow(cells)
    return out.getvalue()


def harmless(value: object, *, exact: bool = False) -> object:
    """Put an apostrophe before a text that a spreadsheet would run as a formula or, if `exact`,
    would change."""
    if not isinstance(value, str):
        return value
    # One that begins with an apostrophe gets another, so that only ours is taken off again.
    changed = CHANGED.fullmatch(value) and (exact or value[:1] == "'")
    return f"'{value}" if changed or FORMULA.match(value) else value


def original(cell: str) -> str:
    """Return the text from which `harmless` made this cell."""
    ours = cell[:1] == "'" and (FORMULA.match(cell, 1) or CHANGED.fullmatch(cell, 1))
    return cell[1:] if ours else cell
