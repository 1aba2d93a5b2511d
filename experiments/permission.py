"""Where runs and datasets ask consent: with the project's scope, and in words on refusal."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F

from experiments.models import Dataset, DatasetItem, Membership, Project, Run
from portal import audit
from portal.models import Role, User
from rights import consent
from rights.models import Decision, Hold, Purpose, Recording, Use


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
    """The saved decision for a dataset's recordings; NotAllowed if any is refused or on hold.

    None where nothing needs consent. The decision is kept also when it is a refusal, so this
    is not to be called inside a transaction that the refusal rolls back.
    """
    if dataset is None or not use:
        return None
    items = dataset.items.filter(included=True)
    recordings = Recording.objects.filter(pk__in=items.values("recording"))
    decision = consent.check(recordings, Use(use), context_of(project), by=by)
    refusals = refusals_of(decision) or [refusal_of(hold) for hold in holds_on(dataset, use)]
    if refusals:
        raise NotAllowed(decision, refusals)
    return decision


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
    items = dataset.items.filter(included=True)
    holds = Hold.objects.filter(
        recording__in=items.values("recording"), use=use, at__gt=dataset.frozen_at
    )
    return list(holds.select_related("recording", "party").order_by("at", "pk"))


def runs_on_hold() -> list[tuple[Run, Hold]]:
    """Every open run with the first permission that ended after its dataset was frozen."""
    pairs = (
        DatasetItem.objects.filter(
            included=True,
            dataset__runs__state__in=Run.OPEN_STATES,
            recording__holds__use=F("dataset__runs__use"),
            recording__holds__at__gt=F("dataset__frozen_at"),
        )
        .order_by("recording__holds__at", "recording__holds__pk")
        .values_list("dataset__runs__pk", "recording__holds__pk")
    )
    first: dict[UUID, int] = {}
    for run_id, hold_id in pairs:
        first.setdefault(run_id, hold_id)
    runs = Run.objects.in_bulk(list(first))
    holds = Hold.objects.select_related("recording", "party").in_bulk(list(set(first.values())))
    return [(runs[run_id], holds[hold_id]) for run_id, hold_id in first.items()]


def taint_held() -> int:
    """Mark each frozen dataset in which a permission for its use has ended since; how many."""
    touched = Dataset.objects.filter(
        status=Dataset.Status.FROZEN,
        pk__in=DatasetItem.objects.filter(
            included=True,
            recording__holds__use=F("dataset__use"),
            recording__holds__at__gt=F("dataset__frozen_at"),
        ).values("dataset"),
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
