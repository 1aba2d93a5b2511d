"""Measures of a run's clips as fields of the run table: `sample.lufs`, `sample.count`.

Each is the mean over the clips of the run that are not withheld. Registered with the run table,
which may not import this app.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, FloatField, OuterRef, QuerySet, Subquery, Value
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, NullIf

from audio.measures import Measures
from audio_samples.models import Sample
from experiments.models import Project, Run
from experiments.run_table import fields
from experiments.run_table.fields import Field, Kind

TITLES = {
    "count": "Clips",
    "lufs": "Loudness of clips, LUFS",
    "true_peak": "True peak of clips, dBTP",
    "duration": "Length of clips, s",
    "rms_dbfs": "Level of clips, dBFS",
    "crest_db": "Crest factor of clips, dB",
    "silence_share": "Silent share of clips",
    "clipped_share": "Clipped share of clips",
    "stereo_correlation": "Stereo correlation of clips",
    "centroid_hz": "Spectral centroid of clips, Hz",
    "dc_offset": "DC offset of clips",
}
# What has a column; the others stand in `measures`.
IN_MEASURES = frozenset(Measures.__annotations__)


class ClipField(Field):
    """The mean of one measure over a run's clips, or how many there are."""

    group = "sample"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"sample.{name}", TITLES[name], Kind.NUMBER)

    def orders(self) -> list[Combinable]:
        rows = self._by_run(_heard().filter(run=OuterRef("pk")))
        return [Subquery(rows.values("value"), output_field=FloatField())]

    def read(self, runs: Sequence[Run]) -> dict[UUID, Any]:
        rows = self._by_run(_heard().filter(run__in=[run.pk for run in runs]))
        found = dict(rows.values_list("run", "value"))
        return {pk: value for pk, value in found.items() if value is not None}

    def _by_run(self, samples: QuerySet[Sample]) -> QuerySet[Any]:
        rows = samples.order_by().values("run")
        if self.name == "count":
            return rows.annotate(value=Count("pk"))
        column: Any = self.name
        if self.name in IN_MEASURES:
            # SQLite gives the word for a null, and would read a zero from it.
            text = NullIf(KeyTextTransform(self.name, "measures"), Value("null"))
            column = Cast(text, FloatField())
        return rows.annotate(value=Avg(column))


def _heard() -> QuerySet[Sample]:
    return Sample.objects.filter(withheld_at=None)


class ClipFields(fields.Source):
    def find(self, name: str) -> Field | None:
        return ClipField(name) if name in TITLES else None

    def of_project(self, project: Project) -> Iterable[Field]:
        """Return all of them where a run of the project has clips: one look-up."""
        if not Sample.objects.filter(run__project=project).exists():
            return []
        return [ClipField(name) for name in TITLES]


fields.register("sample", ClipFields())
