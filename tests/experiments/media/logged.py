"""Media as a program delivers them, without the program."""

from collections.abc import Mapping
from typing import Any

from backline.media import collecting
from experiments.media import intake
from experiments.media.intake import Taken
from experiments.models import Run
from experiments.models.sessions import Session
from tests.experiments.metrics.measured import NUMBERS


def pack(step: int, things: Mapping[str, Any]) -> bytes:
    """One call of `log` at a step, as bytes."""
    found = collecting.split(things)

    def fail(words: str, _: str) -> None:
        raise AssertionError(words)

    (made,) = collecting.packs_of(
        found.media, step=step, at=1.7e9, named=lambda name: name, warn=fail
    )
    return made


def log(run: Run, step: int, *, session: str = "", number: int = -1, **things: Any) -> Taken:
    """Deliver things by name at a step; underscores of a name are slashes."""
    name = session or "script"
    Session.objects.get_or_create(run=run, name=name)
    named = {key.replace("_", "/"): thing for key, thing in things.items()}
    return intake.receive(run, name, next(NUMBERS) if number < 0 else number, pack(step, named))
