"""Listeners' ratings as what a sweep makes large: the mean of a run's clips in closed tests."""

from collections import defaultdict
from collections.abc import Collection
from statistics import fmean
from uuid import UUID

from django.db.models import Avg

from experiments.sweeps import objectives
from listening.models import Rating


class Ratings:
    title = "listeners' rating, mean of its clips"

    def values(self, run_ids: Collection[UUID]) -> dict[UUID, float]:
        """Return the mean rating of each run, 1 to 5: every clip counts the same, however many
        have rated it. Tests that are open do not count: their answers are still coming in."""
        answered = Rating.objects.filter(
            item__sample__run__in=list(run_ids), item__test__closed_at__isnull=False
        )
        clips = answered.values_list("item__sample__run", "item__sample").annotate(Avg("score"))
        by_run: dict[UUID, list[float]] = defaultdict(list)
        for run_id, _, mean in clips.order_by():
            by_run[run_id].append(mean)
        return {run_id: fmean(means) for run_id, means in by_run.items()}


objectives.register("listeners", Ratings())
