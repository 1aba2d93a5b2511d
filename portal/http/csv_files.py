"""Comma-separated values for people's spreadsheets."""

import csv
import io
import re
from collections.abc import Sequence

# What a spreadsheet begins a formula with: at the start of a cell, or behind blanks, line ends and
# marks that it leaves out; in full width and small forms too. Some take what is behind a tab.
FORMULA = re.compile(
    "'*(?:[\\s\0-\x20\x7f\u200b-\u200f\u2060\ufeff]*"
    "[=+\\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20\u207a-\u207c]|[\t\r\n])"
)
# In countries that write numbers with a comma, a cell ends here unless it stands in quotes.
SEPARATORS = re.compile("[;\t|]")


def line(values: Sequence[object]) -> str:
    """One line by RFC 4180."""
    out = io.StringIO()
    cells = [harmless(value) for value in values]
    apart = any(isinstance(cell, str) and SEPARATORS.search(cell) for cell in cells)
    csv.writer(out, quoting=csv.QUOTE_ALL if apart else csv.QUOTE_MINIMAL).writerow(cells)
    return out.getvalue()


def harmless(value: object) -> object:
    """A text that would run as a formula begins with an apostrophe, which spreadsheets hide."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def meant(cell: str) -> str:
    """The text that `harmless` has made such a cell of."""
    return cell[1:] if cell[:1] == "'" and FORMULA.match(cell, 1) else cell
