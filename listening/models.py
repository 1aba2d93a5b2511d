"""Listening tests, their items, what was heard of them and how it was rated: the groundwork; real
test designs come later."""

import uuid
from typing import Self

from django.db import models
from django.utils import timezone

from audio_samples.models import Sample
from experiments.models import Project
from portal.models import Role, User


class ListeningTestQuerySet(models.QuerySet["ListeningTest"]):
    def visible_to(self, user: User) -> Self:
        """Tests that a project member may run or look at."""
        return self.filter(project__in=Project.objects.visible_to(user))

    def open_to(self, user: User) -> Self:
        """Tests that this listener may answer."""
        return self.meant_for(user).filter(closed_at=None)

    def meant_for(self, user: User) -> Self:
        """The tests of `open_to`, and those that were closed since."""
        if user.has_role(Role.RESEARCHER):
            return self.all()
        if user.has_role(Role.LISTENER):
            return self.filter(audience=ListeningTest.Audience.OUTSIDE)
        return self.none()


class ListeningTest(models.Model):
    """One question about a set of samples, rated 1 to 5, identities hidden."""

    class Audience(models.TextChoices):
        """Who may answer. A listener who is not a researcher is from outside."""

        INTERNAL = "internal", "The lab's researchers only"
        OUTSIDE = "outside", "Listeners from outside, too"

    project = models.ForeignKey(Project, models.CASCADE, related_name="listening_tests")
    title = models.CharField(max_length=150)
    question = models.CharField(max_length=300)
    low_label = models.CharField(max_length=60, default="Bad")
    high_label = models.CharField(max_length=60, default="Excellent")
    audience = models.CharField(max_length=10, choices=Audience.choices, default=Audience.OUTSIDE)
    # Seeds each listener's own order of the items.
    seed = models.BigIntegerField()
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = ListeningTestQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title

    @property
    def is_outside(self) -> bool:
        return self.audience == self.Audience.OUTSIDE


class Item(models.Model):
    """A sample in a test. Listeners see its code only: nothing in a URL or page unblinds it."""

    test = models.ForeignKey(ListeningTest, models.CASCADE, related_name="items")
    sample = models.ForeignKey(Sample, models.PROTECT, related_name="+")
    code = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["test", "sample"], name="sample_once_per_test")
        ]


class Hearing(models.Model):
    """What one listener was sent and has played of one item, over all visits and tabs.

    The row comes with the first bytes that the portal serves. The rest is what the page's script
    measures, and what it claims: a program that pretends to be one may claim anything.
    """

    item = models.ForeignKey(Item, models.CASCADE, related_name="hearings")
    listener = models.ForeignKey(User, models.PROTECT, related_name="hearings")
    first_fetched_at = models.DateTimeField(default=timezone.now)
    first_played_at = models.DateTimeField(null=True, blank=True)
    # [[from, to], ...] in milliseconds of the clip, in order and apart from each other.
    stretches = models.JSONField(default=list)
    plays = models.IntegerField(default=0)
    muted = models.BooleanField(default=False, help_text="Some of it was played without sound.")
    # When the last report came, and the time between reports in which it can have been played.
    reported_at = models.DateTimeField(null=True, blank=True)
    clock_ms = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "listener"], name="one_hearing_per_listener")
        ]


class Rating(models.Model):
    """One listener's answer to one item, with what was heard of it until then; a new answer
    replaces it and is counted as a change."""

    class Heard(models.TextChoices):
        """How much of the clip had been heard when it was rated."""

        WHOLE = "whole", "Heard whole"
        PART = "part", "Heard in part"
        UNMEASURED = "unmeasured", "Sent, not measured"
        # Answers from before the portal kept it.
        UNRECORDED = "", "Not recorded"

    item = models.ForeignKey(Item, models.CASCADE, related_name="ratings")
    listener = models.ForeignKey(User, models.PROTECT, related_name="ratings")
    score = models.SmallIntegerField()
    changes = models.IntegerField(default=0)
    answered_at = models.DateTimeField(default=timezone.now)
    heard = models.CharField(max_length=10, choices=Heard.choices, blank=True, default="")
    # Of the clip, each second once. None where nothing was measured; so are the next four.
    seconds_heard = models.FloatField(null=True, blank=True)
    share_heard = models.FloatField(null=True, blank=True, help_text="Of the clip, 0 to 1.")
    plays = models.IntegerField(null=True, blank=True)
    first_played_at = models.DateTimeField(null=True, blank=True)
    muted = models.BooleanField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(heard__in=("whole", "part"), seconds_heard__isnull=False)
                | models.Q(heard__in=("", "unmeasured"), seconds_heard__isnull=True),
                name="heard_is_measured",
            ),
            models.UniqueConstraint(fields=["item", "listener"], name="one_rating_per_listener"),
            models.CheckConstraint(
                condition=models.Q(score__gte=1, score__lte=5), name="score_1_to_5"
            ),
        ]
