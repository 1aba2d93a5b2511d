"""Opt-outs: which grants a party's opt-out from one use of one recording stands against.

It stands against every grant by that party, and for the party's own share against anybody's.
Only one thing takes it back: a later grant by the party for that very recording, for what that
grant allows and nothing else.

The rule is written twice: `against` for code that has the facts in memory (evaluator.py, which
decides; allowances.py; use_status.py), and `_taken_back` for database queries (holds.py and the
pages). Whoever changes one changes the other: tests/rights/consent/test_opt_outs.py compares them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from rights import territories
from rights.consent import persons
from rights.consent.persons import PERSONA_USES
from rights.models import Grant, Mandate, OptOut, RightType, SplitLine


def against(
    last_opt_out: Callable[[int], datetime | None],
    *,
    holder: int,
    grantor: int,
    named: bool,
    activated_at: datetime | None,
) -> datetime | None:
    """Return since when an opt-out keeps this holder's share of a recording out of a grant: the
    holder's opt-out, stronger than somebody else's grant for it, or the grantor's own.

    `last_opt_out` returns a party's last opt-out from the recording. The grant is for that very
    recording (`named`) or a wider one, and was put in force at `activated_at`. `_taken_back` is the
    same in SQL.
    """
    for party in (holder, grantor):
        opted_out_at = last_opt_out(party)
        if opted_out_at is None:
            continue
        if not (
            party == grantor and named and activated_at is not None and activated_at > opted_out_at
        ):
            return opted_out_at
    return None


def _taken_back(grants: QuerySet[Grant]) -> Exists:
    """Return the same rule for rows of OptOut: one of these grants takes the opt-out back. An offer
    counts from its draft on, to show what it would leave out."""
    later = grants.alias(given=Coalesce("activated_at", "created_at")).filter(
        grantor=OuterRef("party"),
        recording=OuterRef("recording"),
        use=OuterRef("use"),
        given__gt=OuterRef("at"),
    )
    return Exists(later)


def of_grantor(grant: Grant) -> QuerySet[OptOut]:
    """Return the grantor's own opt-outs, as far as they stand against the grant."""
    return _about(grant).filter(party=grant.grantor_id)


def keeping_out_of(grant: Grant) -> QuerySet[OptOut]:
    """Return the last opt-out of each party from each recording that keeps something out of the
    grant: the grantor's and, until the grant ends, those of the holders for whom it speaks, from
    recordings where it does. Other parties and other music are left out."""
    holders = [row.holder_id for row in mandates_of_agent(grant)]
    shares = _shares(RightType(grant.right_type), use=grant.use, work=grant.work_id)
    rows = _about(grant).filter(party__in=[grant.grantor_id, *holders])
    rows = latest(rows.filter(Q(party=grant.grantor_id) | Q(shares)))
    return rows.select_related("party", "recording")


def mandates_of_agent(grant: Grant) -> list[Mandate]:
    """Return the mandates by which the grantor is an agent of others today, for the grant's right
    and in one of its territories; none once the grant has ended."""
    if grant.ended_at is not None:
        return []
    today = timezone.now().date()
    mandates = Mandate.objects.standing().filter(agent=grant.grantor_id)
    return [
        row
        for row in mandates.select_related("holder")
        if grant.right_type in row.right_types
        and row.covers_day(today)
        and territories.meet(row.territories, grant.territories)
    ]


def _about(grant: Grant) -> QuerySet[OptOut]:
    """Return anybody's opt-outs from what the grant is about, less those that it takes back."""
    rows = OptOut.objects.filter(use=grant.use)
    if grant.recording_id:
        rows = rows.filter(recording=grant.recording_id)
    elif grant.work_id:
        rows = rows.filter(recording__works=grant.work_id)
    return rows.filter(~_taken_back(Grant.objects.filter(pk=grant.pk)))


def latest(rows: QuerySet[OptOut]) -> QuerySet[OptOut]:
    """Return each party's last opt-out from each use of each recording: earlier ones add
    nothing."""
    later = OptOut.objects.filter(
        party=OuterRef("party"), recording=OuterRef("recording"), use=OuterRef("use"),
        at__gt=OuterRef("at"),
    )  # fmt: skip
    return rows.filter(~Exists(later))


def eased_by_later_grants(rows: QuerySet[OptOut]) -> QuerySet[OptOut]:
    """Return the last opt-outs that a later grant by the same party eases: for the right and the
    scope of that grant only, so pages show them with what was allowed (`opt_outs_with_grants`)."""
    return latest(rows).filter(_taken_back(_activated_grants()))


@dataclass(frozen=True)
class OptOutWithGrants:
    """An opt-out as a page shows it; `since` is what the party has allowed after it, no more."""

    opt_out: OptOut
    since: list[Grant]


def opt_outs_with_grants(rows: QuerySet[OptOut]) -> list[OptOutWithGrants]:
    """Return the last opt-outs, newest first, each with the party's own grants that ease it."""
    opt_outs = list(latest(rows).select_related("party"))
    own_grants = _activated_grants().filter(
        grantor__in={opt_out.party_id for opt_out in opt_outs},
        recording__in={opt_out.recording_id for opt_out in opt_outs},
    )
    grants = list(own_grants.order_by("pk"))
    return [
        OptOutWithGrants(opt_out, [grant for grant in grants if _eases(grant, opt_out)])
        for opt_out in opt_outs
    ]


def _eases(grant: Grant, opt_out: OptOut) -> bool:
    """Return whether the grant is the party's own for the same use, and the opt-out not against
    it."""
    subject = (grant.grantor_id, grant.recording_id, grant.use)
    if subject != (opt_out.party_id, opt_out.recording_id, opt_out.use):
        return False
    blocked_since = against(
        lambda _: opt_out.at, holder=opt_out.party_id, grantor=grant.grantor_id, named=True,
        activated_at=grant.activated_at,
    )  # fmt: skip
    return blocked_since is None


def _activated_grants() -> QuerySet[Grant]:
    """Return the grants that were put in force and have not ended, suspended ones included."""
    return Grant.objects.filter(ended_at=None).exclude(activated_at=None)


def not_taken_back(rows: QuerySet[OptOut]) -> QuerySet[OptOut]:
    """Return the opt-outs that the party has not taken back for every right of its own that the use
    needs, in whatever scope: a later grant of the master leaves the composition as it was. This
    tells whether there is anything left to opt out of; a page shows the scope as well
    (`opt_outs_with_grants`)."""
    grants = _activated_grants()
    standing = ~Q(_taken_back(grants))
    for right in RightType:
        right_open = ~Q(_taken_back(grants.filter(right_type=right)))
        if right == RightType.PERSONA:
            persona_shares = (Q(_shares(right, use=use), use=use) for use in sorted(PERSONA_USES))
            right_open &= reduce(or_, persona_shares)
        else:
            right_open &= Q(_shares(right))
        standing |= right_open
    return rows.filter(standing)


def _shares(right: RightType, *, use: str | None = None, work: int | None = None) -> Exists:
    """Return the condition on an opt-out that its party has a share in this right in the recording:
    for compositions, in this work; for persons, as one whom this use asks."""
    party, recording = OuterRef("party"), OuterRef("recording")
    if right == RightType.PERSONA:
        persona_credits = persons.credits_of(party, use)
        return Exists(persona_credits.filter(recording=recording))
    lines = SplitLine.objects.filter(party=party, sheet__superseded_at=None)
    if right == RightType.MASTER:
        return Exists(lines.filter(sheet__recording=recording))
    in_work = Q(sheet__work=work) if work else Q()
    return Exists(lines.filter(in_work, sheet__work__recordings=recording))
