"""A whole party withdraws: everything that it permits ends at once.

Not one withdrawal after another: grants that cover for each other end together, and each use and
policy is one case, however many grants there were.
"""

from collections import defaultdict

from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.database import commit_order
from portal.models import User
from rights.errors import Refused, required
from rights.models import (
    Grant,
    GrantSuspension,
    Mandate,
    Party,
    WithdrawalCase,
)
from rights.withdrawal import cases, losses

Status = Grant.Status
BATCH_SIZE = 1_000


def ending(party: Party) -> list[Grant]:
    """Return the grants that would end: in force, suspended or on offer."""
    statuses = (Status.ACTIVE, Status.SUSPENDED, Status.OFFERED)
    return list(party.grants.filter(status__in=statuses).select_related("grantor").order_by("pk"))


def agents(party: Party) -> list[Mandate]:
    """Return the mandates of those who go on signing for the party: their grants are their own, and
    end with the mandate."""
    rows = party.mandates_given.standing()
    today = timezone.now().date()
    return [row for row in rows.select_related("agent") if not row.ends_on or row.ends_on >= today]


@transaction.atomic
def leave(party: Party, *, by: User, reason: str) -> list[WithdrawalCase]:
    """End every grant of the party; return the cases opened. Raises Refused where it has none."""
    reason = required(reason, field="reason", longest=300)
    at = commit_order.moment()
    grants = ending(party)
    if not grants:
        raise Refused("nothing_granted", f"{party} permits nothing, so there is nothing to end.")
    in_force = [grant for grant in grants if grant.status != Status.OFFERED]
    # Worked out before anything ends: afterwards the grants cover nothing.
    lost = _lost(in_force)
    ids = [grant.pk for grant in grants]
    for start in range(0, len(ids), BATCH_SIZE):
        batch = ids[start : start + BATCH_SIZE]
        Grant.objects.filter(pk__in=batch).update(
            status=Status.WITHDRAWN, ended_at=at, end_reason=reason
        )
        GrantSuspension.objects.filter(grant__in=batch, until=None).update(until=at)
    for use in sorted({grant.use for grant in grants}):
        ended = [grant for grant in grants if grant.use == use]
        audit.record_each(
            by=by, verb="grant.withdrawn", subjects=ended, use=use, private={"reason": reason}
        )
    opened = [
        case
        for grant, loss in lost
        for case in cases.open_for(
            by=by,
            party=party,
            grant=grant,
            loss=loss,
            policy=losses.policy_of([grant]),
            reason=reason,
        )
    ]
    audit.record(
        by=by, verb="party.left", subject=party, grants=len(grants), private={"reason": reason}
    )
    return opened


def _lost(grants: list[Grant]) -> list[tuple[Grant, losses.Loss]]:
    """Return, for each use and policy, the grant with the shortest remedy time, and what is lost
    with them all."""
    groups: dict[tuple[str, str], list[Grant]] = defaultdict(list)
    for grant in grants:
        groups[grant.use, grant.withdrawal_policy].append(grant)
    soonest = [
        min(group, key=lambda grant: (grant.remedy_days, grant.pk)) for group in groups.values()
    ]
    return list(zip(soonest, losses.of_each(list(groups.values()), ending=grants), strict=True))
