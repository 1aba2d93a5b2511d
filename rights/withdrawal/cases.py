"""Withdrawal cases: from the end of a permission to the last thing derived from the music.

A case is opened here, in the transaction that ends the permission. What it contains is in
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
    BATCH_SIZE,
    SETTLED_OUTCOMES,
    add_tasks,
    advance,
    build_steps,
    list_items,
    refresh,
)
from rights.withdrawal.case_questions import release_settled
from rights.withdrawal.case_work import (
    assign,
    by_hand,
    close,
    mitigate,
    remedy,
    settle,
    why_not_close,
)
from rights.withdrawal.losses import AffectedSet, Loss, Policy, Watch

# One entry point: other packages call cases.<verb>, whichever module here defines it.
__all__ = [
    "SETTLED_OUTCOMES",
    "assign",
    "by_hand",
    "close",
    "mitigate",
    "open_for",
    "open_for_findings",
    "refresh",
    "refresh_cases",
    "release_settled",
    "remedy",
    "settle",
    "why_not_close",
]  # fmt: skip

Status = WithdrawalCase.Status
Cause = WithdrawalCase.Cause
# Several grants that end by one decision, within this time, are one case.
SAME_DECISION = timedelta(seconds=30)
# A closed case is watched for this long; anything derived later reopens it.
WATCHED_AFTER_CLOSING = timedelta(days=7)
# One pass over all cases takes at most this long; the next pass goes on.
PASS_SECONDS = 5.0


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
    """Open the cases of a permission that ends now, one for each policy under which something was
    made with the music, and enforce what is to be enforced at once. None where nothing is lost.

    `policy` is that of the permission that ends. Call it inside the transaction that ends it.
    """
    if not loss:
        return []
    groups: dict[Policy, list[AffectedSet]] = defaultdict(list)
    for affected in loss.affected:
        groups[policy if affected.stays else affected.policy].append(affected)
    # Music that nothing was made of goes into the case with the policy of what ends.
    main = policy if policy in groups or not groups else next(iter(groups))
    unused = set(loss.recordings).difference(*(affected.recordings for affected in loss.affected))
    opened = []
    for agreed, affected_sets in {main: groups[main], **groups}.items():
        lost = set().union(*(affected.recordings for affected in affected_sets))
        if agreed == main:
            lost |= unused
        case = _case_of(
            by=by, party=party, grant=grant, use=loss.use, policy=agreed, reason=reason[:300],
            cause=cause,
        )  # fmt: skip
        _enforce(case, by=by, lost=lost, affected=affected_sets, reason=reason, grant=grant)
        list_items(case)
        add_tasks(case)
        advance(case)
        opened.append(case)
    return opened


def open_for_findings(
    *, by: User | None, party: Party, watch: Watch, reason: str
) -> list[WithdrawalCase]:
    """Open the cases of a finding: it is uncertain whose permission is needed, or another
    permission is needed. What is settled later without a permission having ended is released
    (`release_settled`)."""
    return [
        case
        for loss in watch.losses()
        for case in open_for(
            by=by, party=party, loss=loss, policy=_found_policy(loss), reason=reason,
            cause=Cause.IN_QUESTION,
        )
    ]  # fmt: skip


def _found_policy(loss: Loss) -> Policy:
    return next((affected.policy for affected in loss.affected), losses.UNAGREED)


def _enforce(
    case: WithdrawalCase,
    *,
    by: User | None,
    lost: set[int],
    affected: list[AffectedSet],
    reason: str,
    grant: Grant | None,
) -> None:
    through = WithdrawalCase.recordings.through
    through.objects.bulk_create(
        [through(withdrawalcase_id=case.pk, recording_id=pk) for pk in sorted(lost)],
        ignore_conflicts=True,
        batch_size=BATCH_SIZE,
    )
    if case.policy == WithdrawalPolicy.NEXT_VERSION:
        lost = set()
    withheld = [affected for affected in affected if not affected.stays]
    to_hold = lost.union(*(affected.recordings for affected in withheld))
    placed_holds = holds.place_holds(
        by=by, case=case, recordings=to_hold, reason=reason, grant=grant
    )
    descendants.basis().mark(
        case,
        {affected.source: placed_holds[min(affected.recordings)] for affected in withheld},
        [affected.source for affected in affected if affected.stays],
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
    """Return the case that another grant of the same decision has just opened, or a new one."""
    at = commit_order.moment()
    same_decision = WithdrawalCase.objects.going_on().filter(
        party=party, use=use, reason=reason, policy=policy.name, cause=cause,
        opened_at__gte=at - SAME_DECISION,
    )  # fmt: skip
    # What was settled and is in question again gets another case.
    if case := same_decision.exclude(holds__lifted_at__isnull=False).first():
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
    CaseStep.objects.bulk_create(build_steps(case))
    audit.record(
        by=by,
        verb="case.opened",
        subject=case,
        grant=grant.pk if grant else None,
        use=use,
        policy=case.policy,
    )
    return case


def refresh_cases(now: datetime | None = None) -> int:
    """Refresh the cases where anything may have changed since the last pass; return how many.

    Safe to call at any time; where nothing has changed it costs one query for each kind.
    """
    since = (now or timezone.now()) - WATCHED_AFTER_CLOSING
    rows = WithdrawalCase.objects.filter(Q(closed_at=None) | Q(closed_at__gte=since))
    rows = rows.exclude(status=Status.REJECTED)
    if not rows.exists():
        return 0
    marks, began, refreshed = descendants.state_digest(), time.monotonic(), 0
    for case in rows.exclude(seen=marks).order_by("pk").iterator():
        if time.monotonic() - began > PASS_SECONDS:
            break
        refresh(case)
        WithdrawalCase.objects.filter(pk=case.pk).update(seen=marks)
        refreshed += 1
    return refreshed
