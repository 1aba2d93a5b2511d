"""Members of a group: entered one by one, and declared complete by the lab.

A group has no voice of its own: for uses of a person each member is asked (persons.py). Members are
only added. Until the lab has declared that these are all, nobody can allow such a use.
"""

from datetime import date

from django.db import transaction

from portal import audit
from portal.database import commit_order
from portal.models import User
from rights.consent import persons
from rights.errors import Refused
from rights.models import Credit, GroupMember, Party
from rights.withdrawal import cases, losses


@transaction.atomic
def add(
    *,
    by: User | None,
    group: Party,
    member: Party,
    joined_on: date | None = None,
    left_on: date | None = None,
) -> GroupMember:
    """Add a present or former member to the group; what its other members have permitted of their
    persons then waits for this member's permission too. Raises Refused."""
    at = commit_order.moment()
    group.refresh_from_db()
    member.refresh_from_db()
    if group.kind == Party.Kind.PERSON:
        raise Refused("group", f"{group} is a person, who has no members.", field="member")
    if member.kind != Party.Kind.PERSON:
        raise Refused(
            "member",
            f"{member} is no person, so it has no voice. Enter each of its people instead.",
            field="member",
        )
    if group.members.filter(member=member).exists():
        raise Refused("duplicate", f"{member} is among its members already.", field="member")
    if joined_on and left_on and left_on < joined_on:
        raise Refused("left_on", "The day of leaving lies before that of joining.", field="left_on")
    watch = watch_credits(group)
    membership = GroupMember.objects.create(
        group=group,
        member=member,
        joined_on=joined_on,
        left_on=left_on,
        entered_by=by,
        created_at=at,
    )
    audit.record(by=by, verb="party.member_added", subject=group, member=member.pk)
    reason = f"{member} belongs to {group}."
    cases.open_for_findings(by=by, party=member, watch=watch, reason=reason[:300])
    return membership


@transaction.atomic
def declare_complete(*, by: User, group: Party) -> Party:
    """Declare that these are all present and former members. One found later can still be added."""
    at = commit_order.moment()
    group.refresh_from_db()
    if group.kind == Party.Kind.PERSON or not group.members.exists():
        raise Refused("members", f"No member of {group} is entered yet.")
    if not Party.objects.filter(pk=group.pk, members_complete_at=None).update(
        members_complete_at=at
    ):
        raise Refused("state", f"The members of {group} were said to be all already.")
    group.refresh_from_db()
    audit.record(
        by=by,
        verb="party.members_complete",
        subject=group,
        members=sorted(group.members.values_list("member", flat=True)),
    )
    cases.release_settled(credited_in(group), by=by)
    return group


def watch_credits(party: Party) -> losses.Watch:
    """Return a watch around a change in who speaks where the party is credited."""
    return losses.Watch(credited_in(party))


def credited_in(group: Party) -> set[int]:
    rows = Credit.objects.filter(persons.asked_for_any(), party=group).exclude(recording=None)
    return {pk for pk in rows.values_list("recording_id", flat=True) if pk is not None}
