"""The run table: which columns, in what order, which page. Filtered and sorted by the database."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import (
    Case,
    Exists,
    Expression,
    F,
    FloatField,
    Func,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
    When,
)
from django.db.models.functions import Coalesce, Now

from experiments.models import Attempt, Project, Run, Series
from experiments.run_table import compare, query, setting_paths
from experiments.runs import costs
from portal.models import User

PAGE = 50
# The columns on offer are those of the newest runs: looking at all runs would cost a scan.
SAMPLE = 100
MAX_COLUMNS = 20
DEFAULT = ("state", "owner", "recipe", "queued", "duration")
BUILT_IN = {
    "state": "State",
    "owner": "Owner",
    "recipe": "Recipe",
    "dataset": "Dataset",
    "tags": "Tags",
    "queued": "Queued",
    "started": "Started",
    "ended": "Ended",
    "duration": "Took",
    "progress": "Progress",
    "cost": "Cost",
}
ORDER: dict[str, str] = {
    "run": "number",
    "name": "name",
    "state": "state",
    "owner": "submitted_by__username",
    "recipe": "recipe",
    "dataset": "dataset__name",
    "queued": "queued_at",
    "started": "started_at",
    "ended": "ended_at",
    "progress": "progress",
}


class Moment(Func):
    """A time as a number that the database subtracts by itself.

    Django's difference of times is a Python function on SQLite: 20 times slower on 10,000 rows.
    """

    function = "julianday"
    output_field = FloatField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(
            compiler, connection, template="extract(epoch from %(expressions)s)", **context
        )


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
    archived: bool = False


def read(
    *,
    user: User,
    project: Project,
    text: str,
    sort: str,
    columns: Sequence[str],
    page: int,
    archived: bool = False,
) -> Table:
    """Return the page of the table that a URL asks for, in a constant number of queries."""
    offered = _offered(project)
    keys = [key for key in dict.fromkeys(columns) if _is_column(key)][:MAX_COLUMNS]
    if not keys:
        metrics = [key for key in offered if key.startswith("metric.")]
        keys = [*DEFAULT, *_main(metrics)]
    table = Table(text=text, sort=sort, archived=archived)
    runs: QuerySet[Run] = Run.objects.visible_to(user).filter(project=project)
    if not archived:
        runs = runs.filter(archived_at=None)
    try:
        runs = query.apply(runs, text)
    except query.BadQuery as error:
        table.error = str(error)
        runs = runs.none()
    # The database sorts the numbers only: sorting whole rows costs four times as much, and the
    # length of the list is the count, without a second query.
    numbers = list(_ordered(runs, sort).values_list("number", flat=True))
    table.page = Paginator(numbers, PAGE).get_page(page)
    table.columns = [_column(key, table, keys, columns) for key in ["name", *keys]]
    table.rows = _rows(_whole_runs(project, list(table.page.object_list)), keys)
    table.live = any(row.run.is_open for row in table.rows)
    built_in = [key for key in BUILT_IN if key != "cost" or costs.prices()]
    everything = dict.fromkeys([*built_in, *offered, *keys])
    table.offered = [(key, title_of(key), key in keys) for key in everything]
    return table


def title_of(key: str) -> str:
    return BUILT_IN.get(key) or key.removeprefix("metric.").removeprefix("config.")


def _offered(project: Project) -> list[str]:
    newest = list(
        project.runs.filter(deleted_at=None)
        .order_by("-queued_at")
        .values_list("id", "config")[:SAMPLE]
    )
    names = Series.objects.filter(run__in=[pk for pk, _ in newest]).order_by("name")
    metrics = list(names.values_list("name", flat=True).distinct()[:SAMPLE])
    settings = {key for _, config in newest for key in compare.flat(config)}
    return [f"metric.{name}" for name in metrics] + [
        f"config.{key}" for key in sorted(settings)[:SAMPLE]
    ]


def _main(metrics: list[str]) -> list[str]:
    """Return the two metrics to look at first: a loss and a control metric if there are any."""
    names = [key.removeprefix("metric.") for key in metrics if "system/" not in key]
    chosen = [compare.first_choice(names), *compare.controls(names)[:1]]
    return [f"metric.{name}" for name in dict.fromkeys(chosen) if name]


def _is_column(key: str) -> bool:
    kind, _, name = key.partition(".")
    return key in BUILT_IN or (kind in {"metric", "config"} and bool(name) and len(key) < 220)


def _column(key: str, table: Table, keys: list[str], requested: Sequence[str]) -> Column:
    current = table.sort.removeprefix("-") == key
    number = key.startswith("metric.") or key in {"duration", "progress", "cost"}
    # Numbers and times are sorted from the largest down, words from the first up.
    descending = number or key in {"queued", "started", "ended"}
    if current:
        descending = not table.sort.startswith("-")
    pairs = [("q", table.text), ("sort", f"-{key}" if descending else key)]
    pairs.append(("archived", "1" if table.archived else ""))
    parameters = [(k, v) for k, v in pairs if v] + [("col", k) for k in (keys if requested else ())]
    title = "Run" if key == "name" else title_of(key)
    direction = ("descending" if table.sort.startswith("-") else "ascending") if current else ""
    return Column(key, title, number, "?" + urlencode(parameters), direction)


def _ordered(runs: QuerySet[Run], sort: str) -> QuerySet[Run]:
    key = sort.removeprefix("-")
    kind, _, name = key.partition(".")
    ways = setting_paths.readings(name) if kind == "config" else []
    if ways:
        aliases = {f"way_{n}": setting_paths.value_of(keys) for n, keys in enumerate(ways)}
        runs = runs.alias(**aliases).annotate(order=setting_paths.first(list(aliases)))
    elif (expression := _order(key)) is not None:
        runs = runs.annotate(order=expression)
    else:
        return runs.order_by("-queued_at", "-number")
    order = F("order")
    ordering = order.desc(nulls_last=True) if sort.startswith("-") else order.asc(nulls_last=True)
    return runs.order_by(ordering, "-number")


def _order(key: str) -> Expression | F | Subquery | None:
    if key in ORDER:
        return F(ORDER[key])
    if key == "duration":
        return Moment(Coalesce(F("ended_at"), Now())) - Moment(F("started_at"))
    if key == "cost":
        # An ended attempt has its cost; one that still runs does not count with its cost so far.
        paid = Attempt.objects.filter(run=OuterRef("pk")).order_by().values("run")
        return Subquery(paid.annotate(paid=Sum("cost")).values("paid"), output_field=FloatField())
    kind, _, name = key.partition(".")
    if kind == "metric" and name:
        return _metric_order(name)
    return None


def _metric_order(name: str) -> Case | Subquery:
    """Return the metric of that very name, else the extreme that the name says."""

    def summary(metric: str, column: str) -> Subquery:
        series = Series.objects.filter(run=OuterRef("pk"), name=metric)
        return Subquery(series.values(column)[:1], output_field=FloatField())

    stem, column = query.extreme_of(name)
    if column == "last":
        return summary(name, "last")
    own = Exists(Series.objects.filter(run=OuterRef("pk"), name=name))
    return Case(When(own, then=summary(name, "last")), default=summary(stem, column))


def _whole_runs(project: Project, numbers: list[int]) -> list[Run]:
    """Return the runs of these numbers, in the same order."""
    rows = Run.objects.filter(project=project, number__in=numbers)
    runs = {run.number: run for run in rows.select_related("submitted_by", "dataset", "project")}
    return [runs[number] for number in numbers if number in runs]


def _rows(runs: list[Run], keys: list[str]) -> list[RunRow]:
    metrics = [key.removeprefix("metric.") for key in keys if key.startswith("metric.")]
    names = {*metrics, *(query.extreme_of(name)[0] for name in metrics)}
    summaries: dict[tuple[Any, str], Series] = {}
    if names and runs:
        series = Series.objects.filter(run__in=[run.pk for run in runs], name__in=names)
        summaries = {(metric.run_id, metric.name): metric for metric in series}
    rows = [RunRow(run, [_cell(run, key, summaries) for key in keys]) for run in runs]
    return _with_costs(rows) if "cost" in keys else rows


def _with_costs(rows: list[RunRow]) -> list[RunRow]:
    """Fill in what each run has cost so far, in two queries for all rows."""
    amounts, price_list = costs.of_runs(row.run.pk for row in rows), costs.prices()
    for row in rows:
        if row.run.pk in amounts:
            value = price_list.format_amount(amounts[row.run.pk])
            row.cells = [replace(c, value=value) if c.key == "cost" else c for c in row.cells]
    return rows


def _cell(run: Run, key: str, summaries: dict[tuple[Any, str], Series]) -> Cell:
    kind, _, name = key.partition(".")
    value: Any = None
    if kind == "metric":
        value = _metric(run, name, summaries)
    elif kind == "config":
        found = setting_paths.look_up(run.config, name)
        value = None if found is setting_paths.MISSING else found
    return Cell(key, title_of(key), value, number=kind == "metric")


def _metric(run: Run, name: str, summaries: dict[tuple[Any, str], Series]) -> float | None:
    """Return the metric of that very name, else the extreme that the name says; NaN for a value
    that is not finite, None where nothing was logged."""
    stem, column = query.extreme_of(name)
    if series := summaries.get((run.pk, name)):
        column = "last"
    else:
        series = summaries.get((run.pk, stem))
    if series is None:
        return None
    value: float | None = getattr(series, column)
    return math.nan if value is None else value
