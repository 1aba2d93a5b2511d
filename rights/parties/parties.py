"""Parties: who they are, their numbers elsewhere, and who may sign for whom."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.database import commit_order
from portal.inputs.text import clean_line
from portal.models import User
from rights import identifiers as numbers
from rights import territories
from rights.errors import Refused, required
from rights.models import KindChange, Mandate, Party, PartyIdentifier, RightType, Scheme
from rights.parties import members
from rights.withdrawal import cases, losses

PARSERS = {
    Scheme.IPI_NAME: numbers.ipi_name,
    Scheme.IPI_BASE: numbers.ipi_base,
    Scheme.ISNI: numbers.isni,
    Scheme.DPID: numbers.dpid,
    Scheme.MBID: numbers.mbid,
}


@transaction.atomic
def add_party(
    *,
    by: User | None,
    name: str,
    kind: str = Party.Kind.PERSON,
    credited_as: str = "",
    contact: str = "",
    identifiers: Mapping[str, str] | None = None,
    people: Iterable[User] = (),
) -> Party:
    """Add a party. `people` are the users who speak for it, `identifiers` numbers by scheme; empty
    ones are left out. Raises Refused or identifiers.BadIdentifier."""
    name = _checked(name, kind, contact)
    party = Party.objects.create(
        name=name,
        kind=kind,
        credited_as=clean_line(credited_as)[:200],
        contact=contact,
    )
    party.people.set(people)
    for scheme, value in (identifiers or {}).items():
        add_identifier(by=by, party=party, scheme=scheme, value=value)
    audit.record(by=by, verb="party.added", subject=party, kind=party.kind)
    return party


@transaction.atomic
def update_party(
    *,
    by: User,
    party: Party,
    name: str,
    kind: str,
    credited_as: str = "",
    contact: str = "",
    people: Iterable[User] | None = None,
) -> Party:
    """Change who the party is, and who speaks for it (None: as before).

    Stored decisions name parties by id, so another name changes none of them.
    """
    at = commit_order.moment()
    party.refresh_from_db()
    values = {
        "name": _checked(name, kind, contact, other_than=party),
        "kind": kind,
        "credited_as": clean_line(credited_as)[:200],
        "contact": contact,
    }
    changed = [field for field, value in values.items() if getattr(party, field) != value]
    previous = {field: getattr(party, field) for field in changed}
    if "kind" in changed:
        _keep_kind(party=party, kind=kind, at=at)
    # Its own permission counted for uses of a person; now those of its members are needed.
    was_person = "kind" in changed and party.kind == Party.Kind.PERSON
    watch = members.watch_credits(party) if was_person else None
    for field in changed:
        setattr(party, field, values[field])
    party.save(update_fields=changed)
    people_before = set(party.people.values_list("pk", flat=True))
    people_after = people_before if people is None else {person.pk for person in people}
    party.people.set(people_after)
    if changed or people_after != people_before:
        audit.record(
            by=by,
            verb="party.amended",
            subject=party,
            fields=changed,
            people_added=sorted(people_after - people_before),
            people_removed=sorted(people_before - people_after),
            private={"was": previous, "now": {field: values[field] for field in changed}},
        )
    if watch:
        reason = f"{party} is no person: each member is asked."
        cases.open_for_findings(by=by, party=party, watch=watch, reason=reason[:300])
    return party


def _keep_kind(*, party: Party, kind: str, at: datetime) -> None:
    """Store the party's former kind, because decisions rest on it; if it turns out not to be a
    person, what was permitted of its person waits for its members."""
    person = Party.Kind.PERSON
    if kind == person and party.members.exists():
        raise Refused("kind", f"{party} has members, so it is no person.", field="kind")
    if kind != person and party.member_of.exists():
        group = party.member_of.select_related("group")[0].group
        raise Refused("kind", f"{party} is a member of {group}, so a person.", field="kind")
    KindChange.objects.create(party=party, was=party.kind, at=at)


def _checked(name: str, kind: str, contact: str, *, other_than: Party | None = None) -> str:
    """Return the name without outer spaces. Raises Refused for a bad name, kind or contact."""
    name = required(name, field="name", longest=200)
    if kind not in Party.Kind.values:
        raise Refused("kind", f"“{kind}” is not a kind of party.", field="kind")
    if contact:
        try:
            validate_email(contact)
        except ValidationError as error:
            raise Refused(
                "contact", f"“{contact}” is not an e-mail address.", field="contact"
            ) from error
    namesakes = Party.objects.filter(name__iexact=name)
    if other_than is not None:
        namesakes = namesakes.exclude(pk=other_than.pk)
    if namesakes.exists():
        raise Refused("duplicate", f"There is a party called {name} already.", field="name")
    return name


@transaction.atomic
def remove_identifier(*, by: User, identifier: PartyIdentifier) -> None:
    """Remove a number from its party: it was somebody else's, or mistyped."""
    audit.record(
        by=by,
        verb="party.unidentified",
        subject=identifier.party,
        scheme=identifier.scheme,
        private={"value": identifier.value},
    )
    identifier.delete()


