"""How a table is read: what its file does not say by itself, and a person chooses at the mapper."""

import calendar
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Self


class Order(StrEnum):
    """The order of a date that is written in numbers."""

    YEAR_FIRST = "ymd"
    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


# Python's name of an encoding, and who writes it. Listed by how often one meets it.
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Western Europe (Windows-1252)",
    "cp1250": "Central Europe (Windows-1250)",
    "cp1251": "Cyrillic (Windows-1251)",
    "cp1253": "Greek (Windows-1253)",
    "cp1254": "Turkish (Windows-1254)",
    "cp1257": "Baltic (Windows-1257)",
    "mac_roman": "Old Macintosh (Mac Roman)",
    "cp850": "DOS (code page 850)",
    "cp932": "Japanese (Shift JIS)",
    "gb18030": "Chinese (GB 18030)",
    "big5": "Chinese (Big5)",
    "cp949": "Korean (EUC-KR)",
}


@dataclass(frozen=True)
class Reading:
    """How a table is read; what is empty or zero is found out from the file."""

    encoding: str = ""
    # Of a workbook.
    sheet: str = ""
    # The line that names the columns, from 1; empty lines before it count.
    header_line: int = 0
    dates: str = ""

    @classmethod
    def from_stored(cls, stored: Any) -> Self:
        """Return what is stored of it; what this version does not know is left out."""
        values = stored if isinstance(stored, Mapping) else {}
        return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})

    def stored(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}


# --- Dates ------------------------------------------------------------------------------------

NUMBERS = re.compile(r"([0-9]{1,4})[-./ ]{1,2}([0-9]{1,2})[-./ ]{1,2}([0-9]{1,4})\.?")
# A day with a time, as databases and spreadsheets write it; only the day counts.
TIME = re.compile(
    r"[T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2})?(\.[0-9]+)?( ?[AaPp][Mm])?(Z|[+-][0-9:]{4,6})?$"
)
NAMED = re.compile(
    r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?[-. ]+(?P<month>[A-Za-z]{3,9})\.?,?[-. ]+"
    r"(?P<year>[0-9]{4}|[0-9]{2})"
    r"|(?P<month2>[A-Za-z]{3,9})\.? (?P<day2>[0-9]{1,2})(?:st|nd|rd|th)?,? (?P<year2>[0-9]{4})"
)
MONTHS = {
    name.casefold(): number
    for names in (calendar.month_name, calendar.month_abbr)
    for number, name in enumerate(names)
    if name
} | {"sept": 9}
SERIAL = re.compile(r"[1-9][0-9]{4}(\.0+)?")
# Two digits of a year belong to this century until there, to the last one after it.
CENTURY_TURN = 69


class BadDate(ValueError):
    """A text that is no day; the message says what to do."""


def read_date(text: str, order: str = "") -> date:
    """Return the day that the text names. Raises BadDate, also where its order would be a guess."""
    plain = TIME.sub("", text.strip())
    if named := NAMED.fullmatch(plain):
        return _date(text, *_named(named))
    if SERIAL.fullmatch(plain):
        raise BadDate(
            f"“{text[:40]}” is how a spreadsheet counts days. Format the column as a date there."
        )
    numbers = NUMBERS.fullmatch(plain)
    if numbers is None:
        raise BadDate(f"“{text[:40]}” is not a day such as 2026-03-01.")
    first, second, third = numbers.groups()
    if len(first) == 4:
        return _date(text, first, second, third)
    if len(first) == 3 or len(third) == 3:
        raise BadDate(f"“{text[:40]}” is not a day such as 2026-03-01.")
    orders = {order} if order else orders_of(text)
    if len(orders) != 1:
        raise BadDate(
            f"“{text[:40]}”: say at “How it is read” whether the day or the month comes first."
        )
    year, month, day = {
        Order.YEAR_FIRST: (first, second, third),
        Order.DAY_FIRST: (third, second, first),
        Order.MONTH_FIRST: (third, first, second),
    }[Order(next(iter(orders)))]
    return _date(text, year, month, day)


def orders_of(text: str) -> set[str]:
    """Return the orders in which a date of three numbers can be meant; none for another text, and
    none for one whose four digits of the year come first, which is unambiguous."""
    numbers = NUMBERS.fullmatch(TIME.sub("", text.strip()))
    if numbers is None or len(numbers[1]) > 2:
        return set()
    orders = {Order.DAY_FIRST.value, Order.MONTH_FIRST.value}
    if int(numbers[1]) > 12:
        orders.discard(Order.MONTH_FIRST)
    if int(numbers[2]) > 12:
        orders.discard(Order.DAY_FIRST)
    return orders


def _named(match: re.Match[str]) -> tuple[str, str, str]:
    month = MONTHS.get((match["month"] or match["month2"]).casefold(), 0)
    return match["year"] or match["year2"], str(month), match["day"] or match["day2"]


def _date(text: str, year: str, month: str, day: str) -> date:
    number = int(year)
    if len(year) <= 2:
        number += 2000 if number < CENTURY_TURN else 1900
    try:
        return date(number, int(month), int(day))
    except ValueError as error:
        raise BadDate(f"“{text[:40]}” is not a day of the calendar in this order.") from error
