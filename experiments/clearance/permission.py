"""Where runs and datasets ask consent: with the project's scope, and in words on refusal."""

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
    Membership,
    Project,
    Run,
    declared_uses,
    revocations,
)
from portal import audit
from portal.models import Role, User
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
    """One recording that may not be used: why, and whose word it is."""

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
    """NotPermitted unless `by` is a member above viewer, or an operator."""
    levels = (Membership.Level.MEMBER, Membership.Level.OWNER)
    if by.has_role(Role.OPERATOR):
        return
    if not project.memberships.filter(user=by, level__in=levels).exists():
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
    """The saved decision for a dataset's recordings; NotAllowed if any is refused or on hold,
    NotUsable if the dataset is retired: it stays out of use whatever is allowed again.

    None where nothing needs consent. The decision is kept also when it is a refusal, so this
    is not to be called inside a transaction that the refusal rolls back.
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
    """Once more before a waiting run starts: its recordings, and the weights it starts from.

    A run that was at work already, lost its place and comes back goes on where the agreed policy
    lets the model version stay that learned from what was withdrawn. Raises NotAllowed, NotUsable.
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
        if not _goes_on(run):
            raise
    clearance.stored_scope(run)


def _goes_on(run: Run) -> bool:
    """Whether every word that is lacking now ended by somebody whose agreement lets the version
    stay that was at work; what another holder suspended, or was never asked, stops it."""
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
    """Why no run may use this dataset ever again, as a sentence; empty where it may be used.

    Asked of the row as it is now: who holds the object may hold it for long.
    """
    if not Dataset.objects.retired().filter(pk=dataset.pk).exists():
        return ""
    return (
        f"“{dataset}” was retired, so no run may use it again. Freeze a new dataset of what is "
        "allowed now."
    )


def runs_of_retired() -> list[tuple[Run, str]]:
    """Every open run whose dataset was retired, with the sentence that tells why it stops."""
    open_runs = Run.objects.filter(state__in=Run.OPEN_STATES, dataset__in=Dataset.objects.retired())
    return [(run, why_not_dataset(run.dataset)) for run in open_runs.select_related("dataset")
            if run.dataset is not None]  # fmt: skip


def refusals_of(decision: Decision) -> list[Refusal]:
    """Each reason of each refused recording."""
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
    """The permissions in this dataset that ended after it was frozen, for this use."""
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
    """Every open run that learns from something whose permission ended after it was frozen, or
    started from the weights of one that did; with the first such hold."""
    going = Run.objects.filter(revocations.is_revoked("pk"), state__in=Run.OPEN_STATES)
    found = dict(going.annotate(mark=revocations.first_hold("pk")).values_list("pk", "mark"))
    if not found:
        return []
    runs = Run.objects.in_bulk(list(found))
    holds = Hold.objects.select_related("recording", "party").in_bulk(set(found.values()))
    return [(runs[pk], holds[mark]) for pk, mark in found.items()]


def why_not(checkpoint: Checkpoint) -> str:
    """Why nobody may load these weights, as a sentence; empty where they may be used. Asked of
    their bytes: what is withheld under one name is withheld under every other."""
    row = Checkpoint.every.filter(pk=checkpoint.pk).annotate(
        hold=revocations.weights_revocation("digest")
    )
    hold = row.values_list("hold", flat=True).get()
    retired = _retired(checkpoint).order_by("retired_at", "pk").first()
    if retired is not None:
        why = (retired.retired_reason or "a permission behind it ended").rstrip(".")
        return f"This checkpoint was retired: {why}."
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
    """Why a run of this project may not start from these weights, as a sentence; empty where it
    may. Asked anew each time: what they were cleared for may have become less.

    `use` is what the run declares, where its recipe leaves that open. What only generates, and
    what `goes_on`, is no next version of the model.
    """
    if reason := why_not(checkpoint):
        return reason
    known = recipes.RECIPES.get(recipe)
    wanted = use if use is not None else known.use if known else declared_uses.NONE
    if reason := _why_not_for(checkpoint, wanted):
        return reason
    same_version = goes_on or (known is not None and known.generates)
    cleared = clearance.of_weights(checkpoint, (), same_version=same_version)
    inside = all(run.project_id == project.pk for run in clearance.delivered_by(checkpoint))
    found = clearance.allows(cleared, "", context_of(project), inside=inside)
    if not found:
        return ""
    more = f" And {len(found) - 3} more." if len(found) > 3 else ""
    why = " ".join(str(narrowing) for narrowing in found[:3])
    return f"Not cleared for {project.name}: {why}{more}"


def _why_not_for(checkpoint: Checkpoint, use: str) -> str:
    """Why weights that were made for one use do not go on in another."""
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


def taint_held() -> int:
    """Mark each frozen dataset in which a permission for its use has ended since; how many."""
    touched = Dataset.objects.filter(
        status=Dataset.Status.FROZEN,
        pk__in=DatasetHold.objects.withholding().filter(use=F("dataset__use")).values("dataset"),
    )
    count = 0
    for dataset in touched:
        with transaction.atomic():
            frozen = Dataset.objects.filter(pk=dataset.pk, status=Dataset.Status.FROZEN)
            if frozen.update(status=Dataset.Status.TAINTED):
                reasons = [str(refusal_of(hold)) for hold in holds_on(dataset, dataset.use)]
                audit.record(
                    by=None,
                    verb="dataset.tainted",
                    subject=dataset,
                    private={"reasons": reasons},
                )
                count += 1
    return count
