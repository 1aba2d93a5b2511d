"""Opt-outs: which grants a party's no to one use of one recording stands against.

It stands against every grant of that party's own, and for the party's own share against anybody's.
One thing takes it back: a later grant of the party's own for that very recording, for what that
grant allows and nothing else.

The rule is told twice, for two ask for it: `against` for who has the facts in hand (judging.py,
which decides; scopes.py; standing.py) and `_taken_back` for who asks the database (holds.py and the
pages). Whoever changes one changes the other: tests/rights/test_opt_outs.py holds them together.
"""

from collections.abc import Callable
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from rights.facts import PERSONA_USES
from rights.models import Credit, Grant, OptOut, RightType, RoleCode, SplitLine


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
    rows = OptOut.objects.filter(party=grant.grantor_id, use=grant.use)
    if grant.recording_id:
        rows = rows.filter(recording=grant.recording_id)
    elif grant.work_id:
        rows = rows.filter(recording__works=grant.work_id)
    return rows.filter(~_taken_back(Grant.objects.filter(pk=grant.pk)))


def standing(rows: QuerySet[OptOut]) -> QuerySet[OptOut]:
    """Those that the party has not taken back, for every right of its own that the use needs: a
    later grant of the master leaves the composition as it was."""
    given = Grant.objects.filter(ended_at=None).exclude(activated_at=None)
    stands = ~Q(_taken_back(given))
    for right in RightType:
        needs = Q(_shares(right)) & ~Q(_taken_back(given.filter(right_type=right)))
        if right == RightType.PERSONA:
            needs &= Q(use__in=PERSONA_USES)
        stands |= needs
    return rows.filter(stands)


def _shares(right: RightType) -> Exists:
    """Of an opt-out: that its party has a part in this right in the recording."""
    party, recording = OuterRef("party"), OuterRef("recording")
    if right == RightType.PERSONA:
        return Exists(
            Credit.objects.filter(party=party, recording=recording, role=RoleCode.MAIN_ARTIST)
        )
    lines = SplitLine.objects.filter(party=party, sheet__superseded_at=None)
    if right == RightType.MASTER:
        return Exists(lines.filter(sheet__recording=recording))
    return Exists(lines.filter(sheet__work__recordings=recording))
