"""The metadata of deliveries: what could never be stored is reported at once, in the program.

Nothing here raises for it: a delivery that cannot be made must not end a training.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from backline import bounds, configs, wire
from backline.numbers import shown

M = TypeVar("M", bound=wire.Message)
Say = Callable[[str], None]


def message(subject: str, kind: type[M], *, say: Say, **fields: Any) -> M | None:
    """Return the message; None, with a warning, if the portal could never store it."""
    try:
        return kind(**{name: _plain(value) for name, value in fields.items()})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        reason = f"{place}: {reason}" if place else reason
        say(bounds.readable(f"{subject} cannot be kept and was not sent. {reason.rstrip('.')}."))
        return None


def notes(subject: str, meta: dict[str, Any], *, say: Say) -> dict[str, Any]:
    """Return storable metadata of a checkpoint, as JSON; it never costs a program its weights."""
    try:
        bounds.check_json(meta, f"What goes with {subject[:1].lower()}{subject[1:]}")
    except bounds.NotStorable as error:
        say(f"{bounds.readable(str(error))} What is wrong in it is kept as a text.")
        storable = configs.plain(meta, say=lambda _: None, most=bounds.MAX_JSON_BYTES)
        return dict(configs.as_json(storable))
    return meta


def alert(title: Any, text: Any, level: Any, *, say: Say) -> wire.Alert | None:
    """Return the alert, cut to what is stored; a level that does not exist becomes info."""
    known = get_args(wire.Alert.model_fields["level"].annotation)
    if level not in known:
        say(f"An alert's level is {', '.join(known)}, not {shown(level)}; it is sent as info.")
        level = "info"
    words = " ".join(_readable(title).split())[: wire.MAX_ALERT_TITLE]
    return message(
        f"The alert {shown(title)}",
        wire.Alert,
        title=words or "Alert",
        text=_readable(text)[: wire.MAX_ALERT_TEXT],
        level=level,
        say=say,
    )


def _readable(value: Any) -> str:
    """Return it as text, whatever it is: an alert about an exception must not raise another."""
    if value is None:
        return ""
    try:
        return bounds.readable(str(value))
    except Exception as error:  # noqa: BLE001 - whatever a value does, training goes on.
        return f"(a {type(value).__name__} that cannot be written: {type(error).__name__})"


def _plain(value: Any) -> Any:
    """Return a whole number of numpy or torch as a Python int."""
    if not isinstance(value, int | str) and hasattr(type(value), "__index__"):
        with suppress(TypeError, ValueError, RuntimeError):
            return value.__index__()
    return value
