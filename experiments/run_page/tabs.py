"""The tabs of a run's page: each has an address of its own and reads what it shows, nothing more.

Apps above add a tab, or what is counted in one, by registering it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.urls import reverse

from experiments.models import Checkpoint, Media, Run, Series

# Metrics of the machine, which have a tab of their own.
SYSTEM = "system/"

Rows = Callable[[], QuerySet[Any]]


@dataclass(frozen=True)
class Tab:
    """One tab. `view` names a URL that takes the project's slug and the run's number; `rows` are
    the rows of all runs, by their foreign key `run`, whose number stands beside the title."""

    key: str
    title: str
    view: str
    rows: Rows | None = None


@dataclass(frozen=True)
class Label:
    """A tab as one run's page shows it; `count` is None where nothing is counted."""

    key: str
    title: str
    url: str
    count: int | None
    current: bool


_tabs = [
    Tab("overview", "Overview", "experiments:run"),
    Tab(
        "charts", "Charts", "experiments:run_charts",
        rows=lambda: Series.objects.exclude(name__startswith=SYSTEM),
    ),
    Tab("media", "Media", "experiments:run_media", rows=Media.objects.current),
    Tab("log", "Log", "experiments:run_log"),
    Tab("samples", "Samples", "experiments:run_samples"),
    Tab("config", "Config", "experiments:run_config"),
    Tab("code", "Code", "experiments:run_code"),
    Tab("environment", "Environment", "experiments:run_environment"),
    Tab(
        "system", "System", "experiments:run_system",
        rows=lambda: Series.objects.filter(name__startswith=SYSTEM),
    ),
    Tab("data", "Data and credits", "experiments:run_data"),
    Tab(
        "checkpoints", "Checkpoints", "experiments:run_checkpoints",
        rows=Checkpoint.objects.all,
    ),
    Tab("attempts", "Attempts", "experiments:run_attempts"),
    Tab("discussion", "Discussion", "experiments:run_discussion"),
]  # fmt: skip


def register(tab: Tab, *, after: str = "") -> None:
    """Add a tab after the one with that key, else as the last one; one key is added once."""
    if any(known.key == tab.key for known in _tabs):
        return
    places = [place for place, known in enumerate(_tabs, start=1) if known.key == after]
    _tabs.insert(places[0] if places else len(_tabs), tab)


def count_rows(key: str, rows: Rows) -> None:
    """Count these rows beside the title of a tab whose rows are another app's."""
    _tabs[:] = [replace(tab, rows=rows) if tab.key == key else tab for tab in _tabs]


def labels(run: Run, *, current: str) -> list[Label]:
    """Return the tabs of the run's page; all that is counted is counted in one query."""
    counted = counts(run)
    return [
        Label(
            key=tab.key,
            title=tab.title,
            url=reverse(tab.view, args=[run.project.slug, run.number]),
            count=counted.get(tab.key),
            current=tab.key == current,
        )
        for tab in _tabs
    ]


def counts(run: Run) -> dict[str, int]:
    """Return how many rows the run has for each tab that counts some."""
    counted = {f"count_of_{tab.key}": _count(tab.rows()) for tab in _tabs if tab.rows}
    found: dict[str, int] = Run.objects.filter(pk=run.pk).values(**counted).get()  # type: ignore[assignment]
    return {name.removeprefix("count_of_"): number for name, number in found.items()}


def _count(rows: QuerySet[Any]) -> Coalesce:
    """Return the expression that counts those of the rows that are the run's."""
    own = rows.filter(run=OuterRef("pk")).order_by().values("run")
    number = own.annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(number, output_field=IntegerField()), Value(0))
