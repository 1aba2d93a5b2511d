"""Agreements and the grants made under them: offered, active, ended. An ended grant never revives.

Every verb that ends a permission leaves a hold on what it touches (rights/holds.py), in the
same transaction.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import IO

from django.db import transaction
from django.utils import timezone

from portal import audit, storage
from portal.models import User
from rights import holds, territories
from rights.models import (
    Agreement,
    Grant,
    GrantExclusion,
    Party,
    Purpose,
    Recording,
    RightType,
    Use,
    Work,
)
from rights.refused import Refused, required

Status = Grant.Status


def sign(
    *,
    by: User,
    counterparty: Party,
    title: str,
    signed_on: date,
    ends_on: date | None = None,
    terms: str = "",
    document: IO[bytes] | None = None,
    media_type: str = "application/pdf",
) -> Agreement:
    """Enter a signed paper; grants are then drafted under it."""
    title = required(title, field="title", longest=200)
    if signed_on > timezone.now().date():
        raise Refused("signed_on", "The day of signature lies in the future.", field="signed_on")
    if ends_on and ends_on < signed_on:
        raise Refused("ends_on", "The end lies before the signature.", field="ends_on")
    blob = storage.put(document, media_type=media_type) if document else None
    with transaction.atomic():
        agreement = Agreement.objects.create(
            title=title,
            counterparty=counterparty,
            document=blob,
            signed_on=signed_on,
            ends_on=ends_on,
            terms=terms.strip(),
            created_by=by,
        )
        audit.record(
            by=by,
            verb="agreement.signed",
            subject=agreement,
            counterparty=counterparty.pk,
            signed_on=signed_on.isoformat(),
            document=blob.sha256 if blob else None,
        )
    return agreement


@transaction.atomic
def draft_grant(
    *,
    by: User,
    agreement: Agreement,
    right_type: str,
    use: str,
    recording: Recording | None = None,
    work: Work | None = None,
    purposes: Sequence[str] = (Purpose.RESEARCH,),
    territories: Sequence[str] = (territories.WORLD,),
    model_family: str = "",
    starts_on: date | None = None,
    ends_on: date | None = None,
) -> Grant:
    """Offer one permission by the agreement's counterparty; it permits nothing until activated.

    It ends with its agreement at the latest. What the grantor has opted out of this use before
    stays out of a grant for a catalogue or a work; only a grant for that recording brings it back.
    """
    starts_on = starts_on or timezone.now().date()
    ends_on = ends_on or agreement.ends_on
    _check_scope(
        right_type=right_type,
        use=use,
        recording=recording,
        work=work,
        purposes=purposes,
        places=territories,
    )
    if ends_on and ends_on < starts_on:
        raise Refused("ends_on", "The end lies before the start.", field="ends_on")
    if agreement.ends_on and (ends_on is None or ends_on > agreement.ends_on):
        raise Refused(
            "ends_on",
            f"The agreement ends on {agreement.ends_on}; no grant outlives it.",
            field="ends_on",
        )
    grant = Grant.objects.create(
        agreement=agreement,
        grantor=agreement.counterparty,
        right_type=right_type,
        use=use,
        recording=recording,
        work=work,
        purposes=list(purposes),
        territories=list(territories),
        model_family=model_family.strip(),
        starts_on=starts_on,
        ends_on=ends_on,
        drafted_by=by,
    )
    if recording is None:
        _carry_exclusions(grant)
    audit.record(
        by=by,
        verb="grant.offered",
        subject=grant,
        grantor=grant.grantor_id,
        right=grant.right_type,
        use=grant.use,
        recording=grant.recording_id,
        work=grant.work_id,
        purposes=grant.purposes,
        territories=grant.territories,
        model_family=grant.model_family,
        starts_on=starts_on.isoformat(),
        ends_on=ends_on.isoformat() if ends_on else None,
    )
    return grant


def _check_scope(
    *,
    right_type: str,
    use: str,
    recording: Recording | None,
    work: Work | None,
    purposes: Collection[str],
    places: Collection[str],
) -> None:
    if right_type not in RightType.values:
        raise Refused("right_type", f"“{right_type}” is not a right.", field="right_type")
    if use not in Use.values:
        raise Refused("use", f"“{use}” is not a use.", field="use")
    if recording and work:
        raise Refused("subject", "Narrow a grant to a recording or to a work, not both.")
    if work and right_type != RightType.COMPOSITION:
        raise Refused("subject", "Only a composition can be narrowed to a work.", field="work")
    if not purposes or not set(purposes) <= set(Purpose.values):
        raise Refused("purposes", "Name at least one purpose of the list.", field="purposes")
    unknown = [place for place in places if not territories.known(place)]
    if not places or unknown:
        raise Refused(
            "territories",
            "Name at least one country of the list, or the world.",
            field="territories",
        )


def _carry_exclusions(grant: Grant) -> None:
    earlier = GrantExclusion.objects.filter(
        grant__grantor=grant.grantor, grant__use=grant.use
    ).order_by("created_at")
    reasons = {row.recording_id: row.reason for row in earlier}
    GrantExclusion.objects.bulk_create(
        GrantExclusion(grant=grant, recording_id=pk, reason=reason)
        for pk, reason in reasons.items()
    )


@transaction.atomic
def activate(grant: Grant, by: User | None) -> Grant:
    """Put an offered grant in force."""
    if grant.ends_on and grant.ends_on < timezone.now().date():
        raise Refused("ended", f"This grant ended on {grant.ends_on}. Draft a new one.")
    moved = Grant.objects.filter(pk=grant.pk, status=Status.OFFERED).update(
        status=Status.ACTIVE, activated_at=timezone.now()
    )
    grant.refresh_from_db()
    if not moved:
        raise Refused(
            "state",
            f"This grant is {grant.get_status_display().lower()}; only an offered one can be put "
            "in force. Ended grants never revive: draft a new one.",
        )
    audit.record(by=by, verb="grant.activated", subject=grant, use=grant.use)
    return grant


@transaction.atomic
def withdraw(grant: Grant, by: User | None, reason: str) -> Grant:
    """End a grant for good, from now on; what rests on it is put on hold."""
    reason = required(reason, field="reason", longest=300)
    _end(grant, by=by, status=Status.WITHDRAWN, reason=reason, verb="grant.withdrawn")
    return grant


@transaction.atomic
def opt_out(recording: Recording, use: str, party: Party, by: User | None, reason: str) -> int:
    """End the party's cover of this recording for this use; returns how many grants it touched.

    A grant for this recording alone is withdrawn; one for a catalogue or a work leaves the
    recording out from now on. Raises Refused where the party had allowed nothing.
    """
    reason = required(reason, field="reason", longest=300)
    touched = 0
    for grant in covering(recording, use, party):
        if grant.recording_id == recording.pk:
            _end(grant, by=by, status=Status.WITHDRAWN, reason=reason, verb="grant.withdrawn")
        else:
            _exclude(grant, recording, by=by, reason=reason)
        touched += 1
    if not touched:
        raise Refused(
            "nothing_granted", f"{party} has allowed nothing for this use, so nothing is to end."
        )
    audit.record(
        by=by,
        verb="recording.opted_out",
        subject=recording,
        use=str(use),
        party=party.pk,
        reason=reason,
    )
    return touched


def covering(recording: Recording, use: str, party: Party) -> list[Grant]:
    """The party's open grants (offered too) that speak for this recording and use."""
    grants = Grant.objects.filter(
        grantor=party, use=use, status__in=[Status.ACTIVE, Status.OFFERED]
    ).select_related("grantor", "recording", "work")
    return [grant for grant in grants if holds.covered_by(grant).filter(pk=recording.pk).exists()]


