"""Listeners' ratings as fields of the run table: `rating.mean`, `rating.answers`.

Answers of closed tests alone count: those of an open one are still coming in. Registered with the
run table, which may not import this app.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, Exists, F, FloatField, OuterRef, QuerySet, Subquery
from django.db.models.expressions import Combinable

from audio_samples.models import Sample
from experiments.models import Project, Run
from experiments.run_table import fields
from experiments.run_table.fields import Field, Kind
from listening.models import ListeningTest, Rating

TITLES = {
    "mean": "Listeners' rating, 1 to 5",
    "answers": "Answers of listeners",
    "listeners": "Listeners who answered",
}

# Of a run's clips, or of the answers to them.
SUMS = {"mean": Avg("score"), "answers": Count("pk"), "listeners": Count("listener", distinct=True)}


class RatingField(Field):
    """The mean of a run's clips, each the same however many have rated it; or how many answers."""

    group = "rating"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"rating.{name}", TITLES[name], Kind.NUMBER)

    def orders(self) -> list[Combinable]:
        rows = self._by_run(self._rows().filter(run=OuterRef("pk")))
        return [Subquery(rows.values("value"), output_field=FloatField())]

    def read(self, runs: Sequence[Run]) -> dict[UUID, Any]:
        rows = self._by_run(self._rows().filter(run__in=[run.pk for run in runs]))
        return dict(rows.values_list("run", "value"))

    def _rows(self) -> Any:
        """Return what is summed up for each `run`: its clips with their `score`, or the answers."""
        if self.name == "mean":
            return _rated()
        return _answers().annotate(run=F("item__sample__run"))

    def _by_run(self, rows: Any) -> Any:
        return rows.order_by().values("run").annotate(value=SUMS[self.name])


def _answers() -> QuerySet[Rating]:
    return Rating.objects.filter(item__test__closed_at__isnull=False)


def _rated() -> QuerySet[Sample]:
    """Return the clips with answers; `score` is the mean of them."""
    of_clip = _answers().filter(item__sample=OuterRef("pk")).order_by().values("item__sample")
    mean = Subquery(of_clip.annotate(mean=Avg("score")).values("mean"), output_field=FloatField())
    return Sample.objects.annotate(score=mean).filter(score__isnull=False)


class RatingFields(fields.Source):
    def find(self, name: str) -> Field | None:
        return RatingField(name) if name in TITLES else None

    def of_project(self, project: Project) -> Iterable[Field]:
        """Return all of them where a test of the project was closed: one look-up."""
        closed = ListeningTest.objects.filter(project=project, closed_at__isnull=False)
        if not closed.filter(Exists(Rating.objects.filter(item__test=OuterRef("pk")))).exists():
            return []
        return [RatingField(name) for name in TITLES]


fields.register("rating", RatingFields())
