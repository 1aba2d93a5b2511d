"""Whose voice and person is in a recording: who is asked for the uses of a person.

One table says it (`asks` in backline/uses.py, rights/models/personal.py), for the judge and for
everybody who looks ahead of it or back: holds, offers, opt-outs, pages, imports. Each person speaks
alone; no mandate and no group speaks for them. What is no person is asked through its members, each
of them; where nobody has said who they are, nobody can allow anything.
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
    """The credits in recordings by which these persons are asked: their own, and those of groups
    that they belong to. One who is no person is not asked, whatever it is credited as."""
    asked = asked_for_any() if use is None else asked_for(use)
    rows = Credit.objects.filter(asked).exclude(recording=None)
    person = Party.Kind.PERSON
    if isinstance(parties, OuterRef):
        mine = Q(party=parties, party__kind=person)
        links = GroupMember.objects.filter(group=OuterRef("party"), member=OuterRef(parties))
    else:
        mine = Q(party__in=parties, party__kind=person)
        links = GroupMember.objects.filter(group=OuterRef("party"), member__in=parties)
    return rows.filter(mine | (Exists(links) & ~Q(party__kind=person)))


def asked_in(recordings: Collection[int], use: str | None = None) -> set[tuple[int, int]]:
    """Recording and person: each who is asked, groups by those of their members who are known."""
    asked = asked_for_any() if use is None else asked_for(use)
    rows = Credit.objects.filter(asked, recording__in=recordings)
    person = Party.Kind.PERSON
    alone = rows.filter(party__kind=person).values_list("recording", "party")
    groups = rows.exclude(party__kind=person).exclude(party__members=None)
    members = groups.values_list("recording", "party__members__member")
    return {(pk, party) for pk, party in (*alone, *members) if pk is not None and party is not None}


def is_asked(party: Party, recording: int, use: str) -> bool:
    return credits_of([party.pk], use).filter(recording=recording).exists()


def speaks_through_members(party: Party) -> bool:
    """Whether uses of a person ask its members: of a group, and of whatever else that is no person
    and is credited as if it were one."""
    if party.kind in (Party.Kind.PERSON, Party.Kind.GROUP):
        return party.kind == Party.Kind.GROUP
    return Credit.objects.filter(asked_for_any(), party=party).exclude(recording=None).exists()


def members(group: Party) -> QuerySet[GroupMember]:
    return GroupMember.objects.filter(group=group).select_related("member", "entered_by")
