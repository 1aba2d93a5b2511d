"""What a run's program computes in: chosen at its first start, kept for attempts and repeats.

`precision: auto` is decided by a processor and a moment (workers/training/arithmetic.py). The last
bits of a result depend on it, so whoever does the same again is told what was chosen then.
"""

from typing import Any

from backline import wire
from experiments.models import Run

# What has to be the same for a copy to be a repeat; its name need not.
SAME = ("recipe", "config", "resources", "dataset_id", "start_from_id")


def store_choice(run: Run, chosen: wire.Arithmetic) -> bool:
    """Store the choice; False if one is stored already, which stays."""
    said = chosen.model_dump(mode="json")
    return bool(Run.objects.filter(pk=run.pk, arithmetic__isnull=True).update(arithmetic=said))


def arithmetic_of(run: Run) -> wire.Arithmetic | None:
    """The run's own choice, else that of the run it repeats, which may have started since; None
    while there is none."""
    stored = _stored(run)
    return wire.Arithmetic.model_validate(stored) if stored else None


def _stored(run: Run) -> dict[str, Any] | None:
    """Along the copies, newest first, as far as nothing was changed."""
    while run.arithmetic is None:
        source = run.copied_from
        if source is None or any(getattr(run, key) != getattr(source, key) for key in SAME):
            return None
        run = source
    found: dict[str, Any] = run.arithmetic
    return found
