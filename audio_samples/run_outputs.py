"""A run's samples, for the apps below that ask what it delivered (experiments/runs/outputs.py)."""

from collections.abc import Collection
from uuid import UUID

from audio_samples.models import ClipRelease, Sample, SampleFlag, SampleQuerySet
from audio_samples.models.copy_check import Screening
from experiments.discussion import comments
from experiments.models import Run
from experiments.run_page import tabs
from experiments.runs.outputs import register
from portal.database.bulk import parts
from rights.models import CaseItem

UNDIGESTED = "One of its clips has no digest of its sound yet; that takes some minutes. Try then."
COPY_WAITS = "One of its clips may be a copy of a recording; a rights admin has to hear it first."
FLAG_WAITS = "A rightsholder objected to one of its clips; a rights admin has to hear it first."
CASE_OPEN = "An open withdrawal case has to settle one of its clips first."
RELEASED = "One of its clips is released to the public, or proposed for it. Recall it first."


class Samples:
    def count(self, run: Run) -> int:
        return Sample.objects.filter(run=run).count()

    def steps_among(self, run: Run, steps: Collection[int]) -> set[int]:
        samples = Sample.objects.filter(run=run, step__in=steps)
        return set(samples.values_list("step", flat=True))

    def why_kept(self, runs: Collection[UUID]) -> dict[UUID, str]:
        """Keep what is in public or proposed for it, and what somebody has to hear to answer."""
        of = "sample__run"
        flags = SampleFlag.objects.filter(sample__run__in=runs, state=SampleFlag.State.OPEN)
        copies = Screening.objects.filter(
            sample__run__in=runs, outcome=Screening.Outcome.NEAR_COPY, answer=""
        )
        releases = ClipRelease.objects.live().filter(sample__run__in=runs)
        samples = Sample.objects.filter(run__in=runs, audio__isnull=False)
        undigested = samples.filter(sound="")
        return {
            **dict.fromkeys(undigested.values_list("run", flat=True), UNDIGESTED),
            **dict.fromkeys(copies.values_list(of, flat=True), COPY_WAITS),
            **dict.fromkeys(flags.values_list(of, flat=True), FLAG_WAITS),
            **dict.fromkeys(_in_cases(samples), CASE_OPEN),
            **dict.fromkeys(releases.values_list(of, flat=True), RELEASED),
        }

    def forget(self, run: Run) -> list[str]:
        every = Sample.objects.filter(run=run)
        comments.forget_all("sample", map(str, every.values_list("pk", flat=True)))
        samples = every.filter(audio__isnull=False)
        digests = list(samples.values_list("audio", flat=True).distinct())
        # The sound's digest stays, and who was credited.
        samples.update(audio=None, peaks=[], measures={}, prompt="")
        return digests


def _in_cases(samples: SampleQuerySet) -> set[UUID]:
    """Return the runs with a sample that an open withdrawal case still has to settle."""
    items = CaseItem.objects.filter(kind="sample", outcome=CaseItem.Outcome.OPEN)
    keys = [int(key) for key in items.values_list("key", flat=True) if key.isdecimal()]
    return {
        run
        for part in parts(keys, 500)
        for run in samples.filter(pk__in=part).values_list("run", flat=True)
    }


register(Samples())
tabs.count_rows("samples", Sample.objects.all)
