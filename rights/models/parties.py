"""Who holds rights, how they are identified elsewhere, and who may sign for whom."""

from datetime import date
from typing import Self

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal.models import User
from rights.models.append_only import AppendOnly, AppendOnlyQuerySet
from rights.models.vocabulary import RightType

SEES_ALL = frozenset({"rights_admin", "researcher", "operator"})


class PartyQuerySet(models.QuerySet["Party"]):
    def visible_to(self, user: User) -> Self:
        if SEES_ALL & set(user.roles):
            return self
        return self.filter(people=user)


class Party(models.Model):
    """Someone who can hold or sign for rights: a person, a group, a label, a publisher."""

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        GROUP = "group", "Group"
        LABEL = "label", "Label"
        PUBLISHER = "publisher", "Publisher"
        DISTRIBUTOR = "distributor", "Distributor"
        SOCIETY = "society", "Collecting society"

    class PublicCredit(models.TextChoices):
        NAME = "name", "By name"
        WORDING = "wording", "In other words"
        UNNAMED = "unnamed", "Not named: counted only"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    name = models.CharField(max_length=200, unique=True)
    credited_as = models.CharField(
        max_length=200, blank=True, help_text="Wording on credits, if not the name."
    )
    contact = models.EmailField(blank=True)
    # How public model pages name it. What it has not allowed is not shown.
    public_credit = models.CharField(
        max_length=10, choices=PublicCredit.choices, default=PublicCredit.NAME
    )
    public_wording = models.CharField(max_length=200, blank=True)
    public_titles = models.BooleanField(
        default=False, help_text="Titles of its recordings may be listed."
    )
    public_after = models.BooleanField(
        default=False, help_text="Named also after it withdrew, on models that stay by agreement."
    )
    people = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="parties")
    # If it is not a person: since when the lab says that the members entered are all there are.
    members_complete_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = PartyQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "parties"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("rights:party", args=[self.pk])

    @property
    def credit_name(self) -> str:
        return self.credited_as or self.name

    @property
    def public_name(self) -> str:
        """The name that it chose for public pages; empty where it is counted only."""
        if self.public_credit == self.PublicCredit.UNNAMED:
            return ""
        if self.public_credit == self.PublicCredit.WORDING:
            return self.public_wording
        return self.credit_name


class KindChange(AppendOnly):
    """The kind a party had here until then: a decision is replayed with what was known."""

    party = models.ForeignKey(Party, models.CASCADE, related_name="kind_changes")
    was = models.CharField(max_length=20, choices=Party.Kind.choices)
    at = models.DateTimeField(default=timezone.now)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["at", "id"]


class GroupMember(models.Model):
    """A person who belongs, or belonged, to a group. The row is never removed: no recording says on
    which day it was made, so everybody who ever belonged is asked (rights/consent/persons.py)."""

    group = models.ForeignKey(Party, models.PROTECT, related_name="members")
    member = models.ForeignKey(Party, models.PROTECT, related_name="member_of")
    joined_on = models.DateField(null=True, blank=True)
    left_on = models.DateField(null=True, blank=True)
    entered_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["member__name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["group", "member"], name="member_once_in_group"),
            models.CheckConstraint(
                condition=~models.Q(group=models.F("member")), name="member_of_another"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.member} of {self.group}"


class Scheme(models.TextChoices):
    """Identifiers of parties. Recordings, works and releases carry theirs as columns."""

    IPI_NAME = "ipi_name", "IPI name number"
    IPI_BASE = "ipi_base", "IPI base number"
    ISNI = "isni", "ISNI"
    DPID = "dpid", "DPID"
    MBID = "mbid", "MusicBrainz artist id"


class PartyIdentifier(models.Model):
    """A party's identifier in one scheme, in the compact form of identifiers.py."""

    party = models.ForeignKey(Party, models.CASCADE, related_name="identifiers")
    scheme = models.CharField(max_length=20, choices=Scheme.choices)
    value = models.CharField(max_length=36)
    # What is odd about it, where that is no reason to refuse it (a DPID's check character).
    warning = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["scheme", "value"]
        constraints = [
            models.UniqueConstraint(fields=["scheme", "value"], name="party_identifier_once")
        ]

    def __str__(self) -> str:
        return self.value


class MandateQuerySet(models.QuerySet["Mandate"]):
    def visible_to(self, user: User) -> Self:
        if {"rights_admin", "operator"} & set(user.roles):
            return self
        return self.filter(models.Q(holder__people=user) | models.Q(agent__people=user)).distinct()

    def standing(self) -> Self:
        """Return mandates that are approved and not revoked; also before the first day, and after
        the last one until `expire_due` has ended them."""
        return self.exclude(approved_at=None).filter(revoked_at=None)

    def in_force(self, day: date) -> Self:
        """Return the mandates by which an agent signs on that day."""
        last = models.Q(ends_on=None) | models.Q(ends_on__gte=day)
        return self.standing().filter(last, starts_on__lte=day)


class Mandate(models.Model):
    """The holder lets the agent sign for them: which rights, where, for how long.

    A grant of the agent then covers the holder's share too. The agent cannot pass it on.
    Terms never change; it ends by `revoked_at` or after its last day.
    """

    holder = models.ForeignKey(Party, models.PROTECT, related_name="mandates_given")
    agent = models.ForeignKey(Party, models.PROTECT, related_name="mandates_held")
    right_types = models.JSONField(default=list, help_text="Rights that the agent signs for.")
    territories = models.JSONField(default=list, help_text='ISO 3166 codes, or ["world"].')
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    entered_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    # In force from here: somebody other than the person who entered it has seen the document.
    approved_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoke_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = MandateQuerySet.as_manager()

    class Meta:
        ordering = ["holder__name", "agent__name", "id"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(holder=models.F("agent")), name="mandate_of_two_parties"
            )
        ]
        indexes = [models.Index(fields=["holder", "approved_at"], name="mandate_by_holder")]

    def __str__(self) -> str:
        return f"{self.agent} signs for {self.holder}"

    def get_absolute_url(self) -> str:
        return reverse("rights:mandate", args=[self.pk])

    def covers_day(self, day: date) -> bool:
        return self.starts_on <= day and (self.ends_on is None or day <= self.ends_on)

    def rights_in_words(self) -> list[str]:
        return [str(RightType(right).label) for right in self.right_types]

    @property
    def state(self) -> str:
        """Its state, as of a grant: offered, active, withdrawn or expired."""
        if self.revoked_at is not None:
            return "withdrawn"
        if self.approved_at is None:
            return "offered"
        today = timezone.now().date()
        return "expired" if self.ends_on and self.ends_on < today else "active"

    @property
    def state_in_words(self) -> str:
        if self.state == "active" and self.starts_on > timezone.now().date():
            return "Approved"
        words = {"offered": "Waiting for approval", "active": "In force", "expired": "Over"}
        return words.get(self.state, "Revoked")
