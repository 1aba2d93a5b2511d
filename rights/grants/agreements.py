"""Agreements, and the grants that are drafted under them. Drafts permit nothing yet: lifecycle.py
puts grants in force and ends them.
"""

from collections.abc import Collection, Sequence
from datetime import date
from typing import IO, Any

from django.db import transaction
from django.utils import timezone

from backline.uses import use_named
from portal import audit, storage
from portal.database import commit_order
from portal.database.rehearsal import rehearsed
from portal.inputs.text import clean_line, clean_prose
from portal.models import User
from rights import territories
from rights.errors import Refused, required
from rights.models import (
    Agreement,
    Channel,
    Grant,
    Party,
    Purpose,
    Recording,
    RightType,
    Use,
    WithdrawalPolicy,
    Work,
)

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
    withdrawal_policy: str = WithdrawalPolicy.RECALL,
    remedy_days: int = 90,
) -> Agreement:
    """Enter a signed agreement; grants are then drafted under it.

    What a withdrawal does, and in how many days, is fixed here for every grant under it.
    """
    title = required(title, field="title", longest=200)
    if signed_on > timezone.now().date():
        raise Refused("signed_on", "The day of signature lies in the future.", field="signed_on")
    if ends_on and ends_on < signed_on:
        raise Refused("ends_on", "The end lies before the signature.", field="ends_on")
    if withdrawal_policy not in WithdrawalPolicy.values:
        raise Refused(
            "policy", f"“{withdrawal_policy}” is not a policy.", field="withdrawal_policy"
        )
    if not 1 <= remedy_days <= 730:
        raise Refused("days", "Between 1 and 730 days.", field="remedy_days")
    blob = storage.put(document, media_type=media_type) if document else None
    with transaction.atomic():
        agreement = Agreement.objects.create(
            title=title,
            counterparty=counterparty,
            document=blob,
            signed_on=signed_on,
            ends_on=ends_on,
            terms=clean_prose(terms),
            withdrawal_policy=withdrawal_policy,
            remedy_days=remedy_days,
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
    first_version: int | None = None,
    last_version: int | None = None,
    products: Sequence[str] = (),
    channels: Sequence[str] = (),
    condition: str = "",
    starts_on: date | None = None,
    ends_on: date | None = None,
    replaces: Grant | None = None,
) -> Grant:
    """Offer one permission by the agreement's counterparty; it permits nothing until activated.

    It ends with its agreement at the latest.
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
        channels=channels,
    )
    if first_version and last_version and last_version < first_version:
        raise Refused("versions", "The last version lies before the first.", field="last_version")
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
        model_family=clean_line(model_family),
        first_version=first_version,
        last_version=last_version,
        products=[product for product in map(clean_line, products) if product],
        channels=list(channels),
        condition=clean_prose(condition),
        withdrawal_policy=agreement.withdrawal_policy,
        remedy_days=agreement.remedy_days,
        starts_on=starts_on,
        ends_on=ends_on,
        replaces=replaces,
        version=_next_number(replaces),
        drafted_by=by,
        created_at=commit_order.moment(),
    )
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
        versions=[first_version, last_version],
        products=grant.products,
        channels=grant.channels,
        conditional=bool(grant.condition),
        replaces=replaces.pk if replaces else None,
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
    channels: Collection[str],
) -> None:
    if right_type not in RightType.values:
        raise Refused("right_type", f"“{right_type}” is not a right.", field="right_type")
    if use_named(use) is None:
        raise Refused("use", f"“{use}” is not a use.", field="use")
    if recording and work:
        raise Refused("subject", "Narrow a grant to a recording or to a work, not both.")
    if work and right_type != RightType.COMPOSITION:
        raise Refused("subject", "Only a composition can be narrowed to a work.", field="work")
    if not purposes or not set(purposes) <= set(Purpose.values):
        raise Refused("purposes", "Name at least one purpose of the list.", field="purposes")
    unknown = [place for place in places if not territories.is_known(place)]
    if not places or unknown:
        raise Refused(
            "territories",
            "Name at least one country of the list, or the world.",
            field="territories",
        )
    if not set(channels) <= set(Channel.values):
        raise Refused("channels", "Choose channels of the list.", field="channels")
    if use == Use.DISTRIBUTE and not channels:
        raise Refused(
            "channels", "Distribution needs at least one channel it is for.", field="channels"
        )


@transaction.atomic
def change(grant: Grant, *, by: User, **scope: Any) -> Grant:
    """Draft the next version of a grant in another scope; `scope` as for `draft_grant`.

    The old version stays in force until the new one is, and is superseded by it then.
    """
    # When two people draft at once, the second sees the first draft, or that the grant has ended.
    commit_order.moment()
    grant.refresh_from_db()
    if grant.ended_at is not None:
        raise Refused("state", "Ended grants never revive: draft a new one.")
    if draft := grant.next_versions.filter(ended_at=None).first():
        raise Refused("duplicate", f"Version {draft.version} is drafted already.")
    terms: dict[str, Any] = {
        name: getattr(grant, name)
        for name in (
            "purposes", "territories", "model_family", "first_version", "last_version", "products",
            "channels", "condition", "ends_on",
        )
    }  # fmt: skip
    return draft_grant(
        by=by,
        agreement=grant.agreement,
        right_type=grant.right_type,
        use=grant.use,
        recording=grant.recording,
        work=grant.work,
        replaces=grant,
        **terms | scope,
    )


def would_change(grant: Grant, *, by: User, **scope: Any) -> Grant:
    """Return the version that `change` would draft, refused where that refuses; not stored."""
    with rehearsed():
        return change(grant, by=by, **scope)


def _next_number(replaced: Grant | None) -> int:
    """Return the number of the next version; declined versions keep theirs."""
    if replaced is None:
        return 1
    return 1 + max([replaced.version, *replaced.next_versions.values_list("version", flat=True)])
