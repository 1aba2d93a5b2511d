"""Samples, for the rooms below that ask what a run has made (experiments/runs/outputs.py)."""

from collections.abc import Collection

from audio_samples.models import Sample
from experiments.models import Run
from experiments.runs.outputs import register


class Samples:
    def count(self, run: Run) -> int:
        return Sample.objects.filter(run=run).count()

    def steps_among(self, run: Run, steps: Collection[int]) -> set[int]:
        found = Sample.objects.filter(run=run, step__in=steps)
        return set(found.values_list("step", flat=True))


register(Samples())
