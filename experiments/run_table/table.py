"""One page of the run table: which columns, in what order, which rows. The database filters and
sorts."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Max, Min, QuerySet

from experiments.models import Project, Run
from experiments.run_table import compare, fields, query
from experiments.run_table.directions import better
from experiments.run_table.fields import Field, Kind, Offer
from experiments.run_table.layout import Column, Layout
from experiments.run_table.links import Links
from experiments.run_table.query import writing
from experiments.runs import costs
from portal.models import User

# The name stands first in every row, with the number.
ALWAYS_SHOWN = ("name", "number")
# Facts of a run that tell something by themselves, and those that are shown where they differ.
# What the fields of a run's own row need beside it.
BESIDE = ("submitted_by", "dataset", "project", "sweep_trial__sweep")
TELLING, IF_VARYING = ("queued", "duration"), ("owner", "recipe", "dataset", "tags")
USUAL_SETTINGS = 3


@dataclass(frozen=True)
class Head:
    """The head of a column: `sort` is the address that sorts by it, `best` the best value of all
    runs found, None where nobody asked for it."""

    column: Column
    field: Field
    sort: str
    direction: str
    best: float | None = None
    # Whether its values on this page are numbers, where the field may have others too.
    numbers: bool = False

    @property
    def key(self) -> str:
        return self.column.key

    @property
    def title(self) -> str:
        return "Run" if self.key == "name" else self.field.title

    @property
    def named(self) -> str:
        """What the query line calls the field."""
        return writing.name(self.key)

    @property
    def number(self) -> bool:
        return self.field.is_number or self.numbers

    def is_best(self, value: object) -> bool:
        return self.best is not None and isinstance(value, int | float) and value == self.best


@dataclass(frozen=True)
class Cell:
    head: Head
    value: Any
    best: bool = False

    @property
    def key(self) -> str:
        return self.head.key

    @property
    def title(self) -> str:
        return self.head.title

    @property
    def number(self) -> bool:
        return self.head.number


@dataclass
class RunRow:
    run: Run
    cells: list[Cell]


@dataclass
class Table:
    """One page of runs with everything it shows; `error` is a sentence about the query."""

    project: Project
    layout: Layout
    columns: tuple[Column, ...]
    error: query.BadQuery | None = None
    heads: list[Head] = field(default_factory=list)
    rows: list[RunRow] = field(default_factory=list)
    page: Page[int] | None = None

    @cached_property
    def offered(self) -> list[Offer]:
        """The columns to choose from, which are looked up only where they are shown."""
        return offer_columns(self.project)

    @property
    def live(self) -> bool:
        return any(row.run.is_open for row in self.rows)

    @property
    def count(self) -> int:
        return self.page.paginator.count if self.page else 0

    @property
    def is_filtered(self) -> bool:
        return bool(self.layout.text or self.layout.hidden)


def read(
    *, user: User, project: Project, layout: Layout, page: int = 1, view: int | None = None
) -> Table:
    """Return the page of the table, in a number of queries that does not grow with the runs;
    `view` is named in its links."""
    columns = layout.columns or usual_columns(offer_columns(project))
    table = Table(project, layout, columns)
    try:
        runs = find(user=user, project=project, layout=layout)
    except query.BadQuery as error:
        table.error = error
        runs = Run.objects.none()
    # The database sorts the numbers only: sorting whole rows costs four times as much, and the
    # length of the list is the count, without a second query.
    numbers = list(fields.ordered(runs, layout.sort).values_list("number", flat=True))
    table.page = Paginator(numbers, layout.page_size).get_page(page)
    table.heads = [_head(column, layout, runs, view) for column in (Column(key="name"), *columns)]
    found = whole_runs(project, list(table.page.object_list))
    values = fields.values(found, [column.key for column in columns])
    name, *others = table.heads
    columns_of_values = zip(*values.values(), strict=True) if values else [()] * len(others)
    heads = [_aligned(head, column) for head, column in zip(others, columns_of_values, strict=True)]
    table.heads = [name, *heads]
    table.rows = [RunRow(run, _cells(heads, values[run.pk])) for run in found]
    return table


def offer_columns(project: Project) -> list[Offer]:
    return [offer for offer in fields.catalogue(project) if offer.key not in ALWAYS_SHOWN]


def find(*, user: User, project: Project, layout: Layout) -> QuerySet[Run]:
    """Return the runs that a layout shows on all its pages. Raises query.BadQuery."""
    runs = Run.objects.visible_to(user).filter(project=project)
    if not layout.archived:
        runs = runs.listed()
    if layout.hidden:
        runs = runs.exclude(state__in=layout.hidden)
    return query.apply(runs, layout.text)


def usual_columns(offered: Iterable[Offer]) -> tuple[Column, ...]:
    """Return the columns of a project whose people chose none: the state, what was measured, the
    settings that differ, and what else differs."""
    offers = {offer.key: offer for offer in offered}
    varying = [key for key, offer in offers.items() if offer.varies]
    metrics = [offer.key.removeprefix("metric.") for offer in offers.values() if _is_main(offer)]
    shown = [compare.first_choice(metrics), *compare.controls(metrics)[:1]]
    settings = [key for key in varying if key.startswith("config.")]
    keys = [
        "state",
        *(f"metric.{name}" for name in shown if name),
        *settings[:USUAL_SETTINGS],
        *(key for key in IF_VARYING if key in varying),
        *TELLING,
    ]
    return tuple(
        Column(key=key, best=better(key) if key.startswith("metric.") else "")
        for key in dict.fromkeys(keys)
    )


def _is_main(offer: Offer) -> bool:
    return offer.key.startswith("metric.") and "system/" not in offer.key


def whole_runs(project: Project, numbers: Sequence[int]) -> list[Run]:
    """Return the runs of these numbers, in the same order."""
    rows = Run.objects.filter(project=project, number__in=numbers)
    runs = {run.number: run for run in rows.select_related(*BESIDE)}
    return [runs[number] for number in numbers if number in runs]


def _head(column: Column, layout: Layout, runs: QuerySet[Run], view: int | None) -> Head:
    known = fields.find(column.key)
    assert known is not None  # noqa: S101 - a layout has known fields only.
    # Numbers and times are sorted from the largest down, words from the first up; but where less
    # is better, the best comes first.
    sort = Links(layout, view).sorted_by(
        column.key, descends=known.descends and column.best != "min"
    )
    current = layout.sort.removeprefix("-") == column.key
    direction = ("descending" if layout.sort.startswith("-") else "ascending") if current else ""
    return Head(column, known, f"?{sort}", direction, _best(column, known, runs))


def _best(column: Column, known: Field, runs: QuerySet[Run]) -> float | None:
    """Return the best value of all runs found, on whatever page they stand."""
    if not column.best or not known.is_number:
        return None
    extreme = Min if column.best == "min" else Max
    values = runs.order_by().annotate(compared=known.orders()[0])
    best: float | None = values.aggregate(best=extreme("compared"))["best"]
    return best if best is not None and math.isfinite(best) else None


def _aligned(head: Head, values: Iterable[Any]) -> Head:
    present = [value for value in values if value is not None]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in present)
    return replace(head, numbers=head.field.kind == Kind.ANY and bool(present) and numbers)


def _cells(heads: Sequence[Head], values: Sequence[Any]) -> list[Cell]:
    return [_cell(head, value) for head, value in zip(heads, values, strict=True)]


def _cell(head: Head, value: Any) -> Cell:
    best = head.is_best(value)
    if head.field.kind == Kind.MONEY and value is not None:
        value = costs.prices().format_amount(value)
    return Cell(head, value, best)
