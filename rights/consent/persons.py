"""Whose voice or person is in a recording: who is asked for the uses of a person.

One table defines it (`asks` in backline/uses.py, rights/models/personal.py), for the judge and for
everything that looks ahead of it or back: holds, offers, opt-outs, pages, imports. Each person
decides alone; no mandate and no group decides for them. A party that is not a person is asked
through each of its members; until somebody has named them, nobody can allow anything.
"""

from collections.abc import Collection

from django.db.models import Exists, OuterRef, Q, QuerySet

from rights.models import Credit, GroupMember, Party
from rights.models.personal import PERSONA_USES, asked_for, asked_for_any

__all__ = [
    "PERSONA_USES", "asked_for", "asked_for_any", "asked_in", "credits_of", "is_asked", "members",
    "speaks_through_members",
]  # fmt: skip


def credits_of(parties: Collection[int] | OuterRef, use: str | None = None) -> QuerySet[Credit]:
    """Return the credits in recordings for which these persons are asked: their own, and those of
    groups that they belong to. A party that is not a person is not asked, whatever its credit."""
    asked_credits = asked_for_any() if use is None else asked_for(use)
    rows = Credit.objects.filter(asked_credits).exclude(recording=None)
    person = Party.Kind.PERSON
    if isinstance(parties, OuterRef):
        own = Q(party=parties, party__kind=person)
        memberships = GroupMember.objects.filter(group=OuterRef("party"), member=OuterRef(parties))
    else:
        own = Q(party__in=parties, party__kind=person)
        memberships = GroupMember.objects.filter(group=OuterRef("party"), member__in=parties)
    return rows.filter(own | (Exists(memberships) & ~Q(party__kind=person)))


def asked_in(recordings: Collection[int], use: str | None = None) -> set[tuple[int, int]]:
    """Return (recording, person) of all who are asked; a group stands for its known members."""
    asked_credits = asked_for_any() if use is None else asked_for(use)
    rows = Credit.objects.filter(asked_credits, recording__in=recordings)
    person = Party.Kind.PERSON
    individuals = rows.filter(party__kind=person).values_list("recording", "party")
    groups = rows.exclude(party__kind=person).exclude(party__members=None)
    members = groups.values_list("recording", "party__members__member")
    return {
        (pk, party)
        for pk, party in (*individuals, *members)
        if pk is not None and party is not None
    }


def is_asked(party: Party, recording: int, use: str) -> bool:
    return credits_of([party.pk], use).filter(recording=recording).exists()


def speaks_through_members(party: Party) -> bool:
    """Return whether uses of a person ask the party's members: true for a group, and for any other
    party that is not a person but is credited as if it were one."""
    if party.kind in (Party.Kind.PERSON, Party.Kind.GROUP):
        return party.kind == Party.Kind.GROUP
    return Credit.objects.filter(asked_for_any(), party=party).exclude(recording=None).exists()


def members(group: Party) -> QuerySet[GroupMember]:
    return GroupMember.objects.filter(group=group).select_related("member", "entered_by")
