"""Weights that runs saved."""

from typing import Self

from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

from experiments.models import declared_uses, revocations
from experiments.models.runs import Run
from portal.models import Blob


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    def usable(self) -> Self:
        """Return those that may be loaded: no run's delivery of the same bytes is retired or rests
        on a permission that has ended."""
        same = Checkpoint.every.filter(digest=models.OuterRef("digest"))
        retired = same.filter(retired_at__isnull=False)
        return self.filter(~revocations.weights_are_revoked("digest"), ~models.Exists(retired))

    def startable(self) -> Self:
        """Return those that other runs may start from: the use of every run that delivered these
        bytes makes models."""
        same = Checkpoint.every.filter(digest=models.OuterRef("digest"))
        return self.usable().exclude(models.Exists(same.exclude(run__use__in=declared_uses.MODELS)))


class Listed(models.Manager["Checkpoint"]):
    """The checkpoints that were not replaced or cleaned up."""

    def get_queryset(self) -> CheckpointQuerySet:
        return CheckpointQuerySet(self.model, using=self._db).filter(removed_at=None)


class Checkpoint(models.Model):
    """Weights plus the JSON that describes them. Retired for good: nobody loads them again.

    The bytes of a row never change. A row that is replaced or cleaned up is no longer listed but
    stays, so that its bytes are known if they are delivered again under another name.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="checkpoints")
    step = models.BigIntegerField()
    # None once the bytes were cleaned up; `former` is then their digest.
    blob = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    former = models.CharField(max_length=64, blank=True, default="")
    digest = models.GeneratedField(
        expression=Coalesce("blob_id", "former"),
        output_field=models.CharField(max_length=64),
        db_persist=True,
    )
    meta = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    retired_reason = models.CharField(max_length=300, blank=True)

    objects = Listed.from_queryset(CheckpointQuerySet)()
    every = CheckpointQuerySet.as_manager()

    class Meta:
        ordering = ["-step"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "step"], condition=models.Q(removed_at=None), name="checkpoint_once"
            )
        ]
        indexes = [models.Index(fields=["digest"], name="checkpoint_by_digest")]

    @property
    def file(self) -> Blob:
        """Its bytes, which every checkpoint has that is listed or that a run started from."""
        if self.blob is None:
            raise LookupError(f"The bytes of checkpoint {self.pk} were cleaned up.")
        return self.blob
