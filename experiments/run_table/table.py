"""The run table: which columns, in what order, which page. Filtered and sorted by the database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

from experiments.models import Project, Run
from experiments.run_table import compare, fields, query
from experiments.run_table.fields import Kind
from experiments.runs import costs
from portal.models import User

PAGE = 50
MAX_COLUMNS = 20
DEFAULT = ("state", "owner", "recipe", "queued", "duration")
# The name stands first in every row, with the number.
ALWAYS_SHOWN = ("name", "number")


@dataclass(frozen=True)
class Column:
    """A column: `key` is in the URL, `title` in the head; `sort` is the URL that sorts by it."""

    key: str
    title: str
    number: bool
    sort: str
    direction: str


@dataclass(frozen=True)
class Cell:
    key: str
    title: str
    value: Any
    number: bool


@dataclass
class RunRow:
    run: Run
    cells: list[Cell]


@dataclass
class Table:
    """One page of runs with everything it shows; `error` is a sentence about the query."""

    text: str
    sort: str
    error: str = ""
    columns: list[Column] = field(default_factory=list)
    rows: list[RunRow] = field(default_factory=list)
    page: Page[int] | None = None
    offered: list[tuple[str, str, bool]] = field(default_factory=list)
    live: bool = False


def read(
    *, user: User, project: Project, text: str, sort: str, columns: Sequence[str], page: int
) -> Table:
    """Return the page of the table that a URL asks for, in a constant number of queries."""
    offered = _offered(project)
    keys = [key for key in dict.fromkeys(columns) if fields.find(key)][:MAX_COLUMNS]
    if not keys:
        metrics = [key for key in offered if key.startswith("metric.")]
        keys = [*DEFAULT, *_main(metrics)]
    table = Table(text=text, sort=sort)
    runs: QuerySet[Run] = Run.objects.visible_to(user).filter(project=project)
    try:
        runs = query.apply(runs, text)
    except query.BadQuery as error:
        table.error = str(error)
        runs = runs.none()
    # The database sorts the numbers only: sorting whole rows costs four times as much, and the
    # length of the list is the count, without a second query.
    numbers = list(fields.ordered(runs, sort).values_list("number", flat=True))
    table.page = Paginator(numbers, PAGE).get_page(page)
    table.columns = [_column(key, table, keys, columns) for key in ["name", *keys]]
    table.rows = _rows(_whole_runs(project, list(table.page.object_list)), keys)
    table.live = any(row.run.is_open for row in table.rows)
    everything = dict.fromkeys([*offered, *keys])
    table.offered = [(key, title_of(key), key in keys) for key in everything]
    return table


def title_of(key: str) -> str:
    field = fields.find(key)
    return field.title if field else key


def _offered(project: Project) -> list[str]:
    return [offer.key for offer in fields.catalogue(project) if offer.key not in ALWAYS_SHOWN]


def _main(metrics: list[str]) -> list[str]:
    """Return the two metrics to look at first: a loss and a control metric if there are any."""
    names = [key.removeprefix("metric.") for key in metrics if "system/" not in key]
    chosen = [compare.first_choice(names), *compare.controls(names)[:1]]
    return [f"metric.{name}" for name in dict.fromkeys(chosen) if name]


def _column(key: str, table: Table, keys: list[str], requested: Sequence[str]) -> Column:
    current = table.sort.removeprefix("-") == key
    field = fields.find(key)
    # Numbers and times are sorted from the largest down, words from the first up.
    descending = field is not None and field.descends
    if current:
        descending = not table.sort.startswith("-")
    pairs = [("q", table.text), ("sort", f"-{key}" if descending else key)]
    parameters = [(k, v) for k, v in pairs if v] + [("col", k) for k in (keys if requested else ())]
    title = title_of(key)
    direction = ("descending" if table.sort.startswith("-") else "ascending") if current else ""
    return Column(
        key, title, field is not None and field.is_number, "?" + urlencode(parameters), direction
    )


def _whole_runs(project: Project, numbers: list[int]) -> list[Run]:
    """Return the runs of these numbers, in the same order."""
    rows = Run.objects.filter(project=project, number__in=numbers)
    runs = {run.number: run for run in rows.select_related("submitted_by", "dataset", "project")}
    return [runs[number] for number in numbers if number in runs]


def _rows(runs: list[Run], keys: list[str]) -> list[RunRow]:
    found = fields.values(runs, keys)
    return [
        RunRow(run, [_cell(key, value) for key, value in zip(keys, found[run.pk], strict=True)])
        for run in runs
    ]


def _cell(key: str, value: Any) -> Cell:
    field = fields.find(key)
    if field and field.kind == Kind.MONEY and value is not None:
        value = costs.prices().format_amount(value)
    return Cell(key, title_of(key), value, number=key.startswith("metric."))
