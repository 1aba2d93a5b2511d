"""Comma-separated values for people's spreadsheets."""

import csv
import io
from collections.abc import Sequence


def line(values: Sequence[object]) -> str:
    """One line by RFC 4180."""
    out = io.StringIO()
    csv.writer(out).writerow([_harmless(value) for value in values])
    return out.getvalue()


def _harmless(value: object) -> object:
    """A title that a spreadsheet would run as a formula is shown as text."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return "'" + value
    return value
