"""The query parameters of a URL, and what a form posts beside its fields.

This is the only reader of query strings: views take each parameter from here, by its type, and the
value fits into the database. An option of a view that makes no sense (a page, a choice, a number)
falls back to its default; a text that cannot be looked up is refused with a message.
"""

import re
from collections.abc import Collection, Iterator

from django.core.exceptions import BadRequest
from django.http import HttpRequest, QueryDict

from backline import bounds

# Longer than any name here, and short enough for every database's search.
LONGEST = 500
# Of any parameter, in characters; a pattern of 50,000 bytes is too long for SQLite.
LONGEST_VALUE = 8_000
MOST_VALUES = 1_000
NUMBER = re.compile(r"[0-9]{1,19}")


class Unreadable(BadRequest):
    """A parameter that no page can use; the message says which and what to do."""


class Parameters:
    """The parameters of one URL or form."""

    def __init__(self, data: QueryDict) -> None:
        self._data = data

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def text(self, name: str, default: str = "", *, longest: int = LONGEST) -> str:
        """Return it stripped. Raises Unreadable for a NUL and beyond `longest` characters."""
        return _text(self._data.get(name, default), name, longest)

    def texts(self, name: str, *, longest: int = LONGEST, most: int = MOST_VALUES) -> list[str]:
        return [_text(value, name, longest) for value in self._data.getlist(name)[:most]]

    def number(self, name: str) -> int | None:
        """Return a number that a row can have; None for everything else."""
        return number(self._data.get(name))

    def numbers(self, name: str, *, most: int = MOST_VALUES) -> list[int]:
        parsed = (number(value) for value in self._data.getlist(name)[:most])
        return [value for value in parsed if value is not None]

    def listed(self, name: str, *, most: int = MOST_VALUES) -> list[str]:
        """Return the words between the commas of one value."""
        text = self.text(name, longest=LONGEST_VALUE)
        return [word for part in text.split(",")[:most] if (word := part.strip())]

    def choice(self, name: str, choices: Collection[str], default: str = "") -> str:
        """Return one of `choices`, else `default`."""
        value = self._data.get(name, default)
        return value if value in choices else default

    def page(self) -> int:
        """Return the page number, from 1; the paginator handles pages that do not exist."""
        return self.number("page") or 1

    def first(self) -> str:
        """Return the one value that a field sends, whatever its name; a long value is cut."""
        value = str(next(iter(self._data.values()), ""))
        return bounds.readable(value).strip()[:LONGEST]

    def given(self, *names: str) -> dict[str, str]:
        """Return those of `names` that are present, as a form's initial values."""
        return {name: self.text(name) for name in names if name in self._data}

    def words(self, *, longest: int = LONGEST_VALUE) -> Iterator[tuple[str, str]]:
        """Yield every name with its last value, with the spaces and line breaks that were typed."""
        for name, value in self._data.items():
            _text(str(value), name, longest)
            yield name, str(value)

    def everything(self) -> QueryDict:
        """Return everything, for a form that has defaults for all that is absent."""
        return self._data

    def data(self) -> QueryDict | None:
        """Return everything, for a form that reads a URL itself; None if there is nothing."""
        return self._data or None

    def encoded(self) -> str:
        """Return the parameters as a query string."""
        return self._data.urlencode()


def read_parameters(request: HttpRequest) -> Parameters:
    return Parameters(request.GET)


def posted_parameters(request: HttpRequest) -> Parameters:
    """Return what a form posts that no form class reads: ticks, buttons, where to go back to."""
    return Parameters(request.POST)


def number(text: str | None) -> int | None:
    """Return the number that a text is; None for what no row can have."""
    if not text or not NUMBER.fullmatch(text):
        return None
    value = int(text)
    return value if value <= bounds.MAX_INT else None


def check(data: QueryDict) -> None:
    """Raise Unreadable for what no reader of these parameters could look up."""
    for name, values in data.lists():
        _text(name, "A parameter's name", LONGEST)
        for value in values:
            _text(str(value), name, LONGEST_VALUE)


def _text(value: str, name: str, longest: int) -> str:
    if len(value) > longest:
        raise Unreadable(
            f"“{name[:40]}” has {len(value):,} characters; at most {longest:,} are read. "
            "Shorten it."
        )
    try:
        return bounds.check_text(value, f"“{bounds.readable(name)[:40]}”").strip()
    except bounds.NotStorable as error:
        raise Unreadable(str(error)) from error
