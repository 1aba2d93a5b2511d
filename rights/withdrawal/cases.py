"""Withdrawal cases: from one change of mind to the last thing that came out of the music.

The ladder is the agreed policy's, fixed when the grant was signed. No step is skipped in
silence: one that does not apply says why. A case closes when every descendant is retired,
replaced by one without the music, recalled, or covered by what was agreed. Unlearning may be
noted as a remedy; it settles nothing.
"""

import time
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from portal import audit
from portal.database import commit_order
from portal.models import User
from rights.consent import snapshot as known
from rights.errors import Refused, required
from rights.models import (
    CaseItem,
    CaseStep,
    CaseTask,
    Grant,
    Party,
    Use,
    WithdrawalCase,
    WithdrawalPolicy,
)
from rights.withdrawal import descendants, holds, losses
from rights.withdrawal.losses import Loss, Policy, Touched, Watch

__all__ = [
    "SETTLED", "assign", "by_hand", "close", "look_after", "mitigate", "open_for",
    "open_for_findings", "refresh", "remedy", "settle", "settled", "why_not_close",
]  # fmt: skip

Status = WithdrawalCase.Status
Cause = WithdrawalCase.Cause
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
# A case that was closed is looked at for so long: what comes late opens it again.
LATE = timedelta(days=7)
AT_ONCE = 1_000
# How long one look at all cases takes at most; the next one goes on.
LOOK_SECONDS = 5.0
SETTLED_AGAIN = "It is settled whose word it is, and every permission for it had stood meanwhile."
COVERED = "The agreed policy lets the model version that learned from it stay."
# Which rungs are done by the portal itself, at once.
AT_ONCE_RUNGS = {
    Rung.E0: "No decision since then rests on it.",
    Rung.E1: "Frozen datasets with it are marked and refused.",
    Rung.E2: "Runs with it were stopped; new ones are refused.",
    Rung.E3: "Samples and checkpoints that came out of it are withheld.",
}


def open_for(
    *,
    by: User | None,
    party: Party,
    loss: Loss,
    policy: Policy,
    reason: str,
    grant: Grant | None = None,
    cause: str = Cause.ENDED,
) -> list[WithdrawalCase]:
    """Open the cases of a permission that ends now, and enforce what is to be enforced at once:
    one for each policy under which something was made with the music. None where nothing is lost.

    `policy` is the one of what ends. Inside the transaction that ends the permission.
    """
    if not loss:
        return []
    groups: dict[Policy, list[Touched]] = defaultdict(list)
    for affected in loss.touched:
        groups[policy if affected.stays else affected.policy].append(affected)
    # What nothing was made of is told with what ends, by its own policy.
    main = policy if policy in groups or not groups else next(iter(groups))
    unused = set(loss.recordings).difference(*(affected.recordings for affected in loss.touched))
    opened = []
    for agreed, touched in {main: groups[main], **groups}.items():
        lost = set().union(*(affected.recordings for affected in touched))
        if agreed == main:
            lost |= unused
        case = _case_of(
            by=by, party=party, grant=grant, use=loss.use, policy=agreed, reason=reason[:300],
            cause=cause,
        )  # fmt: skip
        _enforce(case, by=by, lost=lost, touched=touched, reason=reason, grant=grant)
        _list(case)
        _add_tasks(case)
        _advance(case)
        opened.append(case)
    return opened


def open_for_findings(
    *, by: User | None, party: Party, watch: Watch, reason: str
) -> list[WithdrawalCase]:
    """The cases of what was found out: whose word it is, is not certain any more, or another word
    is needed. What is settled again without a permission having ended is heard again (`settled`).
    """
    return [
        case
        for loss in watch.losses()
        for case in open_for(
            by=by, party=party, loss=loss, policy=_found_policy(loss), reason=reason,
            cause=Cause.IN_QUESTION,
        )
    ]  # fmt: skip


def _found_policy(loss: Loss) -> Policy:
    return next((affected.policy for affected in loss.touched), losses.UNAGREED)


def _enforce(
    case: WithdrawalCase,
    *,
    by: User | None,
    lost: set[int],
    touched: list[Touched],
    reason: str,
    grant: Grant | None,
) -> None:
    through = WithdrawalCase.recordings.through
    through.objects.bulk_create(
        [through(withdrawalcase_id=case.pk, recording_id=pk) for pk in sorted(lost)],
        ignore_conflicts=True,
        batch_size=AT_ONCE,
    )
    if case.policy == WithdrawalPolicy.NEXT_VERSION:
        lost = set()
    gone = [affected for affected in touched if not affected.stays]
    wanted = lost.union(*(affected.recordings for affected in gone))
    placed = holds.place_holds(by=by, case=case, recordings=wanted, reason=reason, grant=grant)
    descendants.basis().mark(
        case,
        {affected.source: placed[min(affected.recordings)] for affected in gone},
        [affected.source for affected in touched if affected.stays],
    )