@transaction.atomic
def add_identifier(
    *, by: User | None, party: Party, scheme: str, value: str
) -> PartyIdentifier | None:
    """Store a number of the party; None for an empty one. Raises Refused or BadIdentifier."""
    if scheme not in PARSERS:
        raise Refused("scheme", f"“{scheme}” is not a kind of number.", field="scheme")
    compact = PARSERS[Scheme(scheme)](value)
    if not compact:
        return None
    existing = PartyIdentifier.objects.filter(scheme=scheme, value=compact).first()
    if existing is not None:
        if existing.party_id == party.pk:
            return existing
        label = Scheme(scheme).label
        raise Refused("duplicate", f"That {label} is the one of {existing.party}.", field=scheme)
    warning = numbers.dpid_warning(compact) if scheme == Scheme.DPID else ""
    identifier = PartyIdentifier.objects.create(
        party=party, scheme=scheme, value=compact, warning=warning
    )
    audit.record(
        by=by, verb="party.identified", subject=party, scheme=scheme, private={"value": compact}
    )
    return identifier


# --- Mandates -------------------------------------------------------------------------------


@transaction.atomic
def enter_mandate(
    *,
    by: User,
    holder: Party,
    agent: Party,
    right_types: Collection[str],
    places: Collection[str] = (territories.WORLD,),
    starts_on: date | None = None,
    ends_on: date | None = None,
) -> Mandate:
    """Enter that the agent signs for the holder; it counts once somebody else has approved it."""
    starts_on = starts_on or timezone.now().date()
    if holder.pk == agent.pk:
        raise Refused("same", "Nobody needs a mandate of their own.", field="agent")
    if not right_types or not set(right_types) <= {RightType.MASTER, RightType.COMPOSITION}:
        # Only the person can allow name, voice and likeness.
        raise Refused(
            "right_types", "Choose the master, the composition or both.", field="right_types"
        )
    if not places or not all(territories.is_known(place) for place in places):
        raise Refused(
            "territories",
            "Name at least one country of the list, or the world.",
            field="territories",
        )
    if ends_on and ends_on < starts_on:
        raise Refused("ends_on", "The end lies before the start.", field="ends_on")
    row = Mandate.objects.create(
        holder=holder,
        agent=agent,
        right_types=sorted(right_types),
        territories=list(places),
        starts_on=starts_on,
        ends_on=ends_on,
        entered_by=by,
    )
    audit.record(
        by=by,
        verb="mandate.entered",
        subject=row,
        holder=holder.pk,
        agent=agent.pk,
        right_types=row.right_types,
        territories=row.territories,
        starts_on=starts_on.isoformat(),
        ends_on=ends_on.isoformat() if ends_on else None,
    )
    return row


@transaction.atomic
def approve_mandate(row: Mandate, by: User) -> Mandate:
    """Put the mandate in force. Raises Refused for whoever entered it, and if it is approved or
    over."""
    if row.entered_by_id == by.pk:
        raise Refused("four_eyes", "Somebody else than who entered it has to approve it.")
    pending = Mandate.objects.filter(pk=row.pk, approved_at=None, revoked_at=None)
    if not pending.update(approved_by=by, approved_at=commit_order.moment()):
        raise Refused("state", "This mandate was approved or revoked already.")
    row.refresh_from_db()
    audit.record(by=by, verb="mandate.approved", subject=row)
    return row


@transaction.atomic
def end_mandate(row: Mandate, by: User | None, reason: str) -> Mandate:
    """End the mandate for good, from now on; put what rested on it alone on hold, and open a case.

    Raises Refused for one that has ended.
    """
    reason = required(reason, field="reason", longest=300)
    at = commit_order.moment()
    mandate_losses = losses.of_mandate(row)
    rows = Mandate.objects.filter(pk=row.pk, revoked_at=None)
    if not rows.update(revoked_at=at, revoke_reason=reason):
        raise Refused("state", "This mandate was revoked already.")
    row.refresh_from_db()
    audit.record(by=by, verb="mandate.revoked", subject=row, private={"reason": reason})
    for loss in mandate_losses:
        cases.open_for(by=by, party=row.holder, loss=loss, policy=losses.UNAGREED, reason=reason)
    return row
