"""Withdrawal cases, from the end of a permission to its last descendant; their steps and tasks."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal.models import User
from rights.models.agreements import Grant
from rights.models.parties import Party
from rights.models.repertoire import Recording
from rights.models.vocabulary import WithdrawalPolicy, use_choices


class CaseQuerySet(models.QuerySet["WithdrawalCase"]):
    def visible_to(self, user: User) -> Self:
        if {"rights_admin", "operator"} & set(user.roles):
            return self
        # Somebody who was given a task sees the case that it belongs to.
        return self.filter(models.Q(party__people=user) | models.Q(tasks__owner=user)).distinct()

    def going_on(self) -> Self:
        return self.exclude(
            status__in=(WithdrawalCase.Status.CLOSED, WithdrawalCase.Status.REJECTED)
        )


class WithdrawalCase(models.Model):
    """What follows from one withdrawal, by the steps E0 to E6 of the agreed policy."""

    class Status(models.TextChoices):
        RECEIVED = "received", "Received"
        ENFORCED = "enforced", "Enforced"
        REMEDIATING = "remediating", "Being remedied"
        VERIFIED = "verified", "Verified"
        CLOSED = "closed", "Closed"
        REJECTED = "rejected", "Rejected"

    class Cause(models.TextChoices):
        ENDED = "ended", "A permission ended"
        IN_QUESTION = "in_question", "Whose word it is, is in question"

    party = models.ForeignKey(Party, models.PROTECT, related_name="cases")
    grant = models.ForeignKey(Grant, models.PROTECT, null=True, blank=True, related_name="cases")
    use = models.CharField(max_length=30, choices=use_choices)
    reason = models.CharField(max_length=300)
    policy = models.CharField(max_length=20, choices=WithdrawalPolicy.choices)
    # What is in question may be settled again; what has ended never revives.
    cause = models.CharField(max_length=20, choices=Cause.choices, default=Cause.ENDED)
    remedy_days = models.PositiveIntegerField()
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.RECEIVED)
    opened_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    verified_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    # The recordings that lost their permission, also where the policy places no hold.
    recordings = models.ManyToManyField(Recording, related_name="cases")
    # The value of descendants.state_digest() at the last look: the same value means nothing is new.
    seen = models.CharField(max_length=200, blank=True)

    objects = CaseQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at", "-id"]

    def __str__(self) -> str:
        return f"Case {self.pk}: {self.party}"

    def get_absolute_url(self) -> str:
        return reverse("rights:case", args=[self.pk])

    @property
    def due_at(self) -> datetime:
        return self.opened_at + timedelta(days=self.remedy_days)

    @property
    def is_overdue(self) -> bool:
        return self.closed_at is None and self.due_at < timezone.now()

    @property
    def state_mark(self) -> str:
        """The mark by which pages style its state."""
        return {"closed": "finished", "verified": "active", "rejected": "cancelled"}.get(
            self.status, "withheld"
        )


class CaseStep(models.Model):
    """One step of a case, E0 to E6. None is skipped silently: one that does not apply says why."""

    class Rung(models.TextChoices):
        E0 = "E0", "No new use"
        E1 = "E1", "Out of open datasets, frozen ones marked"
        E2 = "E2", "New runs and generations refused"
        E3 = "E3", "Checkpoints withheld"
        E4 = "E4", "Trained anew without it, or retired"
        E5 = "E5", "Samples recalled"
        E6 = "E6", "Final statement"

    case = models.ForeignKey(WithdrawalCase, models.CASCADE, related_name="steps")
    rung = models.CharField(max_length=2, choices=Rung.choices)
    due_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["case", "rung"]
        constraints = [models.UniqueConstraint(fields=["case", "rung"], name="rung_once")]


class CaseItem(models.Model):
    """A descendant of withdrawn music, and its outcome. `kind` and `key`: see descendants.py."""

    class Outcome(models.TextChoices):
        OPEN = "open", "Open"
        STOPPED = "stopped", "Stopped"
        WITHHELD = "withheld", "Withheld"
        RETIRED = "retired", "Retired"
        RETRAINED = "retrained", "Replaced by one without it"
        RECALLED = "recalled", "Recalled"
        COVERED = "covered", "Covered by the agreed policy"

    case = models.ForeignKey(WithdrawalCase, models.CASCADE, related_name="items")
    kind = models.CharField(max_length=20)
    key = models.CharField(max_length=60)
    label = models.CharField(max_length=300)
    outcome = models.CharField(max_length=20, choices=Outcome.choices, default=Outcome.OPEN)
    # If it was replaced: the key of its replacement.
    replaced_by = models.CharField(max_length=60, blank=True)
    note = models.CharField(max_length=500, blank=True)
    settled_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["case", "kind", "id"]
        constraints = [
            models.UniqueConstraint(fields=["case", "kind", "key"], name="case_item_once")
        ]


class CaseTask(models.Model):
    """Something a person has to do by a certain day."""

    case = models.ForeignKey(WithdrawalCase, models.CASCADE, related_name="tasks")
    title = models.CharField(max_length=200)
    owner = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="case_tasks"
    )
    due_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["done_at", "due_at", "id"]
