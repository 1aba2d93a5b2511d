"""Fields of what a run has measured: the columns of a metric's summary."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    Exists,
    F,
    FilteredRelation,
    FloatField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    When,
)
from django.db.models.expressions import Combinable

from experiments.models import Run, Series
from experiments.run_table.fields.kinds import Field, Kind

# The columns of a metric's summary, by the name after its own.
SUMMARY = {
    "last": "last",
    "min": "minimum",
    "max": "maximum",
    "count": "count",
    "last_step": "last_step",
    "min_step": "minimum_step",
    "max_step": "maximum_step",
    "nonfinite": "nonfinite",
}
# Null in these means that a value was logged which is not finite.
VALUES = ("last", "minimum", "maximum")


class MetricField(Field):
    """A column of a metric's summary: the last value, or what stands after the name.

    `loss.min` is the least loss, unless a run has a metric of that very name.
    """

    group = "metric"

    def __init__(self, name: str, column: str = "") -> None:
        """Read `name` as above; where `column` is given, it is the metric's name as it is."""
        stem, _, ending = name.rpartition(".")
        self.name = name
        self.metric, self.column = name, SUMMARY[column or "last"]
        if not column and stem and ending in SUMMARY:
            self.metric, self.column = stem, SUMMARY[ending]
        title = name if column in {"", "last"} else f"{name}.{column}"
        super().__init__(f"metric.{title}", title, Kind.NUMBER)

    @property
    def is_ambiguous(self) -> bool:
        return self.metric != self.name

    def orders(self) -> list[Combinable]:
        if not self.is_ambiguous:
            return [_summary(self.name, self.column)]
        own = _summary(self.name, "last")
        has_own = Exists(Series.objects.filter(run=OuterRef("pk"), name=self.name))
        return [Case(When(has_own, then=own), default=_summary(self.metric, self.column))]

    def joined(self, runs: QuerySet[Run], alias: str) -> tuple[QuerySet[Run], list[Combinable]]:
        names = dict.fromkeys([self.name, self.metric])
        for place, name in enumerate(names):
            named = FilteredRelation("series", condition=Q(series__name=name))
            runs = runs.alias(**{f"{alias}_{place}": named})
        if not self.is_ambiguous:
            return runs, [F(f"{alias}_0__{self.column}")]
        own = When(**{f"{alias}_0__isnull": False}, then=F(f"{alias}_0__last"))
        return runs, [Case(own, default=F(f"{alias}_1__{self.column}"), output_field=FloatField())]

    def read(self, runs: Sequence[Run]) -> dict[UUID, Any]:
        return read_metrics([self], runs)[self.key]


def _summary(metric: str, column: str) -> Subquery:
    series = Series.objects.filter(run=OuterRef("pk"), name=metric)
    return Subquery(series.values(column)[:1], output_field=FloatField())


def read_metrics(metrics: Sequence[MetricField], runs: Sequence[Run]) -> dict[str, dict[UUID, Any]]:
    """Read all metrics of a page in one query; NaN stands for what is not finite."""
    names = {name for metric in metrics for name in (metric.name, metric.metric)}
    rows = Series.objects.filter(run__in=[run.pk for run in runs], name__in=names).defer("starts")
    by_name: dict[str, dict[UUID, Series]] = defaultdict(dict)
    for row in rows:
        by_name[row.name][row.run_id] = row
    found: dict[str, dict[UUID, Any]] = {}
    for metric in metrics:
        columns = dict.fromkeys(by_name[metric.metric], metric.column)
        if metric.is_ambiguous:
            columns |= dict.fromkeys(by_name[metric.name], "last")
        values = {}
        for pk, column in columns.items():
            row = by_name[metric.name].get(pk) or by_name[metric.metric][pk]
            value = getattr(row, column)
            values[pk] = math.nan if value is None and column in VALUES else value
        found[metric.key] = {pk: value for pk, value in values.items() if value is not None}
    return found
