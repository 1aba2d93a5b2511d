"""Who holds which share: split sheets in versions, and each party's answers on its share."""

from typing import Self

from django.db import models
from django.utils import timezone

from portal.models import User
from rights.models.append_only import AppendOnly, AppendOnlyQuerySet
from rights.models.parties import Party
from rights.models.repertoire import Recording, Work
from rights.models.vocabulary import PPM, RightType


class SplitSheetQuerySet(models.QuerySet["SplitSheet"]):
    def current(self) -> Self:
        """Return the sheet that counts for its right: the newest, whoever has confirmed it."""
        return self.exclude(status=SplitSheet.Status.SUPERSEDED)


class SplitLineQuerySet(models.QuerySet["SplitLine"]):
    def current(self) -> Self:
        """Return the lines of current sheets."""
        return self.exclude(sheet__status=SplitSheet.Status.SUPERSEDED)


class SplitSheet(models.Model):
    """Who holds which share of one right in one work or recording; shares sum to 1,000,000 ppm."""

    class Status(models.TextChoices):
        CONFIRMING = "confirming", "Waiting for confirmation"
        CONFIRMED = "confirmed", "Confirmed"
        DISPUTED = "disputed", "Disputed"
        SUPERSEDED = "superseded", "Superseded"

    recording = models.ForeignKey(
        Recording, models.CASCADE, null=True, blank=True, related_name="splits"
    )
    work = models.ForeignKey(Work, models.CASCADE, null=True, blank=True, related_name="splits")
    right_type = models.CharField(max_length=20, choices=RightType.choices)
    version = models.IntegerField(default=1)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.CONFIRMING)
    created_at = models.DateTimeField(default=timezone.now)
    superseded_at = models.DateTimeField(null=True, blank=True)

    objects = SplitSheetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recording__isnull=False, work__isnull=True, right_type="master")
                | models.Q(recording__isnull=True, work__isnull=False, right_type="composition"),
                name="split_right_fits_subject",
            ),
            models.UniqueConstraint(
                fields=["recording"],
                condition=~models.Q(status="superseded"),
                name="one_open_master_split",
            ),
            models.UniqueConstraint(
                fields=["work"],
                condition=~models.Q(status="superseded"),
                name="one_open_composition_split",
            ),
        ]


class SplitLine(models.Model):
    """A party's share. The two times give its state now; SplitAnswer has its history."""

    sheet = models.ForeignKey(SplitSheet, models.CASCADE, related_name="lines")
    party = models.ForeignKey(Party, models.PROTECT, related_name="split_lines")
    ppm = models.IntegerField(help_text="Parts per million.")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    disputed_at = models.DateTimeField(null=True, blank=True)

    objects = SplitLineQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sheet", "party"], name="party_once_per_sheet"),
            models.CheckConstraint(
                condition=models.Q(ppm__gt=0, ppm__lte=PPM), name="split_ppm_in_range"
            ),
        ]


class SplitAnswer(AppendOnly):
    """A party's answer on its share, and when it was given. The last answer counts."""

    line = models.ForeignKey(SplitLine, models.CASCADE, related_name="answers")
    confirmed = models.BooleanField(help_text="No: the party disputes the sheet.")
    reason = models.CharField(max_length=300, blank=True)
    made_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["line", "at"], name="answer_by_line")]
