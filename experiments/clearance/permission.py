"""Checks of consent for runs and datasets, in the project's scope, with refusals in words."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, Q

from experiments import recipes
from experiments.clearance import clearance
from experiments.models import (
    Checkpoint,
    CheckpointQuerySet,
    Dataset,
    DatasetHold,
    Project,
    Run,
    declared_uses,
    revocations,
)
from portal import audit
from portal.models import User
from rights.consent import consent
from rights.models import (
    Decision,
    Hold,
    Purpose,
    Recording,
    Use,
)


@dataclass(frozen=True)
class Refusal:
    """One recording that may not be used: why, and whose decision that is."""

    recording_id: int
    recording: str
    holder: str
    sentence: str

    def __str__(self) -> str:
        whose = f" ({self.holder})" if self.holder and self.holder not in self.sentence else ""
        return f"{self.recording}{whose}: {self.sentence}"


class NotAllowed(Exception):
    """Consent was refused. Carries the saved decision and a refusal per recording and reason."""

    code = "not_allowed"

    def __init__(self, decision: Decision, refusals: list[Refusal]) -> None:
        self.decision = decision
        self.refusals = refusals
        more = f" And {len(refusals) - 3} more." if len(refusals) > 3 else ""
        super().__init__(" ".join(str(refusal) for refusal in refusals[:3]) + more)


class NotUsable(ValueError):
    """Weights or a dataset that nobody may use: retired, or a permission behind it has ended."""

    code = "not_usable"


class NotPermitted(PermissionError):
    """This person may look at the project, not change what is in it."""

    code = "not_permitted"


def check_member(by: User, project: Project) -> None:
    """Raise NotPermitted unless `by` is a member above viewer, or an operator."""
    if not project.is_open_to(by):
        raise NotPermitted(f"You may look at {project.name}, not run in it. An owner can let you.")


def context_of(project: Project) -> consent.Context:
    return consent.Context(
        purpose=Purpose(project.purpose),
        territory=project.territory,
        model_family=project.model_family,
        model_version=project.model_version,
        product=project.product,
    )


def check_consent(
    *, project: Project, dataset: Dataset | None, use: str, by: User | None
) -> Decision | None:
    """Return the saved decision for a dataset's recordings. Raise NotAllowed if any is refused or
    on hold, NotUsable if the dataset is retired: it stays out of use whatever is allowed again.

    None where nothing needs consent. The decision is also stored when it is a refusal, so do not
    call this inside a transaction that the refusal rolls back.
    """
    if dataset is None:
        return None
    if reason := why_not_dataset(dataset):
        raise NotUsable(reason)
    if not use:
        return None
    items = dataset.items.filter(included=True)
    recordings = Recording.objects.filter(pk__in=items.values("recording"))
    decision = consent.check(recordings, Use(use), context_of(project), by=by)
    refusals = refusals_of(decision) or [refusal_of(hold) for hold in holds_on(dataset, use)]
    if refusals:
        raise NotAllowed(decision, refusals)
    return decision


def check_start(run: Run) -> None:
    """Check a waiting run again before it starts: its recordings, and its initial weights.

    A run that was at work and lost its place may go on where the agreed policy lets the model
    version stay that learned from what was withdrawn. Raises NotAllowed, NotUsable.
    """
    if run.start_from is not None and (
        reason := why_not_start_from(
            run.start_from,
            run.project,
            recipe=run.recipe,
            use=run.use,
            goes_on=run.attempts.exists(),
        )
    ):
        raise NotUsable(reason)
    try:
        check_consent(project=run.project, dataset=run.dataset, use=run.use, by=None)
    except NotAllowed:
        if not _may_continue(run):
            raise
    clearance.stored_scope(run)


def _may_continue(run: Run) -> bool:
    """Whether every permission that is missing now was ended by a party whose agreement lets this
    version stay; one that another holder suspended, or was never asked for, stops the run."""
    if run.dataset is None or not run.attempts.exists() or holds_on(run.dataset, run.use):
        return False
    items = run.dataset.items.filter(included=True)
    return consent.evaluate(
        list(items.values_list("recording", flat=True)),
        Use(run.use),
        context_of(run.project),
        made_at=run.dataset.frozen_at,
    ).allowed


def why_not_dataset(dataset: Dataset) -> str:
    """Return why no run may use this dataset ever again, as a sentence; empty where it may be used.

    Reads the row as it is now: the caller's object may be an old one.
    """
    if not Dataset.objects.retired().filter(pk=dataset.pk).exists():
        return ""
    return (
        f"“{dataset}” was retired, so no run may use it again. Freeze a new dataset of what is "
        "allowed now."
    )


def runs_of_retired() -> list[tuple[Run, str]]:
    """Return every open run whose dataset was retired, with the sentence that says why it stops."""
    open_runs = Run.objects.filter(state__in=Run.OPEN_STATES, dataset__in=Dataset.objects.retired())
    return [(run, why_not_dataset(run.dataset)) for run in open_runs.select_related("dataset")
            if run.dataset is not None]  # fmt: skip


def refusals_of(decision: Decision) -> list[Refusal]:
    """Return a refusal for each reason of each refused recording."""
    lines = decision.lines.filter(allowed=False).select_related("recording")
    return [
        Refusal(
            recording_id=line.recording_id,
            recording=line.recording.title,
            holder=reason.get("party", ""),
            sentence=reason["sentence"],
        )
        for line in lines.order_by("recording__title", "recording_id")
        for reason in line.reasons or [{"sentence": "It is not allowed."}]
    ]


def refusal_of(hold: Hold) -> Refusal:
    return Refusal(
        recording_id=hold.recording_id,
        recording=hold.recording.title,
        holder=hold.party.name,
        sentence=(
            f"{hold.party.name} ended the permission after this dataset was frozen. "
            "Freeze a new version."
        ),
    )


def holds_on(dataset: Dataset, use: str) -> list[Hold]:
    """Return the holds on this dataset for this use: permissions that ended after it was frozen."""
    marks = dataset.held.withholding().filter(use=use)
    if not marks.exists():
        return []
    items = dataset.items.filter(included=True)
    holds = Hold.objects.filter(
        Q(case__in=marks.values("case")) | Q(pk__in=marks.values("hold")),
        recording__in=items.values("recording"),
        use=use,
        at__gt=dataset.frozen_at,
    )
    return list(holds.select_related("recording", "party").order_by("at", "pk"))


def runs_on_hold() -> list[tuple[Run, Hold]]:
    """Return every open run that learns from something whose permission ended after it was frozen,
    or started from the weights of such a run; with the first such hold."""
    open_runs = Run.objects.filter(revocations.is_revoked("pk"), state__in=Run.OPEN_STATES)
    first_holds = dict(
        open_runs.annotate(mark=revocations.first_hold_id("pk")).values_list("pk", "mark")
    )
    if not first_holds:
        return []
    runs = Run.objects.in_bulk(list(first_holds))
    holds = Hold.objects.select_related("recording", "party").in_bulk(set(first_holds.values()))
    return [(runs[pk], holds[mark]) for pk, mark in first_holds.items()]


def why_not_loadable(checkpoint: Checkpoint) -> str:
    """Return why nobody may load these weights, as a sentence; empty where they may be used. Their
    bytes count: what is withheld under one name is withheld under every other."""
    row = Checkpoint.every.filter(pk=checkpoint.pk).annotate(
        hold=revocations.weights_revocation("digest")
    )
    hold = row.values_list("hold", flat=True).get()
    retired = _retired(checkpoint).order_by("retired_at", "pk").first()
    if retired is not None:
        reason = (retired.retired_reason or "a permission behind it ended").rstrip(".")
        return f"This checkpoint was retired: {reason}."
    if hold is not None:
        return f"A permission behind this checkpoint ended: {hold.rstrip('.')}."
    return ""


def is_retired(checkpoint: Checkpoint) -> bool:
    """Whether these bytes were retired for good, under whichever name."""
    return _retired(checkpoint).exists()


def _retired(checkpoint: Checkpoint) -> CheckpointQuerySet:
    digest = Checkpoint.every.filter(pk=checkpoint.pk).values("digest")
    return Checkpoint.every.filter(digest__in=digest).exclude(retired_at=None)


def why_not_start_from(
    checkpoint: Checkpoint,
    project: Project,
    *,
    recipe: str,
    use: str | None = None,
    goes_on: bool = False,
) -> str:
    """Return why a run of this project may not start from these weights, as a sentence; empty where
    it may. Worked out each time: what they are licensed for may have become less.

    `use` is what the run declares, where its recipe leaves that open. A run that only generates,
    or that `goes_on`, makes no next version of the model.
    """
    if reason := why_not_loadable(checkpoint):
        return reason
    definition = recipes.RECIPES.get(recipe)
    wanted = use if use is not None else definition.use if definition else declared_uses.NO_USE
    if reason := _why_not_for(checkpoint, wanted):
        return reason
    same_version = goes_on or (definition is not None and definition.generates)
    cleared = clearance.of_weights(checkpoint, (), same_version=same_version)
    inside = all(run.project_id == project.pk for run in clearance.delivered_by(checkpoint))
    narrowings = clearance.allows(cleared, "", context_of(project), inside=inside)
    if not narrowings:
        return ""
    more = f" And {len(narrowings) - 3} more." if len(narrowings) > 3 else ""
    why = " ".join(str(narrowing) for narrowing in narrowings[:3])
    return f"Not licensed for {project.name}: {why}{more}"


def _why_not_for(checkpoint: Checkpoint, use: str) -> str:
    """Return why weights made for one use do not go on in another; empty where they do."""
    for run in clearance.delivered_by(checkpoint):
        if declared_uses.may_start_from(run.use, use):
            continue
        made_for = Use(run.use).label.lower()
        if not declared_uses.makes_models(run.use):
            return (
                f"These weights were saved by run {run.number}, which was declared for "
                f"{made_for}: that makes no model, so nothing else starts from them."
            )
        return (
            f"These weights were made for {made_for}, by run {run.number}, and that does not go "
            f"on as {Use(use).label.lower() if use else 'anything else'}."
        )
    return ""


def mark_affected_datasets() -> int:
    """Mark each frozen dataset in which a permission for its use ended since; return how many."""
    affected = Dataset.objects.filter(
        status=Dataset.Status.FROZEN,
        pk__in=DatasetHold.objects.withholding().filter(use=F("dataset__use")).values("dataset"),
    )
    count = 0
    for dataset in affected:
        with transaction.atomic():
            frozen = Dataset.objects.filter(pk=dataset.pk, status=Dataset.Status.FROZEN)
            if frozen.update(status=Dataset.Status.AFFECTED):
                reasons = [str(refusal_of(hold)) for hold in holds_on(dataset, dataset.use)]
                audit.record(
                    by=None,
                    verb="dataset.tainted",
                    subject=dataset,
                    private={"reasons": reasons},
                )
                count += 1
    return count
