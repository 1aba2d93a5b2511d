"""What can be stored at all: bounds for a client's machine, for the wire and for the portal.

A text is written as UTF-8 and stored by PostgreSQL, which has no NUL. A whole number has 64 bits,
as in a column of either database. A float is finite, because JSON has no other; a moment can be
moved by a time zone and a day without leaving the calendar. What is out of bounds is refused where
it comes in, with a reason, and never reaches a database.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MIN_INT, MAX_INT = -(2**63), 2**63 - 1
# In JSON, unlike columns: seeds have 64 bits without a sign.
MAX_JSON_INT = 2**64 - 1
# Sums of these still fit into 64 bits after millions of reports.
MAX_COUNT = 10**12
FIRST_YEAR, LAST_YEAR = 1000, 9998
MAX_JSON_DEPTH = 20
MAX_JSON_BYTES = 256 * 1024
MAX_CONFIG_BYTES = 64 * 1024
# A prompt or a note that a person writes.
MAX_PROSE = 20_000

NUL = "\0"
LOST = "\N{REPLACEMENT CHARACTER}"
UNREADABLE = re.compile("[\0\ud800-\udfff]")


class NotStorable(ValueError):
    """A value that UTF-8, JSON or a database cannot hold; the message says which and why."""

    code = "unkeepable"


def check_text(value: str, name: str = "The text") -> str:
    match = UNREADABLE.search(value)
    if match is None:
        return value
    if match[0] == NUL:
        raise NotStorable(
            f"{name} has the character NUL in it, which cannot be kept. Leave it out."
        )
    raise NotStorable(
        f"{name} has half a character in it (a lone surrogate), which UTF-8 cannot write. "
        "Leave it out."
    )


def check_int(value: int, name: str = "The number", largest: int = MAX_INT) -> int:
    if not MIN_INT <= value <= largest:
        raise NotStorable(f"{name} is too large: whole numbers go up to {largest:,}.")
    return value


def check_float(value: float, name: str = "The number") -> float:
    if not math.isfinite(value):
        raise NotStorable(f"{name} is not a finite number.")
    return value


def check_moment(value: date, name: str = "The date") -> date:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise NotStorable(f"{name} lies outside of the years {FIRST_YEAR} to {LAST_YEAR}.")
    return value


def check_json(
    value: Any, name: str = "The value", *, depth: int = MAX_JSON_DEPTH, most: int = MAX_JSON_BYTES
) -> Any:
    """Return `value` as it is, if both databases store it as JSON and give it back the same.

    At most `depth` nested lists and objects, and about `most` bytes.
    """
    room, waiting = most, [(value, 0)]
    while waiting:
        part, level = waiting.pop()
        if level > depth:
            raise NotStorable(f"{name} is nested deeper than {depth} levels.")
        room -= _check_leaf(part, name)
        if isinstance(part, Mapping):
            for key, inner in part.items():
                if not isinstance(key, str):
                    raise NotStorable(f"{name} has a name in it that is no text: {key!r:.40}.")
                room -= len(check_text(key, f"A name in {_lower(name)}")) + 4
                waiting.append((inner, level + 1))
        elif isinstance(part, list | tuple):
            waiting += [(inner, level + 1) for inner in part]
        if room < 0:
            raise NotStorable(f"{name} is too long: at most {most // 1024} kB are kept.")
    return value


def _check_leaf(value: Any, name: str) -> int:
    """Return about how many bytes it takes; raises NotStorable for what JSON cannot express."""
    match value:
        case None | bool():
            return 4
        case str():
            return len(check_text(value, name)) + 2
        case int():
            check_int(value, f"A number in {_lower(name)}", MAX_JSON_INT)
            return 8
        case float():
            check_float(value, f"A number in {_lower(name)}")
            return 8
        case Mapping() | list() | tuple():
            return 2
    raise NotStorable(f"{name} has a value in it that JSON does not know: {type(value).__name__}.")


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def readable(text: str) -> str:
    """Return the text with a mark for each character that cannot be stored; equally long."""
    return UNREADABLE.sub(LOST, text)


# --- The same for pydantic ------------------------------------------------------------------

Whole = Annotated[int, Field(ge=MIN_INT, le=MAX_INT)]
# Numbers of rows, steps, offsets: never below zero.
Natural = Annotated[int, Field(ge=0, le=MAX_INT)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Amount = Annotated[float, Field(ge=0, le=MAX_COUNT, allow_inf_nan=False)]


def _text(value: str) -> str:
    return check_text(value)


def _moment(value: datetime) -> datetime:
    check_moment(value)
    # A time without an offset is UTC.
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _json(value: dict[str, Any]) -> dict[str, Any]:
    check_json(value)
    return value


Text = Annotated[str, AfterValidator(_text)]
Moment = Annotated[datetime, AfterValidator(_moment)]
Json = Annotated[dict[str, Any], AfterValidator(_json)]


class Bounded(BaseModel):
    """A model whose values can all be stored, whatever its fields declare or forget to."""

    @model_validator(mode="after")
    def _can_be_kept(self) -> "Bounded":
        for name, value in self.__dict__.items():
            _check(value, name)
        return self


def _check(value: Any, name: str) -> None:
    match value:
        case str():
            check_text(value, name)
        case bool() | None | BaseModel():
            return
        case int():
            check_int(value, name, MAX_JSON_INT)
        case float():
            check_float(value, name)
        case date():
            check_moment(value, name)
        case list() | tuple():
            # Models in it have checked themselves.
            for item in value:
                if not isinstance(item, BaseModel):
                    _check(item, name)
        case Mapping():
            check_json(value, name)


class Message(Bounded):
    """A JSON message. Unknown fields are ignored, so that a newer side may say more."""

    model_config = ConfigDict(extra="ignore", frozen=True)
