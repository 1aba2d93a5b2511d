"""Weights that a run saved, stored by their digest."""

from typing import IO

from django.db import transaction
from django.utils import timezone

from backline import wire
from experiments.models import Checkpoint, Run
from portal import storage

MEDIA_TYPE = "application/octet-stream"


class Damaged(ValueError):
    """The bytes that arrived are not those that were sent."""


class Conflict(ValueError):
    """The step has a checkpoint already, which stays."""


def receive(*, run: Run, file: IO[bytes], meta: wire.CheckpointMeta) -> tuple[Checkpoint, bool]:
    """Store a checkpoint; return its row, and whether its step is new.

    While a run goes on, a later attempt may save a step again: then the older row is listed no
    longer, and runs that started from it keep its bytes. Raises Damaged if the digest differs,
    storage.TooLarge, and Conflict for other bytes under a step of a run that has ended, or of a
    checkpoint that is retired.
    """
    blob = storage.put(file, media_type=MEDIA_TYPE)
    if blob.sha256 != meta.sha256:
        raise Damaged("The checkpoint arrived damaged: its SHA-256 differs.")
    with transaction.atomic():
        # The run is locked: two checkpoints of the same step come one after the other.
        run = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        existing = run.checkpoints.filter(step=meta.step).first()
        if existing is not None and existing.blob_id == blob.sha256:
            return existing, False
        if existing is not None:
            _demand_replaceable(run, existing)
            Checkpoint.every.filter(pk=existing.pk).update(removed_at=timezone.now())
        checkpoint = Checkpoint.objects.create(run=run, step=meta.step, blob=blob, meta=meta.meta)
    return checkpoint, existing is None


def unlist_checkpoint(checkpoint: Checkpoint) -> str:
    """Unlist a checkpoint and drop its bytes; return their digest, which the row keeps.
    The caller that removes the bytes asks whether another row names them."""
    digest = checkpoint.file.sha256
    Checkpoint.every.filter(pk=checkpoint.pk).update(
        blob=None, former=digest, removed_at=timezone.now()
    )
    return digest


def _demand_replaceable(run: Run, existing: Checkpoint) -> None:
    sentence = f"Run {run.number} has a checkpoint of step {existing.step:,} with other bytes"
    if not run.is_open:
        raise Conflict(f"{sentence}, and has ended: that one stays.")
    if existing.retired_at is not None:
        raise Conflict(f"{sentence}, which is retired for good. Save under another step.")
