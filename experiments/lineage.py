"""What this room has of the line from recordings to models: datasets, runs, checkpoints, and the
models that are published.

rights/lineage.py asks, because it may not know this room. A run that began with another's
weights has learned whatever that one had.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from experiments.held import held
from experiments.models import Checkpoint, Dataset, DatasetHold, DatasetItem, Project, Run
from experiments.publishing.models import ModelPage
from portal.models import User
from rights.lineage import Node, Origin, Outcome, register, when_held
from rights.models import Hold


def datasets_of(origin: Origin) -> list[int]:
    """The datasets that hold any of the music, for whatever use they were frozen."""
    if "datasets" not in origin.kept:
        items = DatasetItem.objects.filter(
            recording__in=origin.recordings.order_by().values("pk"), included=True
        )
        rows = Dataset.objects.filter(pk__in=items.values("dataset"))
        if origin.until is not None:
            rows = rows.filter(frozen_at__lte=origin.until)
        origin.kept["datasets"] = list(rows.order_by("pk").values_list("pk", flat=True))
    found: list[int] = origin.kept["datasets"]
    return found


def runs_of(origin: Origin) -> list[UUID]:
    """Runs that learned from any of the music, and those that began with their weights."""
    if "runs" not in origin.kept:
        datasets = datasets_of(origin)
        first = Run.objects.filter(use__in=origin.uses, dataset__in=datasets) if datasets else ()
        known = {run.pk for run in first}
        newest = set(known)
        while newest:
            # Weights are their bytes: whoever began with a copy of them began with them.
            made = Checkpoint.every.filter(run__in=newest).order_by().values("digest")
            later = Run.objects.filter(start_from__digest__in=made).values_list("pk", flat=True)
            newest = set(later) - known
            known |= newest
        origin.kept["runs"] = sorted(known)
    found: list[UUID] = origin.kept["runs"]
    return found


def mark_datasets(holds: QuerySet[Hold]) -> None:
    """Note the datasets that new holds touch: one row for each dataset and use, and the first
    hold stays."""
    touched = (
        DatasetItem.objects.filter(included=True, recording__holds__in=holds)
        .order_by()
        .values_list("dataset", "recording__holds__use")
        .annotate(first=Min("recording__holds"))
    )
    DatasetHold.objects.bulk_create(
        [DatasetHold(dataset_id=pk, use=use, hold_id=hold) for pk, use, hold in touched],
        ignore_conflicts=True,
    )


def _projects(user: User) -> QuerySet[Project]:
    return Project.objects.visible_to(user)


class Datasets:
    name = "dataset"
    title = "Datasets"
    order = 10
    remedy = "Retire the frozen datasets"
    verb = "Retire datasets"
    meaning = "No run may ever use these datasets again. They stay on record with what was in them."
    remedied = Outcome.RETIRED

    def find(self, origin: Origin) -> Iterable[Node]:
        rows = Dataset.objects.filter(pk__in=datasets_of(origin), use__in=origin.uses)
        return self._nodes(rows)

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        return {node.key: node for node in self._nodes(Dataset.objects.filter(pk__in=list(keys)))}

    def retire(self, keys: Sequence[str], reason: str) -> None:  # noqa: ARG002 - it says no more.
        Dataset.objects.filter(pk__in=list(keys)).update(status=Dataset.Status.RETIRED)

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        rows = Dataset.objects.filter(pk__in=list(keys), project__in=_projects(user))
        return {str(pk) for pk in rows.values_list("pk", flat=True)}

    def mark(self) -> str:
        rows = Dataset.objects.aggregate(
            newest=Max("pk"), whole=Count("pk", filter=Q(status=Dataset.Status.FROZEN))
        )
        return f"{rows['newest']}:{rows['whole']}"

    def _nodes(self, rows: QuerySet[Dataset]) -> list[Node]:
        # Refused from the moment of the hold on, before the clock has written that it is tainted.
        held = DatasetHold.objects.filter(dataset=OuterRef("pk"), use=OuterRef("use"))
        rows = rows.annotate(is_held=Exists(held)).select_related("project").order_by("pk")
        return [self._node(one, held=one.is_held) for one in rows]

    def _node(self, one: Dataset, *, held: bool) -> Node:
        outcome = Outcome.WITHHELD if held or one.status == Dataset.Status.TAINTED else Outcome.OPEN
        if one.status == Dataset.Status.RETIRED:
            outcome = Outcome.RETIRED
        label = f"{one.project.name}: {one}"
        return Node(self.name, str(one.pk), label, one.get_absolute_url(), one.frozen_at, outcome)


class Runs:
    """A run that has ended needs nothing more: what it left is on the next levels."""

    name = "run"
    title = "Runs"
    order = 20
    remedy = verb = meaning = ""
    remedied = Outcome.STOPPED

    def find(self, origin: Origin) -> Iterable[Node]:
        rows = Run.objects.filter(pk__in=runs_of(origin)).select_related("project")
        return [self._node(one) for one in rows.order_by("queued_at")]

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        rows = Run.objects.filter(pk__in=list(keys)).select_related("project")
        return {str(one.pk): self._node(one) for one in rows}

    def retire(self, keys: Sequence[str], reason: str) -> None:
        """The reconciler stops them by their holds; nothing is left to do by hand."""

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        rows = Run.objects.filter(pk__in=list(keys), project__in=_projects(user))
        return {str(pk) for pk in rows.values_list("pk", flat=True)}

    def mark(self) -> str:
        rows = Run.objects.aggregate(
            newest=Max("queued_at"), going=Count("pk", filter=Q(state__in=Run.OPEN_STATES)),
            ended=Max("ended_at"),
        )  # fmt: skip
        return f"{rows['newest']}:{rows['going']}:{rows['ended']}"

    def _node(self, one: Run) -> Node:
        outcome = Outcome.OPEN if one.is_open else Outcome.STOPPED
        label = f"{one.project.name}: run {one.number}, {one.name}"
        return Node(self.name, str(one.pk), label, one.get_absolute_url(), one.queued_at, outcome)


class Checkpoints:
    name = "checkpoint"
    title = "Checkpoints"
    order = 30
    remedy = "Train the models anew without it, or retire their checkpoints"
    verb = "Retire checkpoints"
    meaning = (
        "Nobody can download these weights, resume from them or begin with them any more. A model "
        "that is still needed has to be trained anew without the music; settle that one by hand "
        "instead, with the number of the new checkpoint."
    )
    remedied = Outcome.RETIRED

    def find(self, origin: Origin) -> Iterable[Node]:
        made = Checkpoint.every.filter(run__in=runs_of(origin)).order_by()
        return self._nodes(Checkpoint.objects.filter(digest__in=made.values("digest")))

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        rows = Checkpoint.objects.filter(pk__in=[key for key in keys if key.isdecimal()])
        return {node.key: node for node in self._nodes(rows)}

    def retire(self, keys: Sequence[str], reason: str) -> None:
        rows = Checkpoint.every.filter(pk__in=list(keys), retired_at=None)
        rows.update(retired_at=timezone.now(), retired_reason=reason[:300])

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        rows = Checkpoint.objects.filter(pk__in=list(keys), run__project__in=_projects(user))
        return {str(pk) for pk in rows.values_list("pk", flat=True)}

    def mark(self) -> str:
        rows = Checkpoint.objects.aggregate(newest=Max("pk"), number=Count("pk"))
        return f"{rows['newest']}:{rows['number']}"

    def _nodes(self, rows: QuerySet[Checkpoint]) -> list[Node]:
        """Plain columns: what a checkpoint says of itself may be long, and is not read for it."""
        columns = rows.order_by("pk").values_list(
            "pk", "step", "created_at", "retired_at", "run__number", "run__project__name",
            "run__project__slug",
        )  # fmt: skip
        return [
            Node(
                self.name,
                str(pk),
                f"{project}: run {number}, step {step:,}",
                reverse("experiments:run", args=[slug, number]),
                at,
                Outcome.RETIRED if retired_at else Outcome.WITHHELD,
            )
            for pk, step, at, retired_at, number, project, slug in columns
        ]


class Published:
    """Models that everybody can read of. A page says by itself that a permission has ended, from
    the moment of the hold on (publishing/standing.py)."""

    name = "page"
    title = "Published models"
    order = 60
    remedy = "Withdraw the published models"
    verb = "Withdraw models"
    meaning = "Their public pages stay, name nobody whose permission ended, and say: withdrawn."
    remedied = Outcome.RETIRED

    def find(self, origin: Origin) -> Iterable[Node]:
        return self._nodes(ModelPage.objects.public().filter(run__in=runs_of(origin)))

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        numbers = [key for key in keys if key.isdecimal()]
        rows = ModelPage.objects.public().filter(pk__in=numbers)
        return {node.key: node for node in self._nodes(rows)}

    def retire(self, keys: Sequence[str], reason: str) -> None:  # noqa: ARG002 - it says no more.
        rows = ModelPage.objects.filter(pk__in=list(keys), withdrawn_at=None)
        rows.update(withdrawn_at=timezone.now())

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:  # noqa: ARG002 - all may.
        return set(keys)

    def mark(self) -> str:
        rows = ModelPage.objects.aggregate(
            published=Count("published_at"), withdrawn=Count("withdrawn_at")
        )
        return f"{rows['published']}:{rows['withdrawn']}"

    def _nodes(self, rows: QuerySet[ModelPage]) -> list[Node]:
        marked = rows.select_related("checkpoint").annotate(is_held=held("run")).order_by("pk")
        return [self._node(one, held=one.is_held) for one in marked]

    def _node(self, one: ModelPage, *, held: bool) -> Node:
        outcome = Outcome.WITHHELD if held else Outcome.OPEN
        if one.withdrawn_at or (one.checkpoint and one.checkpoint.retired_at):
            outcome = Outcome.RETIRED
        return Node(
            self.name, str(one.pk), str(one), one.get_absolute_url(), one.published_at, outcome
        )


for kind in (Datasets(), Runs(), Checkpoints(), Published()):
    register(kind)

when_held(mark_datasets)
