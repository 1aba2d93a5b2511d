"""Opt-outs: which grants a party's no to one use of one recording stands against.

It stands against every grant of that party's own, and for the party's own share against anybody's.
One thing takes it back: a later grant of the party's own for that very recording, for what that
grant allows and nothing else.

The rule is told twice, for two ask for it: `against` for who has the facts in hand (evaluator.py,
which decides; allowances.py; use_status.py) and `_taken_back` for who asks the database (holds.py
and the pages). Whoever changes one changes the other: tests/rights/consent/test_opt_outs.py holds
them together.
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
    last_no: Callable[[int], datetime | None],
    *,
    holder: int,
    grantor: int,
    named: bool,
    given: datetime | None,
) -> datetime | None:
    """Since when a no to a recording keeps this holder's share of it out of a grant: the holder's,
    stronger than what somebody else grants for it, or the grantor's own.

    `last_no` has the last no of a party to the recording. The grant is for that very recording
    (`named`) or a wider one, and was put in force at `given`. In SQL it is `_taken_back`.
    """
    for party in (holder, grantor):
        said = last_no(party)
        if said is None:
            continue
        if not (party == grantor and named and given is not None and given > said):
            return said
    return None


def _taken_back(grants: QuerySet[Grant]) -> Exists:
    """The same rule of rows of OptOut: that one of these grants takes the no back. An offer counts
    from its draft on: it is asked what would be left out of it."""
    later = grants.alias(given=Coalesce("activated_at", "created_at")).filter(
        grantor=OuterRef("party"),
        recording=OuterRef("recording"),
        use=OuterRef("use"),
        given__gt=OuterRef("at"),
    )
    return Exists(later)


def of_grantor(grant: Grant) -> QuerySet[OptOut]:
    """What the grantor itself has said no to, as far as it stands against the grant."""
    return _about(grant).filter(party=grant.grantor_id)


def keeping_out_of(grant: Grant) -> QuerySet[OptOut]:
    """The last no of each party to each recording that keeps something out of the grant: its
    grantor's and, until it ends, those of the holders whom it speaks for, to recordings where it
    does. Of other parties and other music it tells nothing."""
    holders = [row.holder_id for row in mandates_of_agent(grant)]
    shares = _shares(RightType(grant.right_type), use=grant.use, work=grant.work_id)
    rows = _about(grant).filter(party__in=[grant.grantor_id, *holders])
    rows = latest(rows.filter(Q(party=grant.grantor_id) | Q(shares)))
    return rows.select_related("party", "recording")


def mandates_of_agent(grant: Grant) -> list[Mandate]:
    """The mandates by which its grantor is others' agent today, for the grant's right and in one
    of its places; none once it has ended."""
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
    """The noes, whoever's, to what the grant is about, less those that it takes back."""
    rows = OptOut.objects.filter(use=grant.use)
    if grant.recording_id:
        rows = rows.filter(recording=grant.recording_id)
    elif grant.work_id:
        rows = rows.filter(recording__works=grant.work_id)
    return rows.filter(~_taken_back(Grant.objects.filter(pk=grant.pk)))


def latest(rows: QuerySet[OptOut]) -> QuerySet[OptOut]:
    """The last no of each party to each use of each recording: the earlier ones add nothing."""
    again = OptOut.objects.filter(
        party=OuterRef("party"), recording=OuterRef("recording"), use=OuterRef("use"),
        at__gt=OuterRef("at"),
    )  # fmt: skip
    return rows.filter(~Exists(again))


def eased_by_later_grants(rows: QuerySet[OptOut]) -> QuerySet[OptOut]:
    """Of the last noes those that a later grant of the party's own eases: for the right and the
    scope of that grant and no further, so that they are told with what was allowed (`told`)."""
    return latest(rows).filter(_taken_back(_activated_grants()))


@dataclass(frozen=True)
class OptOutWithGrants:
    """A no as a page tells it: what the party has allowed of it since, and nothing else is."""

    no: OptOut
    since: list[Grant]


def opt_outs_with_grants(rows: QuerySet[OptOut]) -> list[OptOutWithGrants]:
    """The last noes, newest first, each with the party's own grants that speak in spite of it."""
    noes = list(latest(rows).select_related("party"))
    own = _activated_grants().filter(
        grantor__in={no.party_id for no in noes}, recording__in={no.recording_id for no in noes}
    )
    grants = list(own.order_by("pk"))
    return [OptOutWithGrants(no, [grant for grant in grants if _eases(grant, no)]) for no in noes]


def _eases(grant: Grant, no: OptOut) -> bool:
    """Whether the grant is the party's own yes to the same, and the no not against it."""
    same = (grant.grantor_id, grant.recording_id, grant.use)
    if same != (no.party_id, no.recording_id, no.use):
        return False
    found = against(
        lambda _: no.at, holder=no.party_id, grantor=grant.grantor_id, named=True,
        given=grant.activated_at,
    )  # fmt: skip
    return found is None


def _activated_grants() -> QuerySet[Grant]:
    """Grants that were put in force and have not ended, pausing ones too."""
    return Grant.objects.filter(ended_at=None).exclude(activated_at=None)


def still_against(rows: QuerySet[OptOut]) -> QuerySet[OptOut]:
    """Those that the party has not taken back for every right of its own that the use needs, in
    whatever scope: a later grant of the master leaves the composition as it was. Who asks whether
    there is anything to say no to asks this; a page tells the scope as well (`told`)."""
    given = _activated_grants()
    stands = ~Q(_taken_back(given))
    for right in RightType:
        needs = ~Q(_taken_back(given.filter(right_type=right)))
        if right == RightType.PERSONA:
            asked = (Q(_shares(right, use=use), use=use) for use in sorted(PERSONA_USES))
            needs &= reduce(or_, asked)
        else:
            needs &= Q(_shares(right))
        stands |= needs
    return rows.filter(stands)


def _shares(right: RightType, *, use: str | None = None, work: int | None = None) -> Exists:
    """Of an opt-out: that its party has a part in this right in the recording; of the compositions
    in it, in this work; of the persons in it, one that this use asks."""
    party, recording = OuterRef("party"), OuterRef("recording")
    if right == RightType.PERSONA:
        asked = persons.credits_of(party, use)
        return Exists(asked.filter(recording=recording))
    lines = SplitLine.objects.filter(party=party, sheet__superseded_at=None)
    if right == RightType.MASTER:
        return Exists(lines.filter(sheet__recording=recording))
    named = Q(sheet__work=work) if work else Q()
    return Exists(lines.filter(named, sheet__work__recordings=recording))
