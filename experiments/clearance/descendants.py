"""The descendants of recordings in this room: datasets, runs, checkpoints, published models.

rights/withdrawal/descendants.py asks, because it may not know this room. A run that started from
another run's weights has learned whatever that run had.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from experiments.clearance import permission
from experiments.models import (
    Checkpoint,
    Dataset,
    DatasetHold,
    DatasetItem,
    Project,
    Run,
    ancestry,
)
from experiments.models.publishing import ModelPage
from experiments.models.revocations import is_revoked
from portal.database.bulk import among
from portal.models import User
from rights.consent.evaluator import Context
from rights.models import Channel, Hold, Recording, Use, WithdrawalCase
from rights.withdrawal.descendants import (
    CaseMark,
    Node,
    Origin,
    Outcome,
    Reliance,
    register,
    register_basis,
    rows_named,
)


def datasets_of(origin: Origin) -> list[int]:
    return [int(source) for source in origin.sources]


def runs_of(origin: Origin) -> list[UUID]:
    """Return runs that used any of these datasets so, and runs that started from their weights."""
    if "runs" not in origin.cache:
        used = Run.objects.filter(use__in=origin.uses, dataset__in=datasets_of(origin))
        origin.cache["runs"] = _with_later(used)
    runs: list[UUID] = origin.cache["runs"]
    return runs


def runs_with(recordings: QuerySet[Recording]) -> list[UUID]:
    """Return runs that used any of this music at all, and runs that started from their weights."""
    items = DatasetItem.objects.filter(
        recording__in=recordings.order_by().values("pk"), included=True
    )
    return _with_later(Run.objects.filter(dataset__in=items.values("dataset")).exclude(use=""))


def _with_later(runs: QuerySet[Run]) -> list[UUID]:
    return sorted(ancestry.descendants_of(list(runs.order_by().values_list("pk", flat=True))))


class Datasets:
    """The datasets that music is frozen in, and the marks that withhold them."""

    def relied_on(self, recordings: Collection[int], use: str) -> list[Reliance]:
        items = _items_with(recordings)
        by_dataset: dict[int, set[int]] = defaultdict(set)
        for dataset, recording in items.order_by().values_list("dataset", "recording"):
            by_dataset[dataset].add(recording)
        rows = Dataset.objects.filter(pk__in=among(by_dataset)).select_related(
            "project", "decision"
        )
        return [
            reliance
            for row in rows.order_by("pk")
            for reliance in _reliances(row, use, frozenset(by_dataset[row.pk]))
        ]

    def mark(
        self, case: WithdrawalCase, held: Mapping[str, Hold], staying: Collection[str]
    ) -> None:
        here = DatasetHold.objects.filter(use=case.use, case=case)
        marked = dict(here.filter(hold=None).values_list("dataset_id", "pk"))
        for source, hold in held.items():
            if pk := marked.get(int(source)):
                DatasetHold.objects.filter(pk=pk).update(hold=hold)
        # A mark that is here already stays.
        marks = [*held.items(), *((source, None) for source in staying)]
        DatasetHold.objects.bulk_create(
            [
                DatasetHold(dataset_id=int(source), use=case.use, case=case, hold=hold)
                for source, hold in marks
            ],
            ignore_conflicts=True,
        )

    def marked(self, case: WithdrawalCase) -> tuple[list[str], list[str]]:
        rows = DatasetHold.objects.filter(case=case).order_by("dataset")
        sources = [(str(row.dataset_id), row.hold_id is None) for row in rows]
        return (
            [source for source, stays in sources if not stays],
            [source for source, stays in sources if stays],
        )

    def marks(self, recordings: Collection[int]) -> list[CaseMark]:
        items = _items_with(recordings)
        rows = DatasetHold.objects.withholding().filter(dataset__in=items.values("dataset"))
        rows = rows.exclude(case=None).select_related(
            "case__party", "hold", "dataset__project", "dataset__decision"
        )
        return [CaseMark(row.case, row.hold, _asked_of(row)) for row in rows.order_by("pk")
                if row.case and row.hold]  # fmt: skip

    def unmark(self, mark: CaseMark) -> None:
        """Remove the mark; a dataset that nothing else withholds may be used again."""
        for source in {reliance.source for reliance in mark.reliances}:
            dataset = Dataset.objects.get(pk=int(source))
            dataset.held.filter(case=mark.case).delete()
            if not dataset.held.withholding().filter(use=dataset.use).exists():
                affected = Dataset.objects.filter(pk=dataset.pk, status=Dataset.Status.AFFECTED)
                affected.update(status=Dataset.Status.FROZEN)


def _items_with(recordings: Collection[int]) -> QuerySet[DatasetItem]:
    return DatasetItem.objects.filter(recording__in=among(recordings), included=True)


def _asked_of(row: DatasetHold) -> list[Reliance]:
    assert row.case is not None  # noqa: S101 - it was asked for
    recordings = row.case.recordings.filter(
        pk__in=row.dataset.items.filter(included=True).values("recording")
    )
    return _reliances(row.dataset, row.use, frozenset(recordings.values_list("pk", flat=True)))


def _reliances(dataset: Dataset, use: str, recordings: frozenset[int]) -> list[Reliance]:
    """Return the set's reliances, in the context of its freezing and in that of its project now."""
    source = str(dataset.pk)
    frozen, now = Context(**dataset.decision.context), permission.context_of(dataset.project)
    if use == dataset.use:
        contexts = dict.fromkeys((frozen, now))
        return [
            Reliance(source, context, dataset.frozen_at, recordings, made_for=True)
            for context in contexts
        ]
    if use == Use.DISTRIBUTE:
        # Clips leave the lab in one way only: everybody hears them on a public page.
        now = replace(now, channel=Channel.EXPORT)
    first = dataset.runs.filter(use=use).aggregate(first=Min("queued_at"))["first"]
    return [Reliance(source, now, first or timezone.now(), recordings, made_for=first is not None)]