def _case_of(
    *,
    by: User | None,
    party: Party,
    grant: Grant | None,
    use: str,
    policy: Policy,
    reason: str,
    cause: str,
) -> WithdrawalCase:
    """The case that another grant of the same word has just opened, or a new one."""
    at = commit_order.moment()
    same_word = WithdrawalCase.objects.going_on().filter(
        party=party, use=use, reason=reason, policy=policy.name, cause=cause,
        opened_at__gte=at - ONE_WORD,
    )  # fmt: skip
    # What was settled and is in question again is another case.
    if case := same_word.exclude(holds__lifted_at__isnull=False).first():
        return case
    case = WithdrawalCase.objects.create(
        party=party,
        grant=grant,
        use=use,
        reason=reason,
        policy=policy.name,
        remedy_days=policy.remedy_days,
        cause=cause,
        status=Status.ENFORCED,
        opened_by=by,
        opened_at=at,
    )
    CaseStep.objects.bulk_create(_ladder(case))
    audit.record(
        by=by,
        verb="case.opened",
        subject=case,
        grant=grant.pk if grant else None,
        use=use,
        policy=case.policy,
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
            step.note = "Released samples stay, as agreed; the others are recalled."
        steps.append(step)
    return steps


def _list(case: WithdrawalCase) -> int:
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


def _add_tasks(case: WithdrawalCase) -> None:
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
    _lock(case)
    new = _list(case)
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
    _add_tasks(case)
    _advance(case)


def _reopen(case: WithdrawalCase, new: int) -> None:
    case.status, case.closed_at, case.verified_by = Status.REMEDIATING, None, None
    case.save(update_fields=["status", "closed_at", "verified_by"])
    case.steps.filter(rung=Rung.E6).update(done_at=None, done_by=None)
    audit.record(by=None, verb="case.reopened", subject=case, items=new)


def look_after(now: datetime | None = None) -> int:
    """Refresh the cases where anything may have changed since they were looked at; how many.

    Safe to call at any time; where nothing has changed it costs a question for each kind.
    """
    since = (now or timezone.now()) - LATE
    rows = WithdrawalCase.objects.filter(Q(closed_at=None) | Q(closed_at__gte=since))
    rows = rows.exclude(status=Status.REJECTED)
    if not rows.exists():
        return 0
    marks, began, looked = descendants.marks(), time.monotonic(), 0
    for case in rows.exclude(seen=marks).order_by("pk").iterator():
        if time.monotonic() - began > LOOK_SECONDS:
            break
        refresh(case)
        WithdrawalCase.objects.filter(pk=case.pk).update(seen=marks)
        looked += 1
    return looked


@transaction.atomic
def remedy(case: WithdrawalCase, kind_name: str, by: User, note: str = "") -> int:
    """Retire or recall all open items of a kind for good; how many. Raises Refused for a kind
    that ends by itself, and where none is open."""
    _still_open(_lock(case))
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
    items = case.items.filter(kind=kind_name).exclude(outcome__in=SETTLED)
    keys = list(items.values_list("key", flat=True))
    if not keys:
        raise Refused("none", f"None of the {kind.title.lower()} is open.")
    said = f"{case.party} withdrew" if case.cause == Cause.ENDED else str(case.party)
    kind.retire(keys, f"{said}: {case.reason}"[:300])
    items.update(outcome=kind.remedied, settled_by=by, settled_at=timezone.now(), note=note[:500])
    case.tasks.filter(title=kind.remedy, done_at=None).update(done_at=timezone.now(), done_by=by)
    audit.record(by=by, verb="case.remedied", subject=case, kind=kind_name, items=len(keys))
    _advance(case)
    return len(keys)


@transaction.atomic
def mitigate(case: WithdrawalCase, *, by: User, note: str) -> None:
    """Note that something was done besides, such as unlearning. It settles nothing."""
    note = required(note, field="note", longest=400)
    _still_open(_lock(case))
    step = case.steps.get(rung=Rung.E4)
    step.note = f"{step.note} Noted, settles nothing: {note}".strip()[-500:]
    step.save(update_fields=["note"])
    audit.record(by=by, verb="case.mitigated", subject=case, private={"note": note})


@transaction.atomic
def settle(item: CaseItem, *, outcome: str, by: User, note: str, replaced_by: str = "") -> CaseItem:
    """One descendant by hand: replaced by one without the music, or covered by the agreement."""
    _still_open(_lock(item.case))
    item.refresh_from_db()
    if item.outcome in SETTLED:
        raise Refused("settled", f"It is settled already: {item.get_outcome_display().lower()}.")
    note = required(note, field="note", longest=500)
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
    _advance(item.case)
    return item


def _replace(item: CaseItem, replaced_by: str) -> None:
    """Retire it for another one of its kind, which has not learned from the same music."""
    kind, case = descendants.kind(item.kind), item.case
    other = kind.now([replaced_by]).get(replaced_by)
    if other is None or not kind.remedy:
        raise Refused("replaced_by", "Name what replaces it.", field="replaced_by")
    withheld, staying = descendants.basis().marked(case)
    levels = descendants.descendants([*withheld, *staying], [case.use])
    touched = {(node.kind, node.key) for level in levels for node in level.nodes}
    if (item.kind, replaced_by) in touched:
        raise Refused(
            "replaced_by",
            f"{other.label} learned from the same music: it replaces nothing.",
            field="replaced_by",
        )
    kind.retire([item.key], f"Replaced by {other.label}.")


@transaction.atomic
def assign(task: CaseTask, *, by: User, owner: User | None, due_at: datetime) -> CaseTask:
    """Who sees to it, and by when; not later than was agreed."""
    _still_open(_lock(task.case))
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
    _still_open(_lock(case))
    refresh(case)
    left = case.items.exclude(outcome__in=SETTLED).count()
    if left:
        raise Refused("open", f"{left} of what came out of it {'is' if left == 1 else 'are'} open.")
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
    """Why somebody else has to close it, as a sentence; empty for who may."""
    if case.opened_by_id == by.pk:
        return "Somebody else than who opened the case has to close it."
    # Who says that something may stay does not also say that all is done.
    if by_hand(case).filter(settled_by=by).exists():
        return (
            "You said of something in this case that it is covered or replaced: somebody else has "
            "to look at that and close it."
        )
    return ""


def by_hand(case: WithdrawalCase) -> QuerySet[CaseItem]:
    """What a person said is covered or replaced, and was not worked out by the portal."""
    said = case.items.filter(outcome__in=(Outcome.COVERED, Outcome.RETRAINED))
    return said.exclude(settled_by=None)


@transaction.atomic
def settled(recordings: Collection[int], *, by: User | None) -> list[WithdrawalCase]:
    """Give back what was withheld while it was in question whose word it is, as far as every word
    is given now and was when it was withheld; the cases that withhold nothing any more.

    A permission that was given later is none for what had been made before. One that ended
    meanwhile has a case of its own.
    """
    at = commit_order.moment()
    left: dict[int, WithdrawalCase] = {}
    for mark in descendants.basis().marks(recordings):
        if mark.case.cause == Cause.IN_QUESTION and _stands_again(mark, at):
            descendants.basis().unmark(mark)
            left[mark.case.pk] = mark.case
    return [case for case in left.values() if _given_back(case, by=by, at=at)]


def _stands_again(mark: descendants.CaseMark, at: datetime) -> bool:
    asked = {pk for reliance in mark.reliances for pk in reliance.recordings}
    facts = known.gather(asked, Use(mark.case.use), at, now=True)
    return not any(
        lacks
        for reliance in mark.reliances
        for moment in (mark.hold.at, at)
        for lacks in losses.lacking(facts, reliance, moment).values()
    )


def _given_back(case: WithdrawalCase, *, by: User | None, at: datetime) -> bool:
    """Note what is heard again; true where nothing of the case is withheld any more."""
    withheld, _ = descendants.basis().marked(case)
    if not withheld:
        case.holds.update(lifted_at=at)
    still = {
        (node.kind, node.key)
        for level in descendants.descendants(withheld, [case.use])
        for node in level.nodes
    }
    back = [
        item
        for item in case.items.filter(outcome__in=(Outcome.OPEN, Outcome.WITHHELD))
        if (item.kind, item.key) not in still
    ]
    for item in back:
        item.outcome, item.note, item.settled_at = Outcome.COVERED, SETTLED_AGAIN, at
    CaseItem.objects.bulk_update(back, ["outcome", "note", "settled_at"], batch_size=AT_ONCE)
    case.tasks.filter(done_at=None).exclude(
        title__in=[descendants.kind(name).remedy for name in {kind for kind, _ in still}]
    ).update(done_at=at, done_by=by)
    _advance(case)
    audit.record(by=by, verb="hold.lifted", subject=case, use=case.use, items=len(back))
    return not withheld


# What E5 is about; E4 is about everything else that came out of it.
HEARD = ("sample", "test", "clip")
NOTHING = "Nothing of the kind came out of it."


def _advance(case: WithdrawalCase) -> None:
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


def _lock(case: WithdrawalCase) -> WithdrawalCase:
    """The case as it is now, held until the transaction ends."""
    # In this order and not as a key: who opens a case adds to it within its turn (commit_order.py).
    commit_order.moment()
    case.refresh_from_db(from_queryset=WithdrawalCase.objects.select_for_update(no_key=True))
    return case


def _still_open(case: WithdrawalCase) -> None:
    if case.status in (Status.CLOSED, Status.REJECTED):
        raise Refused("closed", "This case is closed.")
