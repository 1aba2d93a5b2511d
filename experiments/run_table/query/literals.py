"""What a written value is to a field: a number, a span of time, a state."""

import difflib
import math
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone

from backline import bounds
from experiments.models import Run
from experiments.run_table.query.errors import BadQuery
from experiments.run_table.query.syntax import Literal

NOT_FINITE = {"nan", "inf", "infinity"}
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(s|min|m|h|d|w)")
AGO = re.compile(r"(now|today)(?:\s*-\s*(.+))?", re.IGNORECASE)
MINUTE = re.compile(r"[0-9-]+[T ][0-9]{2}:[0-9]{2}$")
LONGEST = 10 * 366 * 86400

STATES: dict[str, set[str]] = {state.value: {state.value} for state in Run.State}
STATES |= {"open": {s.value for s in Run.OPEN_STATES}, "waiting": {Run.State.QUEUED.value}}
STATES["ended"] = {state.value for state in Run.State} - STATES["open"]


def bad(literal: Literal, sentence: str, suggestion: str = "") -> BadQuery:
    return BadQuery(sentence, literal.span.position, literal.span.length, suggestion)


def closest(name: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant; nothing if none is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), "")


def number_of(text: str) -> float | int | None:
    """Parse a finite number; None if the text is anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    if not value.is_integer():
        return value
    # A seed of 64 bits is kept to its last digit.
    whole = int(text) if re.fullmatch(r"[+-]?[0-9]{1,19}", text) else int(value)
    return whole if bounds.MIN_INT <= whole <= bounds.MAX_INT else value


def is_not_finite(literal: Literal) -> bool:
    return literal.text.lower().lstrip("+-") in NOT_FINITE


def number(literal: Literal, name: str, *, also: str = "") -> float | int:
    """Return the number that stands there; raise BadQuery for anything else."""
    value = number_of(literal.text)
    if value is None and literal.text.endswith("%"):
        share = number_of(literal.text[:-1])
        value = None if share is None else share / 100
    if value is None:
        raise bad(
            literal,
            f"“{name[:60]}” is compared with a number{also}, not with “{literal.text[:40]}”.",
        )
    return value


def seconds(literal: Literal, name: str) -> float | int:
    """Return a duration: 3600, or 90s, 2m, 1.5h, 3d."""
    value = number_of(literal.text)
    if value is None:
        value = _seconds(literal.text)
    if value is None:
        raise bad(
            literal,
            f"“{name}” is compared with a number of seconds, or with a duration like 90s, 30m, 2h "
            f"or 3d, not with “{literal.text[:40]}”.",
        )
    return value


def _seconds(text: str) -> float | None:
    found = DURATION.fullmatch(text.strip())
    return float(found[1]) * SECONDS[found[2]] if found else None


def moments(literal: Literal) -> tuple[datetime, datetime]:
    """Return the beginning and the end of what is meant: a day in UTC, a minute, one moment."""
    text = literal.text.strip()
    try:
        if relative := AGO.fullmatch(text):
            return _relative(relative[1].lower(), relative[2] or "")
        if len(text) <= len("2026-11-21"):
            start = datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
            return _checked(start), start + timedelta(days=1)
        start = datetime.fromisoformat(text)
        start = start if start.tzinfo else start.replace(tzinfo=UTC)
        length = timedelta(minutes=1) if MINUTE.match(text) else timedelta(0)
        return _checked(start), start + length
    except (ValueError, OverflowError):
        raise bad(
            literal,
            f"“{literal.text[:40]}” is not a day; write it like 2026-11-21, 2026-11-21T14:30 or "
            "now-2h.",
        ) from None


def _checked(moment: datetime) -> datetime:
    # A time zone and a day further it still has to be in the calendar.
    return bounds.check_moment(moment)  # type: ignore[return-value]


def _relative(word: str, ago: str) -> tuple[datetime, datetime]:
    start, length = timezone.now(), timedelta(0)
    if word == "today":
        start, length = datetime.combine(start.astimezone(UTC), time(), tzinfo=UTC), timedelta(1)
    back = _seconds(ago) if ago else 0
    if back is None or back > LONGEST:
        raise ValueError(ago)
    return start - timedelta(seconds=back), start - timedelta(seconds=back) + length


def states(literal: Literal) -> set[str]:
    """Return the states that a word stands for."""
    word = literal.text.lower()
    if word not in STATES:
        meant = closest(word, STATES)
        hint = f" Did you mean “{meant}”?" if meant else ""
        raise bad(
            literal,
            f"“{literal.text[:40]}” is not a state.{hint} States are {', '.join(STATES)}.",
            meant,
        )
    return STATES[word]


def run_number(literal: Literal) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", literal.text):
        raise bad(literal, f"“{literal.text[:40]}” is not the number of a run.")
    return int(literal.text)


def setting(literal: Literal) -> object:
    """Return the value of a setting: a text in quotes is one, a number or true is not."""
    constant = literal.constant
    if constant is not literal:
        return constant
    value = None if literal.quoted else number_of(literal.text)
    return literal.text if value is None else value
