"""The words that go with a delivery: what can never be kept is said at once, on the program's side.

Nothing here raises for it: a delivery that cannot be made must not end a training.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import ValidationError

from backline import bounds, wire

M = TypeVar("M", bound=wire.Message)
Say = Callable[[str], None]


def message(what: str, kind: type[M], *, say: Say, **said: Any) -> M | None:
    """The message; None, and a warning, where the portal could never keep it."""
    try:
        return kind(**{name: _plain(value) for name, value in said.items()})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        reason = f"{place}: {reason}" if place else reason
        say(bounds.readable(f"{what} cannot be kept and was not sent. {reason.rstrip('.')}."))
        return None


def notes(what: str, meta: dict[str, Any], *, say: Say) -> dict[str, Any]:
    """What goes with a checkpoint, as JSON; it never costs a program its weights."""
    try:
        bounds.check_json(meta, f"What goes with {what[:1].lower()}{what[1:]}")
    except bounds.Unkeepable as error:
        mended: dict[str, Any] = bounds.keepable_copy(meta)
        with suppress(bounds.Unkeepable):
            bounds.check_json(mended)
            say(f"{bounds.readable(str(error))} It is kept as a text.")
            return mended
        say(f"{bounds.readable(str(error))} It is kept without.")
        return {}
    return meta


def _plain(value: Any) -> Any:
    """A whole number of numpy or torch as Python's."""
    if not isinstance(value, int | str) and hasattr(type(value), "__index__"):
        with suppress(TypeError, ValueError, RuntimeError):
            return value.__index__()
    return value
