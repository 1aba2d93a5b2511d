"""A metric's curve as a field: a line of a few points in a cell."""

import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.expressions import Combinable

from experiments.metrics import metrics
from experiments.models import Run
from experiments.run_table.fields.kinds import Field, Kind
from experiments.run_table.fields.metrics import MetricField

# Of a line of some hundred pixels; with fifty rows that is a light page.
POINTS = 32


class CurveField(Field):
    """The means of a metric along its steps; ordered by its last value."""

    group = "metric"

    def __init__(self, name: str) -> None:
        self.last = MetricField(name)
        super().__init__(f"curve.{name}", f"{name}, curve", Kind.CURVE)

    def orders(self) -> list[Combinable]:
        return self.last.orders()

    def joined(self, runs: QuerySet[Run], alias: str) -> tuple[QuerySet[Run], list[Combinable]]:
        return self.last.joined(runs, alias)

    def read(self, runs: Sequence[Run]) -> dict[UUID, Any]:
        found = metrics.read_many([run.pk for run in runs], self.last.name, POINTS)
        return {pk: points for pk, curve in found.items() if (points := _points(curve))}


def _points(curve: metrics.Curve) -> list[tuple[float, float]]:
    """Return places from 0 to 1, steps along and values upwards; what is not finite is left out."""
    finite = [
        (step, value)
        for step, value in zip(curve.steps.tolist(), curve.mean.tolist(), strict=True)
        if math.isfinite(value)
    ]
    if not finite:
        return []
    steps, values = [pair[0] for pair in finite], [pair[1] for pair in finite]
    low, high = min(values), max(values)
    width, height = (steps[-1] - steps[0]) or 1, (high - low) or 1
    return [((step - steps[0]) / width, (value - low) / height) for step, value in finite]
