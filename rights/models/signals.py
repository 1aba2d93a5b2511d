"""What holders declare to machines elsewhere: reservations on sites, assertions in files."""

from typing import Self

from django.db import models
from django.utils import timezone

from portal.models import User
from rights.models.parties import Party
from rights.models.repertoire import Recording
from rights.models.vocabulary import Use


class SignalQuerySet(models.QuerySet["Signal"]):
    def visible_to(self, user: User) -> Self:
        if {"rights_admin", "operator"} & set(user.roles):
            return self
        return self.filter(
            models.Q(party__people=user)
            | models.Q(recording__splits__lines__party__people=user)
            | models.Q(recording__works__splits__lines__party__people=user)
        ).distinct()


class Signal(models.Model):
    """One declaration that was read: it may deny, it never permits. What denies a recording stands,
    also where another source or a later reading says otherwise (rights/consent/snapshot.py)."""

    class Scheme(models.TextChoices):
        TDMREP = "tdmrep", "TDMRep"
        CAWG = "cawg", "CAWG or C2PA training and data mining"
        MADE_BY = "made_by", "How it was made"

    recording = models.ForeignKey(
        Recording, models.PROTECT, null=True, blank=True, related_name="signals"
    )
    party = models.ForeignKey(Party, models.PROTECT, null=True, blank=True, related_name="signals")
    scheme = models.CharField(max_length=20, choices=Scheme.choices)
    # `tdm-reservation`, or the assertion's key such as `cawg.ai_training`.
    key = models.CharField(max_length=100)
    value = models.CharField(max_length=20, help_text="As it was read.")
    denies = models.BooleanField()
    denied = models.JSONField(default=list, help_text="The uses that it denies.")
    info = models.CharField(
        max_length=500, blank=True, help_text="The policy's address or the constraint, as read."
    )
    source = models.CharField(max_length=300, help_text="Where it was read.")
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    seen_at = models.DateTimeField(default=timezone.now)

    objects = SignalQuerySet.as_manager()

    class Meta:
        ordering = ["-seen_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recording__isnull=False, party__isnull=True)
                | models.Q(recording__isnull=True, party__isnull=False),
                name="signal_on_one_subject",
            )
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.value}"

    @property
    def denied_in_words(self) -> str:
        return "; ".join(str(Use(use).label) for use in self.denied)
