"""Weights that a run saved, kept by their digest."""

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
    """The step has its checkpoint already, and that one stays."""


def receive(*, run: Run, file: IO[bytes], said: wire.CheckpointMeta) -> tuple[Checkpoint, bool]:
    """Keep a checkpoint; (row, whether it is new).

    While a run goes on, a later attempt may save a step anew: then the older row is listed no
    longer, and what started from it keeps its bytes. Raises Damaged if the digest differs,
    storage.TooLarge, and Conflict for other bytes under a step of a run that has ended, or of a
    checkpoint that is retired.
    """
    blob = storage.put(file, media_type=MEDIA_TYPE)
    if blob.sha256 != said.sha256:
        raise Damaged("The checkpoint arrived damaged: its SHA-256 differs.")
    with transaction.atomic():
        # One at a time for each run: two of the same step come one after the other.
        run = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        known = run.checkpoints.filter(step=said.step).first()
        if known is not None and known.blob_id == blob.sha256:
            return known, False
        if known is not None:
            _demand_replaceable(run, known)
            Checkpoint.every.filter(pk=known.pk).update(removed_at=timezone.now())
        made = Checkpoint.objects.create(run=run, step=said.step, blob=blob, meta=said.meta)
    return made, known is None


def let_go(checkpoint: Checkpoint) -> str:
    """Take a checkpoint off the list together with its bytes, whose digest stays known; the digest.
    Whether another row names the bytes is asked by who removes them."""
    digest = checkpoint.file.sha256
    Checkpoint.every.filter(pk=checkpoint.pk).update(
        blob=None, former=digest, removed_at=timezone.now()
    )
    return digest


def _demand_replaceable(run: Run, known: Checkpoint) -> None:
    kept = f"Run {run.number} has a checkpoint of step {known.step:,} with other bytes"
    if not run.is_open:
        raise Conflict(f"{kept}, and has ended: that one stays.")
    if known.retired_at is not None:
        raise Conflict(f"{kept}, which is retired for good. Save under another step.")
