"""The lifecycle of grants: put in force, suspended, withdrawn, expired; and opt-outs of recordings.

Every verb that ends a permission places holds on what it affects (rights/withdrawal/holds.py) and
opens the case of what follows (rights/withdrawal/cases.py), in the same transaction. An ended grant
never revives.
"""

from collections import defaultdict
from contextlib import suppress
from datetime import date, datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from portal import audit
from portal.database import commit_order
from portal.models import Role, User
from rights import days
from rights.consent import opt_outs
from rights.errors import Refused, required
from rights.models import (
    Grant,
    GrantSuspension,
    Mandate,
    OptOut,
    Party,
    Recording,
    Use,
)
from rights.parties import parties
from rights.withdrawal import cases, holds, losses

Status = Grant.Status


@transaction.atomic
def activate(grant: Grant, by: User) -> Grant:
    """Put an offered grant in force; the version it replaces ends.

    Raises Refused for whoever drafted it, and for a grant that is not on offer.
    """
    if not may_approve(grant, by):
        raise Refused(
            "four_eyes",
            "Who drafts a grant does not approve it: a rights admin or somebody who speaks for "
            f"{grant.grantor} other than {grant.drafted_by.display_name} does.",
        )
    if grant.ends_on and grant.ends_on < timezone.now().date():
        raise Refused("ended", f"This grant ended on {grant.ends_on}. Draft a new one.")
    updated = Grant.objects.filter(pk=grant.pk, status=Status.OFFERED).update(
        status=Status.ACTIVE, approved_by=by, activated_at=commit_order.moment()
    )
    grant.refresh_from_db()
    if not updated:
        raise Refused(
            "state",
            f"This grant is {grant.get_status_display().lower()}; only an offered one can be put "
            "in force. Ended grants never revive: draft a new one.",
        )
    audit.record(by=by, verb="grant.activated", subject=grant, use=grant.use)
    _end_replaced(grant, by)
    return grant


def _end_replaced(grant: Grant, by: User | None, on: date | None = None) -> None:
    """End the version that the grant replaces, from the day on which the new terms begin. Until
    then the old ones permit what they did (evaluator.Judge.replaced)."""
    old = grant.replaces
    if (
        old is None
        or old.status not in Grant.OPEN_STATUSES
        or grant.starts_on > (on or timezone.now().date())
    ):
        return
    _end(
        old,
        by=by,
        status=Status.SUPERSEDED,
        reason=f"Version {grant.version} took its place.",
        verb="grant.superseded",
    )


def may_approve(grant: Grant, by: User) -> bool:
    """Return whether this person may approve the grant (four eyes): not who drafted it, and only
    the lab if a holder's own people offered it."""
    if by.pk == grant.drafted_by_id or not may_act_on(grant, by):
        return False
    if by.has_role(Role.RIGHTS_ADMIN):
        return True
    return not grant.grantor.people.filter(pk=grant.drafted_by_id).exists()


def may_act_on(grant: Grant, by: User) -> bool:
    """Return whether this person may act on the grant: rights admins and its grantor's people."""
    return by.has_role(Role.RIGHTS_ADMIN) or grant.grantor.people.filter(pk=by.pk).exists()


@transaction.atomic
def suspend(grant: Grant, by: User | None, reason: str) -> Grant:
    """Suspend a grant: it permits nothing until `resume`. What runs goes on: nothing has ended."""
    reason = required(reason, field="reason", longest=300)
    at = commit_order.moment()
    _move(grant, Status.ACTIVE, Status.SUSPENDED, "Only an active grant can be suspended.")
    GrantSuspension.objects.create(grant=grant, reason=reason, made_by=by, since=at)
    audit.record(by=by, verb="grant.suspended", subject=grant, private={"reason": reason})
    return grant


@transaction.atomic
def resume(grant: Grant, by: User | None, reason: str = "") -> Grant:
    """Resume a suspended grant: it permits again what it permitted."""
    at = commit_order.moment()
    _move(grant, Status.SUSPENDED, Status.ACTIVE, "This grant is not suspended.")
    grant.suspensions.filter(until=None).update(until=at)
    audit.record(by=by, verb="grant.resumed", subject=grant, private={"reason": reason.strip()})
    return grant


