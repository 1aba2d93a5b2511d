"""What a withdrawal case contains: its items, its tasks and its steps, E0 to E6.

The steps follow the agreed policy, fixed when the grant was signed. No step is skipped silently:
one that does not apply says why.
"""

from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.database import commit_order
from rights.errors import Refused
from rights.models import (
    CaseItem,
    CaseStep,
    CaseTask,
    WithdrawalCase,
    WithdrawalPolicy,
)
from rights.withdrawal import descendants

Status = WithdrawalCase.Status
Rung = CaseStep.Rung
Outcome = CaseItem.Outcome
# An item with one of these no longer keeps a case open.
SETTLED_OUTCOMES = (
    Outcome.STOPPED,
    Outcome.RETIRED,
    Outcome.RETRAINED,
    Outcome.RECALLED,
    Outcome.COVERED,
)
COVERED = "The agreed policy lets the model version that learned from it stay."
BATCH_SIZE = 1_000
# The steps that the portal does itself, at once.
AUTOMATIC_STEPS = {
    Rung.E0: "No decision since then rests on it.",
    Rung.E1: "Frozen datasets with it are marked and refused.",
    Rung.E2: "Runs with it were stopped; new ones are refused.",
    Rung.E3: "Samples and checkpoints that came out of it are withheld.",
}
# The kinds that E5 is about; E4 is about everything else derived from the music.
AUDIBLE_KINDS = ("sample", "test", "clip")
NOTHING = "Nothing of the kind came out of it."


def build_steps(case: WithdrawalCase) -> list[CaseStep]:
    stays = case.policy == WithdrawalPolicy.NEXT_VERSION
    steps = []
    for rung in Rung:
        step = CaseStep(case=case, rung=rung, due_at=case.due_at)
        if rung == Rung.E0 or (rung in AUTOMATIC_STEPS and not stays):
            step.due_at, step.done_at = case.opened_at, case.opened_at
            step.note = AUTOMATIC_STEPS[rung]
        elif stays and rung != Rung.E6:
            step.due_at, step.done_at, step.note = case.opened_at, case.opened_at, COVERED
        elif rung == Rung.E5 and case.policy == WithdrawalPolicy.RETRAIN:
            step.note = "Released samples stay, as agreed; the others are recalled."
        steps.append(step)
    return steps


def list_items(case: WithdrawalCase) -> int:
    """Add what was derived from the music to the case; return how many are new and open. Items that
    it has already stay as they are."""
    withheld, staying = descendants.basis().marked(case)
    known = set(case.items.values_list("kind", "key"))
    now, rows = timezone.now(), []
    for sources, stays in ((withheld, False), (staying, True)):
        for level in descendants.descendants(sources, [case.use]):
            for node in level.nodes:
                if (node.kind, node.key) in known:
                    continue
                known.add((node.kind, node.key))
                rows.append(
                    CaseItem(
                        case=case,
                        kind=node.kind,
                        key=node.key,
                        label=node.label[:300],
                        outcome=Outcome.COVERED if stays else node.outcome,
                        note=COVERED if stays else "",
                        settled_at=now if stays or node.outcome in SETTLED_OUTCOMES else None,
                    )
                )
    CaseItem.objects.bulk_create(rows, ignore_conflicts=True, batch_size=BATCH_SIZE)
    return sum(row.outcome not in SETTLED_OUTCOMES for row in rows)


def add_tasks(case: WithdrawalCase) -> None:
    """Add a task for each kind of open item that a person has to handle."""
    open_items = case.items.exclude(outcome__in=SETTLED_OUTCOMES)
    open_kinds = set(open_items.order_by().values_list("kind", flat=True).distinct())
    titles = set(case.tasks.values_list("title", flat=True))
    CaseTask.objects.bulk_create(
        CaseTask(case=case, title=kind.remedy, due_at=case.due_at)
        for kind in descendants.kinds()
        if kind.name in open_kinds and kind.remedy and kind.remedy not in titles
    )


@transaction.atomic
def refresh(case: WithdrawalCase) -> None:
    """Update the case: what has ended meanwhile, and what else was derived from the music.

    A closed case that gets a new open item is opened again.
    """
    lock(case)
    new_items = list_items(case)
    if case.status == Status.CLOSED and not new_items:
        return
    at = timezone.now()
    for kind in descendants.kinds():
        open_items = {
            item.key: item
            for item in case.items.filter(kind=kind.name).exclude(outcome__in=SETTLED_OUTCOMES)
        }
        nodes = kind.now(list(open_items)) if open_items else {}
        changed = []
        for key, item in open_items.items():
            outcome = nodes[key].outcome if key in nodes else Outcome.RETIRED
            if outcome != item.outcome:
                item.outcome = outcome
                item.settled_at = at if outcome in SETTLED_OUTCOMES else None
                changed.append(item)
        CaseItem.objects.bulk_update(changed, ["outcome", "settled_at"], batch_size=BATCH_SIZE)
    if case.status == Status.CLOSED:
        _reopen(case, new_items)
    add_tasks(case)
    advance(case)


def _reopen(case: WithdrawalCase, new_items: int) -> None:
    case.status, case.closed_at, case.verified_by = Status.REMEDIATING, None, None
    case.save(update_fields=["status", "closed_at", "verified_by"])
    case.steps.filter(rung=Rung.E6).update(done_at=None, done_by=None)
    audit.record(by=None, verb="case.reopened", subject=case, items=new_items)


def advance(case: WithdrawalCase) -> None:
    """Set the steps and the status that follow from the items of a case that is locked or new."""
    outcomes = set(case.items.order_by().values_list("kind", "outcome").distinct())
    open_kinds = {kind for kind, outcome in outcomes if outcome not in SETTLED_OUTCOMES}
    changed = []
    for step in case.steps.filter(rung__in=(Rung.E4, Rung.E5)):
        before = (step.done_at, step.done_by_id, step.note)
        is_heard = step.rung == Rung.E5
        if any((kind in AUDIBLE_KINDS) is is_heard for kind in open_kinds):
            step.done_at, step.done_by = None, None
            step.note = "" if step.note == NOTHING else step.note
        else:
            if not any((kind in AUDIBLE_KINDS) is is_heard for kind, _ in outcomes):
                step.note = step.note or NOTHING
            step.done_at = step.done_at or timezone.now()
        if before != (step.done_at, step.done_by_id, step.note):
            changed.append(step)
    CaseStep.objects.bulk_update(changed, ["done_at", "done_by", "note"])
    status = Status.REMEDIATING if open_kinds else Status.VERIFIED
    follows = (Status.ENFORCED, Status.REMEDIATING, Status.VERIFIED)
    if case.status in follows and case.status != status:
        case.status = status
        case.save(update_fields=["status"])


def lock(case: WithdrawalCase) -> WithdrawalCase:
    """Read the case as it is now, and lock it until the transaction ends."""
    # In this order, without a key lock: opening a case adds to it in its turn (commit_order.py).
    commit_order.moment()
    case.refresh_from_db(from_queryset=WithdrawalCase.objects.select_for_update(no_key=True))
    return case


def check_open(case: WithdrawalCase) -> None:
    if case.status in (Status.CLOSED, Status.REJECTED):
        raise Refused("closed", "This case is closed.")
