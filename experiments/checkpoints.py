"""Weights that a run saved, kept by their digest."""

from typing import IO

from django.db import transaction

from backline import wire
from experiments.models import Checkpoint, Run
from portal import storage

MEDIA_TYPE = "application/octet-stream"


class Damaged(ValueError):
    """The bytes that arrived are not those that were sent."""


def receive(*, run: Run, file: IO[bytes], said: wire.CheckpointMeta) -> tuple[Checkpoint, bool]:
    """Keep a checkpoint; (row, whether it is new). A later attempt may save a step anew.

    Raises Damaged if the digest differs and storage.TooLarge.
    """
    blob = storage.put(file, media_type=MEDIA_TYPE)
    if blob.sha256 != said.sha256:
        raise Damaged("The checkpoint arrived damaged: its SHA-256 differs.")
    with transaction.atomic():
        return Checkpoint.objects.update_or_create(
            run=run, step=said.step, defaults={"blob": blob, "meta": said.meta}
        )
