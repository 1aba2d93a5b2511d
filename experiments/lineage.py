"""What this room has of the line from recordings to models: datasets, runs, checkpoints.

rights/lineage.py asks, because it may not know this room. A run that began with another's
weights has learned whatever that one had.
"""

from collections.abc import Iterable, Sequence

from django.db.models import QuerySet
from django.utils import timezone

from experiments.models import Checkpoint, Dataset, DatasetItem, Run
from rights.lineage import Node, Outcome, register


def datasets_with(recordings: Sequence[int], uses: Sequence[str]) -> QuerySet[Dataset]:
    items = DatasetItem.objects.filter(recording__in=recordings, included=True)
    return Dataset.objects.filter(use__in=uses, pk__in=items.values("dataset"))


def runs_with(recordings: Sequence[int], uses: Sequence[str]) -> QuerySet[Run]:
    """Runs that learned from any of the recordings, and those that began with their weights."""
    items = DatasetItem.objects.filter(recording__in=recordings, included=True)
    first = Run.objects.filter(use__in=uses, dataset__in=items.values("dataset"))
    known = set(first.values_list("pk", flat=True))
    newest = set(known)
    while newest:
        later = Run.objects.filter(start_from__run__in=newest).values_list("pk", flat=True)
        newest = set(later) - known
        known |= newest
    return Run.objects.filter(pk__in=known)


class Datasets:
    name = "dataset"
    title = "Datasets"
    order = 10
    remedy = "Retire the frozen datasets"
    remedied = Outcome.RETIRED

    def find(self, recordings: Sequence[int], uses: Sequence[str]) -> Iterable[Node]:
        rows = datasets_with(recordings, uses).select_related("project").order_by("pk")
        return [self._node(one) for one in rows]

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        rows = Dataset.objects.filter(pk__in=list(keys)).select_related("project")
        return {str(one.pk): self._node(one) for one in rows}

    def retire(self, keys: Sequence[str], reason: str) -> None:  # noqa: ARG002 - it says no more.
        Dataset.objects.filter(pk__in=list(keys)).update(status=Dataset.Status.RETIRED)

    def _node(self, one: Dataset) -> Node:
        outcome = {
            Dataset.Status.RETIRED: Outcome.RETIRED,
            Dataset.Status.TAINTED: Outcome.WITHHELD,
        }.get(Dataset.Status(one.status), Outcome.OPEN)
        label = f"{one.project.name}: {one}"
        return Node(self.name, str(one.pk), label, one.get_absolute_url(), one.frozen_at, outcome)


class Runs:
    """A run that has ended needs nothing more: what it left is on the next levels."""

    name = "run"
    title = "Runs"
    order = 20
    remedy = ""
    remedied = Outcome.STOPPED

    def find(self, recordings: Sequence[int], uses: Sequence[str]) -> Iterable[Node]:
        rows = runs_with(recordings, uses).select_related("project").order_by("queued_at")
        return [self._node(one) for one in rows]

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        rows = Run.objects.filter(pk__in=list(keys)).select_related("project")
        return {str(one.pk): self._node(one) for one in rows}

    def retire(self, keys: Sequence[str], reason: str) -> None:
        """The reconciler stops them by their holds; nothing is left to do by hand."""

    def _node(self, one: Run) -> Node:
        outcome = Outcome.OPEN if one.is_open else Outcome.STOPPED
        label = f"{one.project.name}: run {one.number}, {one.name}"
        return Node(self.name, str(one.pk), label, one.get_absolute_url(), one.queued_at, outcome)


class Checkpoints:
    name = "checkpoint"
    title = "Checkpoints"
    order = 30
    remedy = "Train the models anew without it, or retire their checkpoints"
    remedied = Outcome.RETIRED

    def find(self, recordings: Sequence[int], uses: Sequence[str]) -> Iterable[Node]:
        rows = Checkpoint.objects.filter(run__in=runs_with(recordings, uses).values("pk"))
        return [self._node(one) for one in rows.select_related("run__project").order_by("pk")]

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        rows = Checkpoint.objects.filter(pk__in=[key for key in keys if key.isdecimal()])
        return {str(one.pk): self._node(one) for one in rows.select_related("run__project")}

    def retire(self, keys: Sequence[str], reason: str) -> None:
        rows = Checkpoint.objects.filter(pk__in=list(keys), retired_at=None)
        rows.update(retired_at=timezone.now(), retired_reason=reason[:300])

    def _node(self, one: Checkpoint) -> Node:
        outcome = Outcome.RETIRED if one.retired_at else Outcome.WITHHELD
        run = one.run
        label = f"{run.project.name}: run {run.number}, step {one.step:,}"
        url = run.get_absolute_url()
        return Node(self.name, str(one.pk), label, url, one.created_at, outcome)


for kind in (Datasets(), Runs(), Checkpoints()):
    register(kind)
