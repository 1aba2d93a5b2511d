"""Recordings frozen for one use, and what withholds them."""

from collections.abc import Collection
from typing import Self
from uuid import UUID

from django.db import models
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from experiments.models.projects import Project
from portal.models import Blob, User
from rights.models import Decision, Hold, Recording, WithdrawalCase
from rights.models.vocabulary import use_choices


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(project__in=Project.objects.visible_to(user))

    def retired(self) -> Self:
        return self.filter(status=Dataset.Status.RETIRED)

    def usable(self) -> Self:
        """Return those that a new run may use; consent is checked whenever a run uses one."""
        return self.exclude(status=Dataset.Status.RETIRED)


class Dataset(models.Model):
    """A frozen choice of recordings for one use. Never changes after it is frozen."""

    class Status(models.TextChoices):
        FROZEN = "frozen", "Frozen"
        AFFECTED = "tainted", "Affected: a permission in it has ended"
        RETIRED = "retired", "Retired: never to be used again"

    project = models.ForeignKey(Project, models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=100)
    version = models.IntegerField(default=1)
    use = models.CharField(max_length=30, choices=use_choices)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.FROZEN)
    # SHA-256 over the sorted (recording id, audio digest) pairs of the included items.
    digest = models.CharField(max_length=64)
    decision = models.ForeignKey(Decision, models.PROTECT, related_name="+")
    frozen_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    frozen_at = models.DateTimeField(default=timezone.now)

    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name", "version"], name="dataset_version_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}"

    def get_absolute_url(self) -> str:
        return reverse("experiments:dataset", args=[self.project.slug, self.pk])


class DatasetItem(models.Model):
    """One recording that was requested: included, or left out with the reasons."""

    # Written with its dataset or not at all, a hundred thousand at once: without a foreign key a
    # freeze need not wait for a check of each row, and the unique constraint is the index.
    dataset = models.ForeignKey(
        Dataset, models.CASCADE, related_name="items", db_constraint=False, db_index=False
    )
    recording = models.ForeignKey(Recording, models.PROTECT, related_name="+")
    included = models.BooleanField()
    # Null only for a recording that was left out: it may have no file yet.
    audio = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+", db_index=False)
    reasons = models.JSONField(default=list)

    class Meta:
        # Instead of the field's own: for a text key Django makes two.
        indexes = [models.Index(fields=["audio"], name="dataset_item_by_audio")]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "recording"], name="dataset_recording_once"),
            models.CheckConstraint(
                condition=models.Q(included=False) | models.Q(audio__isnull=False),
                name="included_has_audio",
            ),
        ]


class DatasetHoldQuerySet(models.QuerySet["DatasetHold"]):
    def withholding(self) -> Self:
        return self.exclude(hold=None)

    def of_runs(self, runs: Collection[UUID]) -> Self:
        """Return the marks on the datasets of these runs, in the use that each run declared."""
        return self.filter(dataset__runs__in=runs, use=F("dataset__runs__use"))


class DatasetHold(models.Model):
    """The mark that a case affects a frozen dataset in one use: what was made from it in that use
    is withheld from the moment of the hold on; without a hold it goes on as agreed.

    Written in the transaction that ends the permission (experiments/clearance/descendants.py), so
    that whether a run or a sample is affected takes one lookup here, not one per recording.
    """

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="held")
    use = models.CharField(max_length=30, choices=use_choices)
    # Null for marks from before the case was required.
    case = models.ForeignKey(WithdrawalCase, models.CASCADE, null=True, related_name="+")
    # The case's first hold in this dataset.
    hold = models.ForeignKey(Hold, models.PROTECT, null=True, related_name="+")

    objects = DatasetHoldQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "use", "case"], name="dataset_once_per_case_and_use"
            )
        ]
        indexes = [models.Index(fields=["dataset", "use"], name="hold_by_dataset_and_use")]
