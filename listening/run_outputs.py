"""Listening tests keep the runs whose clips they play (experiments/runs/outputs.py)."""

from collections.abc import Collection
from uuid import UUID

from experiments.models import Run
from experiments.runs.outputs import register
from listening.models import Item


class InTests:
    """Ratings rest on what was heard: the clips of a test stay as long as it does."""

    def count(self, run: Run) -> int:  # noqa: ARG002 - a test is no output of a run.
        return 0

    def steps_among(self, run: Run, steps: Collection[int]) -> set[int]:  # noqa: ARG002
        return set()

    def why_kept(self, runs: Collection[UUID]) -> dict[UUID, str]:
        rows = Item.objects.filter(sample__run__in=runs).order_by("-test")
        titles = dict(rows.values_list("sample__run", "test__title"))
        return {
            run: f"Its clips are in the listening test “{title}”, whose ratings rest on them."
            for run, title in titles.items()
        }

    def forget(self, run: Run) -> list[str]:  # noqa: ARG002
        return []


register(InTests())
