"""Withdrawal cases: from one change of mind to the last thing that came out of the music.

The ladder is the agreed policy's, fixed when the grant was signed. No rung is skipped in
silence: one that does not apply says why. A case closes when every descendant is retired,
replaced by one without the music, recalled, or covered by what was agreed. Unlearning may be
noted as a remedy; it settles nothing.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from portal import audit, turns
from portal.models import User
from rights import holds, lineage
from rights.models import (
    CaseItem,
    CaseStep,
    CaseTask,
    Grant,
    Party,
    Recording,
    WithdrawalCase,
    WithdrawalPolicy,
)
from rights.refused import Refused, required

Status = WithdrawalCase.Status
Rung = CaseStep.Rung
Outcome = CaseItem.Outcome
# An item with one of these holds a case open no longer.
SETTLED = (
    Outcome.STOPPED,
    Outcome.RETIRED,
    Outcome.RETRAINED,
    Outcome.RECALLED,
    Outcome.COVERED,
)
# Several grants that end by one word are one case.
ONE_WORD = timedelta(seconds=30)
AT_ONCE = 1_000
COVERED = "The agreed policy lets the model version that learned from it stay."
# Which rungs are done by the portal itself, at once.
AT_ONCE_RUNGS = {
    Rung.E0: "No decision since then rests on it.",
    Rung.E1: "Frozen datasets with it are marked and refused.",
    Rung.E2: "Runs with it were stopped; new ones are refused.",
    Rung.E3: "Samples and checkpoints that came out of it are withheld.",
}


def open_for(
    *, by: User | None, grant: Grant, reason: str, recordings: Iterable[Recording]
) -> WithdrawalCase | None:
    """Open the case of a permission that ends now and enforce what is to be enforced at once.

    None where no recording loses anything. Inside the transaction that ends the permission.
    """
    lost = list(recordings)
    if not lost:
        return None
    at = turns.moment()
    case = _started(grant, reason, at) or _start(by=by, grant=grant, reason=reason, at=at)
    if grant.withdrawal_policy != WithdrawalPolicy.NEXT_VERSION:
        holds.place(
            by=by,
            recordings=lost,
            uses=[grant.use],
            party=grant.grantor,
            grant=grant,
            case=case,
            reason=reason,
        )
    found = lineage.descendants([recording.pk for recording in lost], [grant.use])
    _list(case, [node for level in found for node in level.nodes])
    _add_tasks(case)
    return case


def _started(grant: Grant, reason: str, at: datetime) -> WithdrawalCase | None:
    """The case that another grant of the same word has just opened."""
    rows = WithdrawalCase.objects.going_on().filter(
        party=grant.grantor,
        use=grant.use,
        reason=reason[:300],
        policy=grant.withdrawal_policy,
        opened_at__gte=at - ONE_WORD,
    )
    return rows.first()


def _start(*, by: User | None, grant: Grant, reason: str, at: datetime) -> WithdrawalCase:
    case = WithdrawalCase.objects.create(
        party=grant.grantor,
        grant=grant,
        use=grant.use,
        reason=reason[:300],
        policy=grant.withdrawal_policy,
        remedy_days=grant.remedy_days,
        status=Status.ENFORCED,
        opened_by=by,
        opened_at=at,
    )
    CaseStep.objects.bulk_create(_ladder(case))
    audit.record(
        by=by, verb="case.opened", subject=case, grant=grant.pk, use=grant.use, policy=case.policy
    )
    return case


def _ladder(case: WithdrawalCase) -> list[CaseStep]:
    stays = case.policy == WithdrawalPolicy.NEXT_VERSION
    steps = []
    for rung in Rung:
        step = CaseStep(case=case, rung=rung, due_at=case.due_at)
        if rung == Rung.E0 or (rung in AT_ONCE_RUNGS and not stays):
            step.due_at, step.done_at = case.opened_at, case.opened_at
            step.note = AT_ONCE_RUNGS[rung]
        elif stays and rung != Rung.E6:
            step.due_at, step.done_at, step.note = case.opened_at, case.opened_at, COVERED
        elif rung == Rung.E5 and case.policy == WithdrawalPolicy.RETRAIN:
            step.done_at, step.note = case.opened_at, "Not agreed: released samples stay."
        steps.append(step)
    return steps


def _list(case: WithdrawalCase, nodes: Iterable[lineage.Node]) -> int:
    """Take what came out of the music into the case; what is in it already stays as it is."""
    stays = case.policy == WithdrawalPolicy.NEXT_VERSION
    rows = [
        CaseItem(
            case=case,
            kind=node.kind,
            key=node.key,
            label=node.label[:300],
            outcome=Outcome.COVERED if stays else node.outcome,
            note=COVERED if stays else "",
            settled_at=case.opened_at if stays or node.outcome in SETTLED else None,
        )
        for node in nodes
    ]
    CaseItem.objects.bulk_create(rows, ignore_conflicts=True, batch_size=AT_ONCE)
    return len(rows)


def _add_tasks(case: WithdrawalCase) -> None:
    """One for each kind that a person has to see to."""
    open_items = case.items.exclude(outcome__in=SETTLED)
    found = set(open_items.order_by().values_list("kind", flat=True).distinct())
    known = set(case.tasks.values_list("title", flat=True))
    CaseTask.objects.bulk_create(
        CaseTask(case=case, title=kind.remedy, due_at=case.due_at)
        for kind in lineage.kinds()
        if kind.name in found and kind.remedy and kind.remedy not in known
    )


@transaction.atomic
def refresh(case: WithdrawalCase) -> None:
    """Look again: what came to an end meanwhile, and what else has come out of the music."""
    if case.policy == WithdrawalPolicy.NEXT_VERSION:
        return
    recordings = case.holds.values_list("recording", flat=True).distinct()
    found = lineage.descendants(recordings, [case.use])
    _list(case, [node for level in found for node in level.nodes])
    at = timezone.now()
    for kind in lineage.kinds():
        items = {item.key: item for item in case.items.filter(kind=kind.name)}
        waiting = [key for key, item in items.items() if item.outcome not in SETTLED]
        now = kind.now(waiting) if waiting else {}
        changed = []
        for key in waiting:
            item, node = items[key], now.get(key)
            outcome = node.outcome if node else Outcome.RETIRED
            if outcome != item.outcome:
                item.outcome = outcome
                item.settled_at = at if outcome in SETTLED else None
                changed.append(item)
        CaseItem.objects.bulk_update(changed, ["outcome", "settled_at"], batch_size=AT_ONCE)
    _add_tasks(case)
    _advance(case)


@transaction.atomic
def remedy(case: WithdrawalCase, kind_name: str, by: User, note: str = "") -> int:
    """Retire or recall all open items of a kind for good; how many."""
    _still_open(case)
    kind = lineage.kind(kind_name)
    items = case.items.filter(kind=kind_name).exclude(outcome__in=SETTLED)
    keys = list(items.values_list("key", flat=True))
    kind.retire(keys, f"{case.party} withdrew: {case.reason}"[:300])
    items.update(outcome=kind.remedied, settled_by=by, settled_at=timezone.now(), note=note[:500])
    case.tasks.filter(title=kind.remedy, done_at=None).update(done_at=timezone.now(), done_by=by)
    audit.record(by=by, verb="case.remedied", subject=case, kind=kind_name, items=len(keys))
    _advance(case)
    return len(keys)


@transaction.atomic
def settle(item: CaseItem, *, outcome: str, by: User, note: str, replaced_by: str = "") -> CaseItem:
    """One descendant by hand: replaced by one without the music, or covered by the agreement."""
    _still_open(item.case)
    note = required(note, field="note", longest=500)
    if outcome not in (Outcome.RETRAINED, Outcome.COVERED):
        raise Refused("outcome", "Choose replaced or covered; the rest the portal does itself.")
    if outcome == Outcome.RETRAINED:
        other = lineage.kind(item.kind).now([replaced_by]).get(replaced_by)
        if other is None:
            raise Refused("replaced_by", "Name what replaces it.", field="replaced_by")
        tainted = {
            node.key
            for level in lineage.descendants(
                item.case.holds.values_list("recording", flat=True).distinct(), [item.case.use]
            )
            if level.kind.name == item.kind
            for node in level.nodes
        }
        if replaced_by in tainted:
            raise Refused(
                "replaced_by",
                f"{other.label} learned from the same music: it replaces nothing.",
                field="replaced_by",
            )
        lineage.kind(item.kind).retire([item.key], f"Replaced by {other.label}.")
    item.outcome, item.note, item.replaced_by = outcome, note, replaced_by[:60]
    item.settled_by, item.settled_at = by, timezone.now()
    item.save(update_fields=["outcome", "note", "replaced_by", "settled_by", "settled_at"])
    audit.record(by=by, verb="case.item_settled", subject=item.case, item=item.pk, outcome=outcome)
    _advance(item.case)
    return item


@transaction.atomic
def assign(task: CaseTask, *, by: User, owner: User | None, due_at: datetime) -> CaseTask:
    """Who sees to it, and by when; not later than was agreed."""
    _still_open(task.case)
    if due_at > task.case.due_at:
        raise Refused(
            "due_at",
            f"It was agreed that all is done by {task.case.due_at:%Y-%m-%d}.",
            field="due_at",
        )
    task.owner, task.due_at = owner, due_at
    task.save(update_fields=["owner", "due_at"])
    audit.record(by=by, verb="case.task_assigned", subject=task.case, task=task.pk)
    return task


@transaction.atomic
def close(case: WithdrawalCase, by: User, note: str) -> WithdrawalCase:
    """The final statement. Raises Refused while anything is open, and for who opened it."""
    note = required(note, field="note", longest=500)
    _still_open(case)
    refresh(case)
    left = case.items.exclude(outcome__in=SETTLED).count()
    if left:
        raise Refused("open", f"{left} of what came out of it {'is' if left == 1 else 'are'} open.")
    if case.opened_by_id == by.pk:
        raise Refused("four_eyes", "Somebody else than who opened the case has to close it.")
    now = timezone.now()
    case.steps.filter(done_at=None).update(done_at=now, done_by=by)
    case.steps.filter(rung=Rung.E6).update(note=note)
    case.tasks.filter(done_at=None).update(done_at=now, done_by=by)
    case.status, case.closed_at, case.verified_by = Status.CLOSED, now, by
    case.save(update_fields=["status", "closed_at", "verified_by"])
    audit.record(by=by, verb="case.closed", subject=case, items=case.items.count())
    return case


def _advance(case: WithdrawalCase) -> None:
    """The rungs and the state that follow from the items."""
    open_kinds = set(
        case.items.exclude(outcome__in=SETTLED).order_by().values_list("kind", flat=True)
    )
    now = timezone.now()
    if not open_kinds - {"sample", "test", "release"}:
        case.steps.filter(rung=Rung.E4, done_at=None).update(done_at=now)
    if not open_kinds & {"sample", "test", "release"}:
        case.steps.filter(rung=Rung.E5, done_at=None).update(done_at=now)
    if case.status in (Status.ENFORCED, Status.REMEDIATING, Status.VERIFIED):
        case.status = Status.REMEDIATING if open_kinds else Status.VERIFIED
        case.save(update_fields=["status"])


def _still_open(case: WithdrawalCase) -> None:
    if case.status in (Status.CLOSED, Status.REJECTED):
        raise Refused("closed", "This case is closed.")


def impact(grants: Iterable[Grant]) -> tuple[list[Recording], list[lineage.Level]]:
    """What ending these grants would touch: the recordings that lose a permission, and all that
    came out of them by that use. Nothing is kept."""
    lost: dict[str, set[int]] = {}
    for grant in grants:
        found = holds.lost_with(grant).values_list("pk", flat=True)
        lost.setdefault(grant.use, set()).update(found)
    levels: dict[str, lineage.Level] = {}
    for use, ids in lost.items():
        for level in lineage.descendants(ids, [use]):
            known = levels.setdefault(level.kind.name, lineage.Level(level.kind, []))
            keys = {node.key for node in known.nodes}
            known.nodes.extend(node for node in level.nodes if node.key not in keys)
    every = sorted(set().union(*lost.values()))
    return list(Recording.objects.filter(pk__in=every)), list(levels.values())


def of_party(party: Party) -> list[Grant]:
    """Every grant that would end if the party left."""
    return list(party.grants.filter(status__in=(Grant.Status.ACTIVE, Grant.Status.SUSPENDED)))
