"""A run's samples, for the apps below that ask what it delivered (experiments/runs/outputs.py)."""

from collections.abc import Collection

from audio_samples.models import Sample
from experiments.models import Run
from experiments.run_page import tabs
from experiments.runs.outputs import register


class Samples:
    def count(self, run: Run) -> int:
        return Sample.objects.filter(run=run).count()

    def steps_among(self, run: Run, steps: Collection[int]) -> set[int]:
        samples = Sample.objects.filter(run=run, step__in=steps)
        return set(samples.values_list("step", flat=True))


register(Samples())
tabs.count_rows("samples", Sample.objects.all)
