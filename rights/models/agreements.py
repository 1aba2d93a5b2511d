"""Agreements and the permissions under them. A permission's terms never change."""

from datetime import date, datetime
from typing import Self

from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal.models import Blob, User
from rights.days import day_of
from rights.models.parties import Party
from rights.models.repertoire import Recording, Work
from rights.models.vocabulary import RightType, WithdrawalPolicy, use_choices


class AgreementQuerySet(models.QuerySet["Agreement"]):
    def visible_to(self, user: User) -> Self:
        if {"rights_admin", "operator"} & set(user.roles):
            return self
        return self.filter(counterparty__people=user)


class Agreement(models.Model):
    """The signed paper under which grants are made."""

    title = models.CharField(max_length=200)
    counterparty = models.ForeignKey(Party, models.PROTECT, related_name="agreements")
    document = models.ForeignKey(Blob, models.PROTECT, null=True, blank=True, related_name="+")
    signed_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    terms = models.TextField(blank=True, help_text="What is paid and how it is credited, in words.")
    withdrawal_policy = models.CharField(
        max_length=20, choices=WithdrawalPolicy.choices, default=WithdrawalPolicy.RECALL
    )
    # Days after a withdrawal until everything that follows from it is done.
    remedy_days = models.PositiveIntegerField(default=90)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = AgreementQuerySet.as_manager()

    class Meta:
        ordering = ["-signed_on", "id"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("rights:agreement", args=[self.pk])


class GrantQuerySet(models.QuerySet["Grant"]):
    def visible_to(self, user: User) -> Self:
        if {"rights_admin", "operator"} & set(user.roles):
            return self
        return self.filter(grantor__people=user)

    def in_force(self, at: datetime) -> Self:
        day = day_of(at)
        return self.filter(status=Grant.Status.ACTIVE, starts_on__lte=day).filter(
            models.Q(ends_on=None) | models.Q(ends_on__gte=day)
        )


class Grant(models.Model):
    """One party's permission for one use of one right, in a scope. Ended grants never revive.

    `recording` or `work` narrows it to that subject; with neither it covers the grantor's
    share in their whole catalogue. Terms never change: another scope is a new version, which
    supersedes this one when it comes into force.
    """

    class Status(models.TextChoices):
        OFFERED = "offered", "Offered"
        ACTIVE = "active", "Active"
        SUSPENDED = "suspended", "Suspended"
        WITHDRAWN = "withdrawn", "Withdrawn"
        EXPIRED = "expired", "Expired"
        SUPERSEDED = "superseded", "Superseded"

    # Not ended: in force, about to be, or to be again.
    OPEN_STATUSES = (Status.ACTIVE, Status.OFFERED, Status.SUSPENDED)

    agreement = models.ForeignKey(Agreement, models.PROTECT, related_name="grants")
    grantor = models.ForeignKey(Party, models.PROTECT, related_name="grants")
    right_type = models.CharField(max_length=20, choices=RightType.choices)
    use = models.CharField(max_length=30, choices=use_choices)
    # Its index is `grant_by_recording`: in an index of its own all grants for a catalogue would be
    # one entry, which SQLite takes for a small one.
    recording = models.ForeignKey(
        Recording, models.PROTECT, null=True, blank=True, related_name="grants", db_index=False
    )
    work = models.ForeignKey(Work, models.PROTECT, null=True, blank=True, related_name="grants")
    purposes = models.JSONField(default=list, help_text="Purposes allowed; none means none.")
    territories = models.JSONField(default=list, help_text='ISO 3166 codes, or ["world"].')
    model_family = models.CharField(
        max_length=100, blank=True, help_text="Empty: every family of the lab."
    )
    first_version = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of the model; empty: from the first on."
    )
    last_version = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of the model; empty: all that come."
    )
    products = models.JSONField(default=list, blank=True, help_text="None: every product.")
    channels = models.JSONField(default=list, blank=True, help_text="Of distribution; none: none.")
    condition = models.TextField(
        blank=True, help_text="What must hold besides. Nothing is permitted until it is gone."
    )
    withdrawal_policy = models.CharField(
        max_length=20, choices=WithdrawalPolicy.choices, default=WithdrawalPolicy.RECALL
    )
    remedy_days = models.PositiveIntegerField(default=90)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.OFFERED)
    version = models.IntegerField(default=1)
    replaces = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="next_versions"
    )
    drafted_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    # Somebody other than the person who drafted it.
    approved_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    activated_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=300, blank=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        ordering = ["grantor__name", "use", "right_type", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recording__isnull=True) | models.Q(work__isnull=True),
                name="grant_on_one_subject",
            ),
            # A declined version makes room for another one.
            models.UniqueConstraint(
                fields=["replaces"],
                condition=models.Q(ended_at=None),
                name="one_open_next_version",
            ),
        ]
        indexes = [
            models.Index(fields=["use", "status", "grantor"], name="grant_by_use"),
            # Two indexes, because the many grants for one recording and the few for a whole
            # catalogue are queried apart: in one index the latter would all be "no recording".
            models.Index(
                fields=["recording", "use"],
                condition=models.Q(recording__isnull=False),
                name="grant_by_recording",
            ),
            models.Index(
                fields=["grantor", "use"],
                condition=models.Q(recording__isnull=True),
                name="grant_of_catalogue",
            ),
        ]

    def get_absolute_url(self) -> str:
        return reverse("rights:grant", args=[self.pk])

    def covers_day(self, day: date) -> bool:
        return self.starts_on <= day and (self.ends_on is None or day <= self.ends_on)

    @property
    def subject(self) -> "Recording | Work | None":
        """What the grant is narrowed to; None is the grantor's whole catalogue."""
        return self.recording or self.work

    @property
    def state_in_words(self) -> str:
        if self.status == self.Status.WITHDRAWN and self.activated_at is None:
            return "Declined"
        return self.words(self.Status(self.status))

    @classmethod
    def words(cls, status: "Grant.Status") -> str:
        """Return the one word that every page has for a state."""
        return "In force" if status == cls.Status.ACTIVE else str(status.label)


class OptOut(models.Model):
    """A party's refusal of one use of one recording. It keeps the recording out of every grant by
    the party, and out of anybody's grant for the party's share, whenever made; only a later grant
    by the party itself for that very recording permits it again (rights/consent/opt_outs.py)."""

    party = models.ForeignKey(Party, models.PROTECT, related_name="opt_outs")
    recording = models.ForeignKey(Recording, models.PROTECT, related_name="opt_outs")
    use = models.CharField(max_length=30, choices=use_choices)
    reason = models.CharField(max_length=300)
    made_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["party", "use", "recording"], name="opt_out_by_party")]


class GrantSuspension(models.Model):
    """A period in which a grant permits nothing, although it has not ended."""

    grant = models.ForeignKey(Grant, models.PROTECT, related_name="suspensions")
    reason = models.CharField(max_length=300)
    made_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    since = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grant"], condition=models.Q(until=None), name="suspended_once"
            )
        ]