def _projects(user: User) -> QuerySet[Project]:
    return Project.objects.visible_to(user)


class FrozenSets:
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
        return {node.key: node for node in self._nodes(rows_named(Dataset.objects, keys))}

    def retire(self, keys: Sequence[str], reason: str) -> None:  # noqa: ARG002 - it is not stored.
        rows_named(Dataset.objects, keys).update(status=Dataset.Status.RETIRED)

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        rows = rows_named(Dataset.objects, keys).filter(project__in=_projects(user))
        return {str(pk) for pk in rows.values_list("pk", flat=True)}

    def mark(self) -> str:
        rows = Dataset.objects.aggregate(
            newest=Max("pk"), whole=Count("pk", filter=Q(status=Dataset.Status.FROZEN))
        )
        return f"{rows['newest']}:{rows['whole']}"

    def _nodes(self, rows: QuerySet[Dataset]) -> list[Node]:
        # Withheld from the moment of the hold on, before a reconcile pass has marked the dataset.
        marks = DatasetHold.objects.withholding()
        withholding = marks.filter(dataset=OuterRef("pk"), use=OuterRef("use"))
        rows = rows.annotate(is_held=Exists(withholding)).select_related("project").order_by("pk")
        return [self._node(row, held=row.is_held) for row in rows]

    def _node(self, dataset: Dataset, *, held: bool) -> Node:
        outcome = (
            Outcome.WITHHELD if held or dataset.status == Dataset.Status.AFFECTED else Outcome.OPEN
        )
        if dataset.status == Dataset.Status.RETIRED:
            outcome = Outcome.RETIRED
        label = f"{dataset.project.name}: {dataset}"
        return Node(
            self.name,
            str(dataset.pk),
            label,
            dataset.get_absolute_url(),
            dataset.frozen_at,
            outcome,
        )


