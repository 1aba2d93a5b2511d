"""What a withdrawal case holds: its items, its tasks, and the steps of the ladder that follow.

The ladder is the agreed policy's, fixed when the grant was signed. No step is skipped in silence:
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
# An item with one of these holds a case open no longer.
SETTLED = (
    Outcome.STOPPED,
    Outcome.RETIRED,
    Outcome.RETRAINED,
    Outcome.RECALLED,
    Outcome.COVERED,
)
COVERED = "The agreed policy lets the model version that learned from it stay."
AT_ONCE = 1_000
# Which rungs are done by the portal itself, at once.
AT_ONCE_RUNGS = {
    Rung.E0: "No decision since then rests on it.",
    Rung.E1: "Frozen datasets with it are marked and refused.",
    Rung.E2: "Runs with it were stopped; new ones are refused.",
    Rung.E3: "Samples and checkpoints that came out of it are withheld.",
}
# What E5 is about; E4 is about everything else that came out of it.
HEARD = ("sample", "test", "clip")
NOTHING = "Nothing of the kind came out of it."


def ladder(case: WithdrawalCase) -> list[CaseStep]:
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
            step.note = "Released samples stay, as agreed; the others are recalled."
        steps.append(step)
    return steps


def list_items(case: WithdrawalCase) -> int:
    """Take what came out of the music into the case; how many are new and open. What is in it
    already stays as it is."""
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
                        settled_at=now if stays or node.outcome in SETTLED else None,
                    )
                )
    CaseItem.objects.bulk_create(rows, ignore_conflicts=True, batch_size=AT_ONCE)
    return sum(row.outcome not in SETTLED for row in rows)


def add_tasks(case: WithdrawalCase) -> None:
    """One for each kind that a person has to see to."""
    open_items = case.items.exclude(outcome__in=SETTLED)
    found = set(open_items.order_by().values_list("kind", flat=True).distinct())
    known = set(case.tasks.values_list("title", flat=True))
    CaseTask.objects.bulk_create(
        CaseTask(case=case, title=kind.remedy, due_at=case.due_at)
        for kind in descendants.kinds()
        if kind.name in found and kind.remedy and kind.remedy not in known
    )


@transaction.atomic
def refresh(case: WithdrawalCase) -> None:
    """Look again: what came to an end meanwhile, and what else has come out of the music.

    A closed case to which something open has come is open again.
    """
    lock(case)
    new = list_items(case)
    if case.status == Status.CLOSED and not new:
        return
    at = timezone.now()
    for kind in descendants.kinds():
        waiting = {
            item.key: item
            for item in case.items.filter(kind=kind.name).exclude(outcome__in=SETTLED)
        }
        now = kind.now(list(waiting)) if waiting else {}
        changed = []
        for key, item in waiting.items():
            outcome = now[key].outcome if key in now else Outcome.RETIRED
            if outcome != item.outcome:
                item.outcome = outcome
                item.settled_at = at if outcome in SETTLED else None
                changed.append(item)
        CaseItem.objects.bulk_update(changed, ["outcome", "settled_at"], batch_size=AT_ONCE)
    if case.status == Status.CLOSED:
        _reopen(case, new)
    add_tasks(case)
    advance(case)


def _reopen(case: WithdrawalCase, new: int) -> None:
    case.status, case.closed_at, case.verified_by = Status.REMEDIATING, None, None
    case.save(update_fields=["status", "closed_at", "verified_by"])
    case.steps.filter(rung=Rung.E6).update(done_at=None, done_by=None)
    audit.record(by=None, verb="case.reopened", subject=case, items=new)


def advance(case: WithdrawalCase) -> None:
    """The rungs and the state that follow from the items."""
    found = set(case.items.order_by().values_list("kind", "outcome").distinct())
    open_kinds = {kind for kind, outcome in found if outcome not in SETTLED}
    now = timezone.now()
    for rung, heard in ((Rung.E4, False), (Rung.E5, True)):
        steps = case.steps.filter(rung=rung)
        if any((kind in HEARD) is heard for kind in open_kinds):
            steps.update(done_at=None, done_by=None)
            steps.filter(note=NOTHING).update(note="")
            continue
        if not any((kind in HEARD) is heard for kind, _ in found):
            steps.filter(note="").update(note=NOTHING)
        steps.filter(done_at=None).update(done_at=now)
    if case.status in (Status.ENFORCED, Status.REMEDIATING, Status.VERIFIED):
        case.status = Status.REMEDIATING if open_kinds else Status.VERIFIED
        case.save(update_fields=["status"])


def lock(case: WithdrawalCase) -> WithdrawalCase:
    """The case as it is now, held until the transaction ends."""
    # In this order and not as a key: who opens a case adds to it within its turn (commit_order.py).
    commit_order.moment()
    case.refresh_from_db(from_queryset=WithdrawalCase.objects.select_for_update(no_key=True))
    return case


def check_open(case: WithdrawalCase) -> None:
    if case.status in (Status.CLOSED, Status.REJECTED):
        raise Refused("closed", "This case is closed.")
