"""Grants as a list is read: under their party, with the rights of one use in one line."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from django.db.models import Count, Q, QuerySet

from rights.models import Grant, Party

# What is looked for most: what permits something, or may soon.
OPEN, ENDED, ALL = "", "ended", "all"
CHOICES = [
    (OPEN, "in force or waiting"),
    (ENDED, "ended"),
    (ALL, "all"),
    *((status.value, Grant.words(status).lower()) for status in Grant.Status),
]
# Two grants that agree in these say the same, each for a right of its own.
SAME = (
    "use", "status", "state_in_words", "recording_id", "work_id", "agreement_id", "purposes",
    "territories", "model_family", "first_version", "last_version", "products", "channels",
    "condition", "withdrawal_policy", "remedy_days", "starts_on", "ends_on",
)  # fmt: skip


@dataclass
class GrantLine:
    """Grants that differ in their right alone."""

    grants: list[Grant]

    @property
    def grant(self) -> Grant:
        return self.grants[0]


@dataclass
class PartyGrants:
    """The grants of one party on a page, and how many it has by state on all pages."""

    party: Party
    lines: list[GrantLine]
    counts: list[tuple[str, int]] = field(default_factory=list)


def with_status(rows: QuerySet[Grant], status: str) -> QuerySet[Grant]:
    """Return the rows of one of CHOICES."""
    if status == ALL:
        return rows
    if status == OPEN:
        return rows.filter(status__in=Grant.OPEN_STATUSES)
    if status == ENDED:
        return rows.exclude(status__in=Grant.OPEN_STATUSES)
    return rows.filter(status=status)


def search(rows: QuerySet[Grant], text: str) -> QuerySet[Grant]:
    """Return the rows whose party, agreement or music is called like this."""
    names = (
        "grantor__name", "grantor__credited_as", "agreement__title", "recording__title",
        "work__title",
    )  # fmt: skip
    for word in text.split():
        condition = Q()
        for name in names:
            condition |= Q(**{f"{name}__icontains": word})
        rows = rows.filter(condition)
    return rows


def in_order(rows: QuerySet[Grant]) -> QuerySet[Grant]:
    """Return the rows by party, and those that make one line beside each other."""
    return rows.select_related("grantor", "agreement", "recording", "work").order_by(
        "grantor__name", "grantor", "use", "recording", "work", "status", "right_type", "pk"
    )


def by_party(page: Iterable[Grant], rows: QuerySet[Grant]) -> list[PartyGrants]:
    """Return a page of `rows` by party; the counts are those of all `rows`."""
    groups = [
        PartyGrants(party, _lines(grants))
        for party, grants in groupby(page, key=lambda grant: grant.grantor)
    ]
    counted = (
        rows.filter(grantor__in=[group.party for group in groups])
        .order_by()
        .values_list("grantor", "status")
        .annotate(Count("pk"))
    )
    counts = {(party, status): number for party, status, number in counted}
    for group in groups:
        group.counts = [
            (Grant.words(status).lower(), counts[group.party.pk, status])
            for status in Grant.Status
            if (group.party.pk, status) in counts
        ]
    return groups


def _lines(grants: Iterable[Grant]) -> list[GrantLine]:
    lines: dict[str, GrantLine] = {}
    for grant in grants:
        key = repr([getattr(grant, name) for name in SAME])
        if key in lines:
            lines[key].grants.append(grant)
        else:
            lines[key] = GrantLine([grant])
    return list(lines.values())