class Runs:
    """A run that has ended needs nothing more: what it made is on the next levels."""

    name = "run"
    title = "Runs"
    order = 20
    remedy = verb = meaning = ""
    remedied = Outcome.STOPPED

    def find(self, origin: Origin) -> Iterable[Node]:
        rows = Run.objects.filter(pk__in=runs_of(origin)).select_related("project")
        return [self._node(row) for row in rows.order_by("queued_at")]

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        rows = rows_named(Run.objects, keys).select_related("project")
        return {str(row.pk): self._node(row) for row in rows}

    def retire(self, keys: Sequence[str], reason: str) -> None:
        """Do nothing: the reconcile pass stops these runs by their holds."""

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        rows = rows_named(Run.objects, keys).filter(project__in=_projects(user))
        return {str(pk) for pk in rows.values_list("pk", flat=True)}

    def mark(self) -> str:
        rows = Run.objects.aggregate(
            newest=Max("queued_at"), going=Count("pk", filter=Q(state__in=Run.OPEN_STATES)),
            ended=Max("ended_at"),
        )  # fmt: skip
        return f"{rows['newest']}:{rows['going']}:{rows['ended']}"

    def _node(self, run: Run) -> Node:
        outcome = Outcome.OPEN if run.is_open else Outcome.STOPPED
        label = f"{run.project.name}: run {run.number}, {run.name}"
        return Node(self.name, str(run.pk), label, run.get_absolute_url(), run.queued_at, outcome)


class Checkpoints:
    name = "checkpoint"
    title = "Checkpoints"
    order = 30
    remedy = "Train the models anew without it, or retire their checkpoints"
    verb = "Retire checkpoints"
    meaning = (
        "Nobody can download these weights, resume from them or start from them any more. A model "
        "that is still needed has to be trained anew without the music; settle that one by hand "
        "instead, with the number of the new checkpoint."
    )
    remedied = Outcome.RETIRED

    def find(self, origin: Origin) -> Iterable[Node]:
        checkpoints = Checkpoint.every.filter(run__in=runs_of(origin)).order_by()
        return self._nodes(Checkpoint.objects.filter(digest__in=checkpoints.values("digest")))

    def now(self, keys: Sequence[str]) -> dict[str, Node]:
        rows = rows_named(Checkpoint.objects, keys)
        return {node.key: node for node in self._nodes(rows)}

    def retire(self, keys: Sequence[str], reason: str) -> None:
        rows = rows_named(Checkpoint.every, keys).filter(retired_at=None)
        rows.update(retired_at=timezone.now(), retired_reason=reason[:300])

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:
        rows = rows_named(Checkpoint.objects, keys).filter(run__project__in=_projects(user))
        return {str(pk) for pk in rows.values_list("pk", flat=True)}

    def mark(self) -> str:
        rows = Checkpoint.objects.aggregate(newest=Max("pk"), number=Count("pk"))
        return f"{rows['newest']}:{rows['number']}"

    def _nodes(self, rows: QuerySet[Checkpoint]) -> list[Node]:
        """Read plain columns only: what a checkpoint says about itself may be long."""
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
    """Models that have a public page. A page shows by itself that a permission has ended, from the
    moment of the hold on (publishing/withdrawals.py)."""

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
        rows = rows_named(ModelPage.objects.public(), keys)
        return {node.key: node for node in self._nodes(rows)}

    def retire(self, keys: Sequence[str], reason: str) -> None:  # noqa: ARG002 - it is not stored.
        rows = rows_named(ModelPage.objects, keys).filter(withdrawn_at=None)
        rows.update(withdrawn_at=timezone.now())

    def open_to(self, keys: Sequence[str], user: User) -> set[str]:  # noqa: ARG002 - everybody may.
        return set(keys)

    def mark(self) -> str:
        rows = ModelPage.objects.aggregate(
            published=Count("published_at"), withdrawn=Count("withdrawn_at")
        )
        return f"{rows['published']}:{rows['withdrawn']}"

    def _nodes(self, rows: QuerySet[ModelPage]) -> list[Node]:
        marked = (
            rows.select_related("checkpoint").annotate(is_held=is_revoked("run")).order_by("pk")
        )
        return [self._node(page, held=page.is_held) for page in marked]

    def _node(self, page: ModelPage, *, held: bool) -> Node:
        outcome = Outcome.WITHHELD if held else Outcome.OPEN
        if page.withdrawn_at or (page.checkpoint and page.checkpoint.retired_at):
            outcome = Outcome.RETIRED
        return Node(
            self.name, str(page.pk), str(page), page.get_absolute_url(), page.published_at, outcome
        )


for kind in (FrozenSets(), Runs(), Checkpoints(), Published()):
    register(kind)
register_basis(Datasets())