def _move(grant: Grant, old: Status, new: Status, refusal: str) -> None:
    if not Grant.objects.filter(pk=grant.pk, status=old).update(status=new):
        raise Refused("state", refusal)
    grant.refresh_from_db()


@transaction.atomic
def withdraw(grant: Grant, by: User | None, reason: str) -> Grant:
    """End a grant for good, from now on; put what relies on it on hold, and open a case."""
    reason = required(reason, field="reason", longest=300)
    commit_order.moment()
    grant.refresh_from_db()
    if in_force(grant):
        # It may have begun since the last `expire_due`: the older version ends first.
        _end_replaced(grant, None)
    # A withdrawal ends what was to follow too, drafted or to begin on a later day.
    for later in grant.next_versions.exclude(ended_at__isnull=False):
        offered = later.status == Status.OFFERED
        if offered or later.starts_on > timezone.now().date():
            verb = "grant.declined" if offered else "grant.withdrawn"
            _end(later, by=by, status=Status.WITHDRAWN, reason=reason, verb=verb)
    _end(grant, by=by, status=Status.WITHDRAWN, reason=reason, verb="grant.withdrawn")
    return grant


@transaction.atomic
def decline(grant: Grant, by: User, reason: str) -> Grant:
    """Decline an offer, or take it back: it never comes into force.

    Raises Refused for somebody who may not act on it, and for a grant that is not on offer.
    """
    reason = required(reason, field="reason", longest=300)
    if not may_act_on(grant, by):
        raise Refused("not_yours", f"You do not speak for {grant.grantor}.")
    commit_order.moment()
    if not Grant.objects.filter(pk=grant.pk, status=Status.OFFERED).exists():
        raise Refused("state", "Only an offer can be declined; what is in force is withdrawn.")
    _end(grant, by=by, status=Status.WITHDRAWN, reason=reason, verb="grant.declined")
    return grant


@transaction.atomic
def opt_out(recording: Recording, use: str, party: Party, by: User | None, reason: str) -> int:
    """Opt the party's recording out of this use: it ends what covers it now, and stands against
    whatever is granted for it later (models.OptOut). Return how many grants it affects.

    A grant for this recording alone is withdrawn; one for a catalogue or a work, or of an agent of
    the party, leaves the recording out: a holder's opt-out is stronger than an agent's grant.
    Raises Refused where the party has no right in it, or has opted out already.
    """
    reason = required(reason, field="reason", longest=300)
    at = commit_order.moment()
    affected = covering(recording, use, party)
    if not affected:
        _check_may_opt_out(recording, use, party)
    wider = []
    for grant in affected:
        if grant.recording_id == recording.pk and grant.grantor_id == party.pk:
            _end(grant, by=by, status=Status.WITHDRAWN, reason=reason, verb="grant.withdrawn")
        else:
            wider.append(grant)
    # Before the opt-out is stored: afterwards there is nothing to lose any more.
    losses_by_grant = [
        (grant, losses.of_opt_out(party, recording, [grant])) for grant in wider if in_force(grant)
    ]
    refusal = OptOut.objects.create(
        party=party, recording=recording, use=use, reason=reason, made_by=by, at=at
    )
    for grant in wider:
        audit.record(
            by=by,
            verb="grant.excluded",
            subject=grant,
            recording=recording.pk,
            private={"reason": reason},
        )
    for grant, loss in losses_by_grant:
        _open_case(grant, refusal, loss)
    audit.record(
        by=by,
        verb="recording.opted_out",
        subject=recording,
        use=str(use),
        party=party.pk,
        private={"reason": reason},
    )
    return len(affected)


def _check_may_opt_out(recording: Recording, use: str, party: Party) -> None:
    if not holds.rights_of(party, recording, use):
        raise Refused("no_right", f"{party} holds nothing in “{recording}” that this use needs.")
    refusals = OptOut.objects.filter(party=party, recording=recording, use=use)
    if opt_outs.not_taken_back(refusals).exists():
        raise Refused(
            "opted_out",
            f"{party} has opted “{recording}” out of this use already, so nothing is to end.",
        )


