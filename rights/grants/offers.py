"""A holder's own choices: offering a use to the lab, and ending it everywhere."""

from collections.abc import Sequence
from datetime import date

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal import audit
from portal.database import commit_order
from portal.models import User
from rights import territories
from rights.consent import persons
from rights.errors import Refused, required
from rights.grants import agreements, lifecycle
from rights.models import (
    Agreement,
    Grant,
    Party,
    Purpose,
    Recording,
    RightType,
    SplitLine,
)
from rights.withdrawal import holds


@transaction.atomic
def offer(
    *,
    by: User,
    party: Party,
    use: str,
    recording: Recording | None = None,
    purposes: Sequence[str] = (Purpose.RESEARCH,),
    places: Sequence[str] = (territories.WORLD,),
    channels: Sequence[str] = (),
    ends_on: date | None = None,
) -> list[Grant]:
    """Offer a use for the party: one grant for each right it holds in the recording, or in all of
    its recordings. A rights admin puts them in force.

    Raises Refused for somebody who does not speak for the party, where there is no running
    agreement, where the party holds nothing, and where it is offered already.
    """
    if not party.people.filter(pk=by.pk).exists():
        raise Refused("not_yours", f"You do not speak for {party}.")
    agreement = running_agreement(party)
    if agreement is None:
        raise Refused(
            "no_agreement",
            f"{party} has no running agreement with the lab. Ask the lab for one first.",
        )
    rights = rights_of(party, use, recording)
    if not rights:
        raise Refused("no_right", f"{party} holds no right that this use needs.")
    covered = {grant.right_type for grant in _open(party, use, recording)}
    missing = [right for right in rights if right not in covered]
    if not missing:
        raise Refused("duplicate", f"{party} has offered this use already.")
    return [
        agreements.draft_grant(
            by=by,
            agreement=agreement,
            right_type=right,
            use=use,
            recording=recording,
            purposes=purposes,
            territories=places,
            channels=channels,
            ends_on=ends_on or agreement.ends_on,
        )
        for right in missing
    ]


@transaction.atomic
def end_everywhere(*, by: User, party: Party, use: str, reason: str) -> int:
    """End all that the party allows or offers for a use, for its whole catalogue.

    Returns how many grants ended. Raises Refused for somebody who does not speak for the party,
    and where there is nothing to end.
    """
    reason = required(reason, field="reason", longest=300)
    if not party.people.filter(pk=by.pk).exists():
        raise Refused("not_yours", f"You do not speak for {party}.")
    commit_order.moment()
    # The older version of a grant ends first, and takes the newer one with it.
    rows = list(open_grants(party, use).order_by("pk"))
    for grant in rows:
        grant.refresh_from_db()
        if grant.status == Grant.Status.OFFERED:
            lifecycle.decline(grant, by, reason)
        elif grant.status in Grant.OPEN_STATUSES:
            lifecycle.withdraw(grant, by, reason)
    if not rows:
        raise Refused(
            "nothing_granted", f"{party} has allowed nothing for this use, so nothing is to end."
        )
    audit.record(
        by=by,
        verb="party.use_ended",
        subject=party,
        use=str(use),
        grants=len(rows),
        private={"reason": reason},
    )
    return len(rows)


def running_agreement(party: Party) -> Agreement | None:
    """Return the newest agreement under which a grant may be drafted today."""
    today = timezone.now().date()
    rows = Agreement.objects.filter(counterparty=party, signed_on__lte=today)
    return rows.exclude(ends_on__lt=today).order_by("-signed_on", "-pk").first()


def rights_of(party: Party, use: str, recording: Recording | None = None) -> list[RightType]:
    """Return the rights of the party that a use needs, in one recording or in any of its own."""
    if recording is not None:
        return holds.rights_of(party, recording, use)
    lines = SplitLine.objects.filter(party=party, sheet__superseded_at=None)
    rights = []
    if lines.exclude(sheet__work=None).exists():
        rights.append(RightType.COMPOSITION)
    if lines.exclude(sheet__recording=None).exists():
        rights.append(RightType.MASTER)
    if use in persons.PERSONA_USES and persons.credits_of([party.pk], use).exists():
        rights.append(RightType.PERSONA)
    return rights


def open_grants(party: Party, use: str) -> QuerySet[Grant]:
    return Grant.objects.filter(grantor=party, use=use, status__in=Grant.OPEN_STATUSES)


def _open(party: Party, use: str, recording: Recording | None) -> list[Grant]:
    if recording is not None:
        return lifecycle.covering(recording, use, party)
    return list(open_grants(party, use).filter(recording=None, work=None))