def _exclude(grant: Grant, recording: Recording, *, by: User | None, reason: str) -> None:
    # Asked before the row is written: afterwards the grant no longer covers the recording.
    lost = list(holds.lost_with(grant).filter(pk=recording.pk))
    GrantExclusion.objects.get_or_create(
        grant=grant, recording=recording, defaults={"reason": reason, "made_by": by}
    )
    audit.record(by=by, verb="grant.excluded", subject=grant, recording=recording.pk, reason=reason)
    if grant.status == Status.ACTIVE:
        holds.for_grant(by=by, grant=grant, reason=reason, recordings=lost)


def expire_due(at: datetime | None = None) -> int:
    """End every grant whose last day has passed; returns how many. Safe to call at any time."""
    at = at or timezone.now()
    due = Grant.objects.filter(status=Status.ACTIVE, ends_on__lt=at.date()).select_related(
        "grantor"
    )
    ended = 0
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
    return ended


def _end(grant: Grant, *, by: User | None, status: Status, reason: str, verb: str) -> None:
    """Compare-and-set to an ended state, with its holds and its audit line."""
    was_active = Grant.objects.filter(pk=grant.pk, status=Status.ACTIVE).exists()
    lost = list(holds.lost_with(grant)) if was_active else []
    moved = Grant.objects.filter(pk=grant.pk, status__in=[Status.ACTIVE, Status.OFFERED]).update(
        status=status, ended_at=timezone.now(), end_reason=reason
    )
    if not moved:
        grant.refresh_from_db()
        raise Refused(
            "state",
            f"This grant is {grant.get_status_display().lower()} already, since "
            f"{grant.ended_at:%Y-%m-%d}."
            if grant.ended_at
            else "This grant has ended already.",
        )
    grant.refresh_from_db()
    audit.record(by=by, verb=verb, subject=grant, use=grant.use, reason=reason)
    if was_active:
        holds.for_grant(by=by, grant=grant, reason=reason, recordings=lost)


@transaction.atomic
def offer(*, by: User, recording: Recording, use: str, party: Party) -> list[Grant]:
    """The party itself offers a recording for a use: one grant for each right it holds in it.

    Scoped to research in the whole world; a rights admin puts them in force. Raises Refused
    where there is no running agreement, or where it is offered already.
    """
    today = timezone.now().date()
    agreement = (
        Agreement.objects.filter(counterparty=party)
        .exclude(ends_on__lt=today)
        .order_by("-signed_on", "-pk")
        .first()
    )
    if agreement is None:
        raise Refused(
            "no_agreement",
            f"{party} has no running agreement with the lab. Ask a rights admin for one first.",
        )
    rights = holds.rights_of(party, recording, use)
    covered = {grant.right_type for grant in covering(recording, use, party)}
    missing = [right for right in rights if right not in covered]
    if not missing:
        raise Refused("duplicate", f"{party} has offered this use already.")
    return [
        draft_grant(by=by, agreement=agreement, right_type=right, use=use, recording=recording)
        for right in missing
    ]
