"""Fields in the run's own row: facts, settings and requested resources."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    F,
    FloatField,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
    TextField,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Concat, Now, NullIf

from experiments.models import Attempt, Run
from experiments.run_table import setting_paths
from experiments.run_table.expressions import Moment, Setting, order_of
from experiments.run_table.fields.kinds import Field, Kind
from experiments.runs import costs
from experiments.runs.resources import Resources
from experiments.templatetags.figures import took


@dataclass(frozen=True)
class BuiltIn:
    """A fact in the run's own row: how the database and how Python gets it."""

    title: str
    kind: Kind
    expression: Callable[[], Combinable]
    value: Callable[[Run], Any]


def _paid() -> Combinable:
    """What its ended attempts cost: one that still runs does not count with its cost so far."""
    paid = Attempt.objects.filter(run=OuterRef("pk")).order_by().values("run")
    return Subquery(paid.annotate(paid=Sum("cost")).values("paid"), output_field=FloatField())


def _seconds() -> Combinable:
    return Moment(Coalesce(F("ended_at"), Now())) - Moment(F("started_at"))


def _dataset() -> Combinable:
    # As str(dataset): runs of two versions learned from two datasets.
    version = Cast("dataset__version", TextField())
    named = Concat("dataset__name", Value(", version "), version, output_field=TextField())
    return Case(When(dataset__isnull=False, then=named), output_field=TextField())


def _text(column: str) -> Callable[[], Combinable]:
    return lambda: NullIf(F(column), Value(""))


def _sweep(run: Run) -> int | None:
    # The other side of a one-to-one relation is an error where there is nothing.
    trial = getattr(run, "sweep_trial", None)
    return trial.sweep.number if trial else None


BUILT_IN: dict[str, BuiltIn] = {
    "number": BuiltIn("Number", Kind.NUMBER, lambda: F("number"), lambda run: run.number),
    "name": BuiltIn("Run", Kind.TEXT, lambda: F("name"), lambda run: run.name),
    "state": BuiltIn("State", Kind.TEXT, lambda: F("state"), lambda run: run.state),
    "owner": BuiltIn(
        "Owner",
        Kind.TEXT,
        lambda: F("submitted_by__username"),
        lambda run: run.submitted_by.username,
    ),
    "recipe": BuiltIn("Recipe", Kind.TEXT, _text("recipe"), lambda run: run.recipe or None),
    "dataset": BuiltIn(
        "Dataset", Kind.TEXT, _dataset, lambda run: str(run.dataset) if run.dataset else None
    ),
    "tags": BuiltIn("Tags", Kind.LIST, lambda: Cast("tags", TextField()), lambda run: run.tags),
    "queued": BuiltIn("Queued", Kind.TIME, lambda: F("queued_at"), lambda run: run.queued_at),
    "started": BuiltIn("Started", Kind.TIME, lambda: F("started_at"), lambda run: run.started_at),
    "ended": BuiltIn("Ended", Kind.TIME, lambda: F("ended_at"), lambda run: run.ended_at),
    "duration": BuiltIn("Took", Kind.DURATION, _seconds, took),
    "progress": BuiltIn("Progress", Kind.NUMBER, lambda: F("progress"), lambda run: run.progress),
    "cost": BuiltIn("Cost", Kind.MONEY, _paid, lambda _: None),
    "origin": BuiltIn("Origin", Kind.TEXT, lambda: F("origin"), lambda run: run.origin),
    "launch": BuiltIn("Launch", Kind.TEXT, _text("group"), lambda run: run.group or None),
    "sweep": BuiltIn("Sweep", Kind.NUMBER, lambda: F("sweep_trial__sweep__number"), _sweep),
    "code": BuiltIn("Code", Kind.TEXT, _text("code_version"), lambda run: run.code_version or None),
    "use": BuiltIn("Use", Kind.TEXT, _text("use"), lambda run: run.use or None),
}
# Other words for the same, in addresses and in the query line.
ALIASES = {"run": "number", "created": "queued", "tag": "tags", "gpu": "resources.gpu_type"}


class RunField(Field):
    """A fact in the run's own row."""

    def __init__(self, key: str) -> None:
        self.built_in = BUILT_IN[key]
        super().__init__(key, self.built_in.title, self.built_in.kind)

    def orders(self) -> list[Combinable]:
        return [self.built_in.expression()]

    def read(self, runs: Sequence[Run]) -> dict[UUID, Any]:
        if self.key == "cost":
            # Also what runs that are still going on have cost so far.
            return dict(costs.of_runs(run.pk for run in runs))
        found = {run.pk: self.built_in.value(run) for run in runs}
        return {pk: value for pk, value in found.items() if value is not None}


class SettingField(Field):
    """A setting of the config, by its dotted name."""

    group = "setting"
    column = "config"

    def __init__(self, name: str, title: str = "", kind: Kind = Kind.ANY) -> None:
        self.name = name
        super().__init__(f"{self.column}.{name}", title or name, kind)

    def json(self) -> Setting:
        return Setting(self.name, self.column)

    def orders(self) -> list[Combinable]:
        return order_of(self.json())

    def grouped(self, runs: QuerySet[Run], alias: str) -> tuple[QuerySet[Run], Combinable]:
        del alias
        return runs, self.json()

    def read(self, runs: Sequence[Run]) -> dict[UUID, Any]:
        found = {
            run.pk: setting_paths.look_up(getattr(run, self.column), self.name) for run in runs
        }
        return {pk: value for pk, value in found.items() if value is not setting_paths.MISSING}


class ResourceField(SettingField):
    """What a run requests of the cluster."""

    group = "resource"
    column = "resources"

    def __init__(self, name: str) -> None:
        kind = Kind.TEXT if name == "gpu_type" else Kind.NUMBER
        super().__init__(name, Resources.model_fields[name].title or name, kind)
