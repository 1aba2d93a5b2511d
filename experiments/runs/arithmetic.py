"""The arithmetic of a run's program: chosen at its first start, stored for attempts and repeats.

The choice of `precision: auto` depends on the processor and the moment
(workers/training/arithmetic.py). The last bits of a result depend on it, so a repeat reuses it.
"""

from typing import Any

from backline import wire
from experiments.models import Run

# A copy is a repeat if these are the same; its name may differ.
SAME = ("recipe", "submitted_config", "resources", "dataset_id", "start_from_id")


def store_choice(run: Run, chosen: wire.Arithmetic) -> bool:
    """Store the choice; False if one is stored already, which stays."""
    choice = chosen.model_dump(mode="json")
    return bool(Run.objects.filter(pk=run.pk, arithmetic__isnull=True).update(arithmetic=choice))


def arithmetic_of(run: Run) -> wire.Arithmetic | None:
    """Return the run's own choice, else that of the run it repeats, which may have started since;
    None while there is none."""
    stored = _stored(run)
    return wire.Arithmetic.model_validate(stored) if stored else None


def _stored(run: Run) -> dict[str, Any] | None:
    """Return the newest choice along the copies, as far as nothing was changed between them."""
    while run.arithmetic is None:
        source = run.copied_from
        if source is None or any(getattr(run, key) != getattr(source, key) for key in SAME):
            return None
        run = source
    choice: dict[str, Any] = run.arithmetic
    return choice
