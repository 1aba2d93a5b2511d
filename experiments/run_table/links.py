"""The links of the run table's page: the same layout but for one thing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args
from urllib.parse import urlencode

from experiments.models import Run
from experiments.run_table import fields, query
from experiments.run_table.fields import Offer
from experiments.run_table.layout import HIDEABLE, MAX_GROUPS, Column, Layout, PageSize
from experiments.run_table.query import writing

# What it makes sense to group by, and how much of it is offered.
GROUPABLE = ("run", "setting", "resource")
MOST_GROUPABLE = 30


@dataclass(frozen=True)
class Toggle:
    """A link that turns something on or off; `address` is that of the other state."""

    label: str
    on: bool
    address: str


@dataclass(frozen=True)
class Wrong:
    """A query, cut at the characters that are wrong or find nothing; `corrected` is what was
    probably meant, empty where nobody knows, and `address` where it leads."""

    sentence: str
    before: str
    part: str
    after: str
    corrected: str
    address: str


@dataclass(frozen=True)
class Links:
    """`view` is the saved view that the layout began as."""

    layout: Layout
    view: int | None

    @property
    def here(self) -> str:
        return self.layout.address(self.view)

    def rows_alone(self, columns: tuple[Column, ...], page: int) -> str:
        """Return the address of the same rows with its columns named: it is quicker to answer."""
        return f"{self._with(columns=columns)}&page={page}"

    @property
    def unfiltered(self) -> str:
        return self._with(text="", hidden=())

    @property
    def usual_columns(self) -> str:
        return self._with(columns=())

    @property
    def hidden(self) -> list[Toggle]:
        """Return for each state whether its runs are left out."""
        return [self._hiding(state) for state in HIDEABLE]

    @property
    def ungrouped(self) -> str:
        return self._with(groups=())

    def grouped_by(self, offers: Iterable[Offer]) -> list[Toggle]:
        """Return the fields that runs can be grouped by: those chosen, then those that differ."""
        chosen = self.layout.groups
        keys = [offer.key for offer in offers if offer.varies and offer.field.group in GROUPABLE]
        keys = list(dict.fromkeys([*chosen, *keys]))[:MOST_GROUPABLE]
        titles = {key: field.title for key in keys if (field := fields.find(key))}
        return [
            Toggle(titles[key], key in chosen, self._with(groups=_toggled(chosen, key), sort=""))
            for key in keys
        ]

    def parts(self) -> list[Toggle]:
        """Return the terms of the query, each with the address without it; none of a query that
        cannot be read."""
        try:
            parts = query.parts(self.layout.text)
        except query.BadQuery:
            return []
        return [
            Toggle(part, True, self._with(text=" and ".join([*parts[:n], *parts[n + 1 :]])))
            for n, part in enumerate(parts)
        ]

    def wrong(self, error: query.BadQuery) -> Wrong:
        return self._around(str(error), error.position, error.length, error.suggestion)

    def hints(self, offers: Iterable[Offer]) -> list[Wrong]:
        """Return which names of a query that finds nothing no run seems to have."""
        found = query.hints(self.layout.text, offers)
        return [self._around(h.sentence, h.position, h.length, h.suggestion) for h in found]

    def narrowed(self, term: str) -> str:
        """Return the runs of one group alone, no longer grouped."""
        text = writing.with_term(self.layout.text, term)
        return self._with(text=text, groups=(), sort="")

    def sorted_by(self, key: str, *, descends: bool) -> str:
        if self.layout.sort.removeprefix("-") == key:
            descends = not self.layout.sort.startswith("-")
        return self._with(sort=f"-{key}" if descends else key)

    @property
    def archived(self) -> Toggle:
        on = self.layout.archived
        return Toggle("Archived runs", on, self._with(archived=not on))

    @property
    def found(self) -> str:
        """Return the query that finds what the table finds, hidden states left out."""
        text = self.layout.text
        for state in self.layout.hidden:
            text = writing.with_term(text, f"not run.{state}")
        return text

    @property
    def charts(self) -> str:
        """Return what the charts of the same runs are asked for, in the same groups."""
        asked = {
            "q": self.found,
            "group": ",".join(self.layout.groups),
            "archived": "1" if self.layout.archived else "",
        }
        return urlencode({name: value for name, value in asked.items() if value})

    @property
    def sizes(self) -> list[Toggle]:
        return [
            Toggle(str(size), size == self.layout.page_size, self._with(page_size=size))
            for size in get_args(PageSize)
        ]

    def _hiding(self, state: Run.State) -> Toggle:
        hidden = self.layout.hidden
        on = state in hidden
        other = tuple(s for s in HIDEABLE if (s == state) != (s in hidden))
        return Toggle(str(state.label), on, self._with(hidden=other))

    def _around(self, sentence: str, start: int, length: int, suggestion: str) -> Wrong:
        text, end = self.layout.text, start + length
        corrected = f"{text[:start]}{suggestion}{text[end:]}" if suggestion else ""
        address = self._with(text=corrected) if corrected else ""
        return Wrong(sentence, text[:start], text[start:end] or " ", text[end:], corrected, address)

    def _with(self, **changed: object) -> str:
        return self.layout.model_copy(update=changed).address(self.view)


def _toggled(chosen: tuple[str, ...], key: str) -> tuple[str, ...]:
    if key in chosen:
        return tuple(other for other in chosen if other != key)
    return (*chosen, key)[-MAX_GROUPS:]
