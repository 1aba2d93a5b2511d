"""Listeners' ratings as what a sweep makes large: the mean of a run's clips in closed tests."""

from collections.abc import Collection
from uuid import UUID

from experiments.models import Run
from experiments.sweeps import objectives
from listening.run_fields import RatingField


class Ratings:
    title = "listeners' rating, mean of its clips"

    def values(self, run_ids: Collection[UUID]) -> dict[UUID, float]:
        """Return the mean rating of each run, 1 to 5, as the run table shows it."""
        return RatingField("mean").read([Run(pk=pk) for pk in run_ids])


objectives.register("listeners", Ratings())
