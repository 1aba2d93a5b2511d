"""Comma-separated values for spreadsheets."""

import csv
import io
import re
from collections.abc import Sequence

# How a formula begins in a spreadsheet: at the start of a cell, or after blanks, line ends and
# marks that it leaves out; in full width and small forms too. Some also take what follows a tab.
FORMULA = re.compile(
    "'*(?:[\\s\0-\x20\x7f\u200b-\u200f\u2060\ufeff]*"
    "[=+\\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20\u207a-\u207c]|[\t\r\n])"
)
# In countries that write numbers with a comma, a cell ends at these unless it is quoted.
SEPARATORS = re.compile("[;\t|]")


def line(values: Sequence[object]) -> str:
    """Format one line by RFC 4180."""
    out = io.StringIO()
    cells = [harmless(value) for value in values]
    quote_all = any(isinstance(cell, str) and SEPARATORS.search(cell) for cell in cells)
    csv.writer(out, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL).writerow(cells)
    return out.getvalue()


def harmless(value: object) -> object:
    """Put an apostrophe, which spreadsheets hide, before a text that would run as a formula."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def original(cell: str) -> str:
    """Return the text from which `harmless` made this cell."""
    return cell[1:] if cell[:1] == "'" and FORMULA.match(cell, 1) else cell
