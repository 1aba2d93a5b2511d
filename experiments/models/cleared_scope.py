"""The row that stores what a model was licensed for."""

from django.db import models
from django.utils import timezone

from rights.models.append_only import AppendOnly, AppendOnlyQuerySet


class ClearedScope(AppendOnly):
    """What the weights and clips of a run were licensed for when it started; never changed.

    `body` is clearance.Scope as JSON, `digest` the SHA-256 of its canonical form.
    """

    run = models.OneToOneField(
        "experiments.Run", models.CASCADE, related_name="cleared_scope", primary_key=True
    )
    body = models.JSONField()
    digest = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    objects = AppendOnlyQuerySet.as_manager()