def covering(recording: Recording, use: str, party: Party) -> list[Grant]:
    """Return the open grants (offered too) by which the party's share in this recording is allowed
    for this use: its own, and those of its agents."""
    mandates = Mandate.objects.standing().filter(holder=party)
    rights_of: dict[int, set[str]] = defaultdict(set)
    for mandate in mandates:
        rights_of[mandate.agent_id].update(mandate.right_types)
    grants = Grant.objects.filter(
        grantor__in=[party.pk, *rights_of], use=use, status__in=Grant.OPEN_STATUSES
    )
    # Without grants for other recordings: a party may have thousands of them.
    grants = grants.filter(Q(recording=None) | Q(recording=recording)).select_related(
        "grantor", "recording", "work"
    )

    own = [grant for grant in grants if grant.grantor_id == party.pk]
    unnamed = [grant for grant in own if grant.recording_id != recording.pk]
    # Its own speak also where it signs for somebody else, and those that name the recording where
    # its split is not entered yet.
    silent = {grant.pk for grant in unnamed} - holds.which_cover(unnamed, recording)

    def speaks(grant: Grant) -> bool:
        if grant.grantor_id == party.pk:
            return grant.pk not in silent
        signs = grant.right_type in rights_of[grant.grantor_id]
        return signs and holds.covers_share(grant, recording, party)

    return [grant for grant in grants if speaks(grant)]


def in_force(grant: Grant) -> bool:
    """Return whether it is in force, also while suspended: what was made under it goes on."""
    return grant.status in holds.STANDING


def _open_case(grant: Grant, refusal: OptOut, loss: losses.Loss) -> None:
    reason = refusal.reason
    if grant.grantor_id != refusal.party_id:
        # The case is the agent's, who does not see the reason that the holder gave the lab.
        reason = f"{refusal.party} opted “{refusal.recording}” out."
    cases.open_for(
        by=refusal.made_by,
        party=grant.grantor,
        grant=grant,
        loss=loss,
        policy=losses.policy_of([grant]),
        reason=reason,
    )


def expire_due(at: datetime | None = None) -> int:
    """End every grant and mandate whose last day has passed, and every version whose successor
    begins today; returns how many. Safe to call at any time."""
    day = days.day_of(at or timezone.now())
    ended = 0
    begun = Grant.objects.filter(
        status__in=holds.STANDING, starts_on__lte=day,
        replaces__status__in=Grant.OPEN_STATUSES,
    )  # fmt: skip
    for grant in begun.select_related("replaces__grantor"):
        with transaction.atomic(), suppress(Refused):
            _end_replaced(grant, None, day)
            ended += 1
    due = Grant.objects.filter(status__in=holds.STANDING, ends_on__lt=day).select_related("grantor")
    for grant in due:
        with transaction.atomic():
            try:
                _end(
                    grant,
                    by=None,
                    status=Status.EXPIRED,
                    reason=f"It was granted until {grant.ends_on}.",
                    verb="grant.expired",
                )
            except Refused:
                # Someone else ended it between the list and the lock.
                continue
            ended += 1
    for mandate in Mandate.objects.filter(revoked_at=None, ends_on__lt=day):
        with transaction.atomic(), suppress(Refused):
            parties.end_mandate(mandate, by=None, reason=f"It ran until {mandate.ends_on}.")
            ended += 1
    return ended


def _end(grant: Grant, *, by: User | None, status: Status, reason: str, verb: str) -> None:
    """Compare-and-set to an ended state, with its case, its holds and its audit line."""
    at = commit_order.moment()
    was_in_force = Grant.objects.filter(pk=grant.pk, status__in=holds.STANDING).exists()
    # Computed before the grant ends: afterwards it covers nothing.
    loss = losses.of_grants([grant]) if was_in_force else losses.Loss(Use(grant.use))
    updated = Grant.objects.filter(pk=grant.pk, status__in=Grant.OPEN_STATUSES).update(
        status=status, ended_at=at, end_reason=reason
    )
    grant.refresh_from_db()
    if not updated:
        raise Refused(
            "state",
            f"This grant is {grant.get_status_display().lower()} already, since "
            f"{grant.ended_at:%Y-%m-%d}."
            if grant.ended_at
            else "This grant has ended already.",
        )
    grant.suspensions.filter(until=None).update(until=at)
    audit.record(by=by, verb=verb, subject=grant, use=grant.use, private={"reason": reason})
    cases.open_for(
        by=by,
        party=grant.grantor,
        grant=grant,
        loss=loss,
        policy=losses.policy_of([grant]),
        reason=reason,
    )
