"""Withdrawal cases: from one change of mind to the last thing that came out of the music.

A case is opened here, in the transaction that ends the permission. What it holds is in
case_items.py, what people do in it in case_work.py, and how a question is settled without an ending
in case_questions.py.
"""

import time
from collections import defaultdict
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from portal import audit
from portal.database import commit_order
from portal.models import User
from rights.models import CaseStep, Grant, Party, WithdrawalCase, WithdrawalPolicy
from rights.withdrawal import descendants, holds, losses
from rights.withdrawal.case_items import (
    AT_ONCE,
    SETTLED,
    add_tasks,
    advance,
    ladder,
    list_items,
    refresh,
)
from rights.withdrawal.case_questions import settled
from rights.withdrawal.case_work import (
    assign,
    by_hand,
    close,
    mitigate,
    remedy,
    settle,
    why_not_close,
)
from rights.withdrawal.losses import Loss, Policy, Touched, Watch

# One door: the other rooms call cases.<verb>, wherever in this room it is written.
__all__ = [
    "SETTLED", "assign", "by_hand", "close", "look_after", "mitigate", "open_for",
    "open_for_findings", "refresh", "remedy", "settle", "settled", "why_not_close",
]  # fmt: skip

Status = WithdrawalCase.Status
Cause = WithdrawalCase.Cause
# Several grants that end by one word are one case.
ONE_WORD = timedelta(seconds=30)
# A case that was closed is looked at for so long: what comes late opens it again.
LATE = timedelta(days=7)
# How long one look at all cases takes at most; the next one goes on.
LOOK_SECONDS = 5.0


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
        list_items(case)
        add_tasks(case)
        advance(case)
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
    CaseStep.objects.bulk_create(ladder(case))
    audit.record(
        by=by,
        verb="case.opened",
        subject=case,
        grant=grant.pk if grant else None,
        use=use,
        policy=case.policy,
    )
    return case


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
