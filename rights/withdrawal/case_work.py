"""What people do in a withdrawal case: retire, settle by hand, assign, and close.

A case closes when every descendant is retired, replaced by one without the music, recalled, or
covered by what was agreed. Unlearning may be noted as a remedy; it settles nothing.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal import audit
from portal.models import User
from rights.errors import Refused, required
from rights.models import CaseItem, CaseStep, CaseTask, WithdrawalCase
from rights.withdrawal import descendants
from rights.withdrawal.case_items import SETTLED_OUTCOMES, advance, check_open, lock, refresh

Status = WithdrawalCase.Status
Cause = WithdrawalCase.Cause
Rung = CaseStep.Rung
Outcome = CaseItem.Outcome


@transaction.atomic
def remedy(case: WithdrawalCase, kind_name: str, by: User, note: str = "") -> int:
    """Retire or recall all open items of a kind for good; return how many. Raises Refused for a
    kind that ends by itself, and where none is open."""
    check_open(lock(case))
    kind = next(
        (
            candidate
            for candidate in descendants.kinds()
            if candidate.name == kind_name and candidate.remedy
        ),
        None,
    )
    if kind is None:
        raise Refused("kind", "There is nothing that you can do to these: they end by themselves.")
    items = case.items.filter(kind=kind_name).exclude(outcome__in=SETTLED_OUTCOMES)
    keys = list(items.values_list("key", flat=True))
    if not keys:
        raise Refused("none", f"None of the {kind.title.lower()} is open.")
    cause = f"{case.party} withdrew" if case.cause == Cause.ENDED else str(case.party)
    kind.retire(keys, f"{cause}: {case.reason}"[:300])
    items.update(outcome=kind.remedied, settled_by=by, settled_at=timezone.now(), note=note[:500])
    case.tasks.filter(title=kind.remedy, done_at=None).update(done_at=timezone.now(), done_by=by)
    audit.record(by=by, verb="case.remedied", subject=case, kind=kind_name, items=len(keys))
    advance(case)
    return len(keys)


@transaction.atomic
def mitigate(case: WithdrawalCase, *, by: User, note: str) -> None:
    """Note that something else was done, such as unlearning. It settles nothing."""
    note = required(note, field="note", longest=400, prose=True)
    check_open(lock(case))
    step = case.steps.get(rung=Rung.E4)
    step.note = f"{step.note} Noted, settles nothing: {note}".strip()[-500:]
    step.save(update_fields=["note"])
    audit.record(by=by, verb="case.mitigated", subject=case, private={"note": note})


@transaction.atomic
def settle(item: CaseItem, *, outcome: str, by: User, note: str, replaced_by: str = "") -> CaseItem:
    """Settle one descendant by hand: replaced by one without the music, or covered as agreed."""
    check_open(lock(item.case))
    item.refresh_from_db()
    if item.outcome in SETTLED_OUTCOMES:
        raise Refused("settled", f"It is settled already: {item.get_outcome_display().lower()}.")
    note = required(note, field="note", longest=500, prose=True)
    if outcome not in (Outcome.RETRAINED, Outcome.COVERED):
        raise Refused(
            "outcome",
            "Choose replaced or covered; the rest the portal does itself. Unlearning settles "
            "nothing.",
            field="outcome",
        )
    if outcome == Outcome.RETRAINED:
        _replace(item, replaced_by)
    item.outcome, item.note, item.replaced_by = outcome, note, replaced_by[:60]
    item.settled_by, item.settled_at = by, timezone.now()
    item.save(update_fields=["outcome", "note", "replaced_by", "settled_by", "settled_at"])
    audit.record(by=by, verb="case.item_settled", subject=item.case, item=item.pk, outcome=outcome)
    advance(item.case)
    return item


def _replace(item: CaseItem, replaced_by: str) -> None:
    """Retire the item for another one of its kind, which was not trained on the same music."""
    kind, case = descendants.kind(item.kind), item.case
    replacement = kind.now([replaced_by]).get(replaced_by)
    if replacement is None or not kind.remedy:
        raise Refused("replaced_by", "Name what replaces it.", field="replaced_by")
    withheld, staying = descendants.basis().marked(case)
    levels = descendants.descendants([*withheld, *staying], [case.use])
    affected = {(node.kind, node.key) for level in levels for node in level.nodes}
    if (item.kind, replaced_by) in affected:
        raise Refused(
            "replaced_by",
            f"{replacement.label} learned from the same music: it replaces nothing.",
            field="replaced_by",
        )
    kind.retire([item.key], f"Replaced by {replacement.label}.")


@transaction.atomic
def assign(task: CaseTask, *, by: User, owner: User | None, due_at: datetime) -> CaseTask:
    """Set who does the task, and by when; not later than was agreed."""
    check_open(lock(task.case))
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
    """Close the case with a final statement. Raises Refused while anything is open, and for whoever
    opened it or settled something in it by hand."""
    note = required(note, field="note", longest=500, prose=True)
    check_open(lock(case))
    refresh(case)
    open_count = case.items.exclude(outcome__in=SETTLED_OUTCOMES).count()
    if open_count:
        raise Refused(
            "open",
            f"{open_count} of what came out of it {'is' if open_count == 1 else 'are'} open.",
        )
    if reason := why_not_close(case, by):
        raise Refused("four_eyes", reason)
    now = timezone.now()
    case.steps.filter(done_at=None).update(done_at=now, done_by=by)
    case.steps.filter(rung=Rung.E6).update(note=note)
    case.tasks.filter(done_at=None).update(done_at=now, done_by=by)
    case.status, case.closed_at, case.verified_by = Status.CLOSED, now, by
    case.save(update_fields=["status", "closed_at", "verified_by"])
    audit.record(by=by, verb="case.closed", subject=case, items=case.items.count())
    return case


def why_not_close(case: WithdrawalCase, by: User) -> str:
    """Return why somebody else has to close the case, as a sentence; empty for who may close it."""
    if case.opened_by_id == by.pk:
        return "Somebody else than who opened the case has to close it."
    # Whoever decides that something may stay must not also decide that all is done.
    if by_hand(case).filter(settled_by=by).exists():
        return (
            "You said of something in this case that it is covered or replaced: somebody else has "
            "to look at that and close it."
        )
    return ""


def by_hand(case: WithdrawalCase) -> QuerySet[CaseItem]:
    """Return what a person, and not the portal, has settled as covered or replaced."""
    items = case.items.filter(outcome__in=(Outcome.COVERED, Outcome.RETRAINED))
    return items.exclude(settled_by=None)
