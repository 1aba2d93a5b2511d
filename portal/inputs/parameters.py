"""What an address asks behind its question mark, and what a form sends beside its fields.

The one reader of query strings: views take each parameter from here, by its kind, and what comes
out fits into the database. An option of a view that makes no sense (a page, a choice, a number)
falls back to its default; a text that cannot be looked up is refused with a sentence.
"""

import re
from collections.abc import Collection, Iterator

from django.core.exceptions import BadRequest
from django.http import HttpRequest, QueryDict

from backline import bounds

# Longer than any name here, and short enough for every database's search.
LONGEST = 500
# Of one parameter, whoever reads it; a pattern of 50,000 bytes is too long for SQLite.
LONGEST_VALUE = 8_000
MOST_VALUES = 1_000
NUMBER = re.compile(r"[0-9]{1,19}")


class Unreadable(BadRequest):
    """A parameter that no page can answer; the sentence says which and what to do."""


class Parameters:
    """The parameters of one address or form."""

    def __init__(self, data: QueryDict) -> None:
        self._data = data

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def text(self, name: str, default: str = "", *, longest: int = LONGEST) -> str:
        """Without spaces around it. Raises Unreadable for a NUL and beyond `longest` characters."""
        return _text(self._data.get(name, default), name, longest)

    def texts(self, name: str, *, longest: int = LONGEST, most: int = MOST_VALUES) -> list[str]:
        return [_text(value, name, longest) for value in self._data.getlist(name)[:most]]

    def number(self, name: str) -> int | None:
        """A number that a row can have; None for everything else."""
        return number(self._data.get(name))

    def numbers(self, name: str, *, most: int = MOST_VALUES) -> list[int]:
        found = (number(value) for value in self._data.getlist(name)[:most])
        return [value for value in found if value is not None]

    def listed(self, name: str, *, most: int = MOST_VALUES) -> list[str]:
        """The words between the commas of one value."""
        text = self.text(name, longest=LONGEST_VALUE)
        return [word for part in text.split(",")[:most] if (word := part.strip())]

    def choice(self, name: str, choices: Collection[str], default: str = "") -> str:
        """One of `choices`, else `default`."""
        found = self._data.get(name, default)
        return found if found in choices else default

    def page(self) -> int:
        """From 1; pages that are not there are the paginator's affair."""
        return self.number("page") or 1

    def first(self) -> str:
        """The one value that a field sends under whatever name it has; what is too long is cut."""
        value = str(next(iter(self._data.values()), ""))
        return bounds.readable(value).strip()[:LONGEST]

    def given(self, *names: str) -> dict[str, str]:
        """Those of `names` that are there, as a form's first values."""
        return {name: self.text(name) for name in names if name in self._data}

    def words(self, *, longest: int = LONGEST_VALUE) -> Iterator[tuple[str, str]]:
        """Every name with its last value, with the spaces and lines that were typed."""
        for name, value in self._data.items():
            _text(str(value), name, longest)
            yield name, str(value)

    def everything(self) -> QueryDict:
        """For a form that has defaults for all that is not asked."""
        return self._data

    def data(self) -> QueryDict | None:
        """For a form that reads an address itself; None where nothing is asked."""
        return self._data or None

    def encoded(self) -> str:
        """As it stands in an address."""
        return self._data.urlencode()


def read_parameters(request: HttpRequest) -> Parameters:
    return Parameters(request.GET)


def sent(request: HttpRequest) -> Parameters:
    """What a form posts that no form class reads: ticks, buttons, where to go back to."""
    return Parameters(request.POST)


def number(text: str | None) -> int | None:
    """The number that a text names; None for what no row can have."""
    if not text or not NUMBER.fullmatch(text):
        return None
    found = int(text)
    return found if found <= bounds.MAX_INT else None


def check(data: QueryDict) -> None:
    """Raises Unreadable for what no reader of this address could look up."""
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
    except bounds.Unkeepable as error:
        raise Unreadable(str(error)) from error
