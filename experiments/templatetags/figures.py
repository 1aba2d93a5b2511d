"""How measured values and settings are written on the pages of runs."""

import json
import math
from datetime import datetime

from django import template
from django.utils import timezone

from experiments.models import Run

register = template.Library()

NOTHING = "\N{EN DASH}"
# The number of run colours in the design tokens; runs of one colour differ by their dash.
COLOURS = 8
DASHES = ("solid", "dash", "dot", "dashdot")


@register.filter
def figure(value: float | None) -> str:
    """A measured number with four significant digits; NaN and infinities by name."""
    if value is None or not isinstance(value, int | float):
        return NOTHING
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else "\N{MINUS SIGN}∞")
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


@register.filter
def setting(value: object) -> str:
    """A config value in one line: lists with commas, everything else as JSON writes it."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


@register.filter
def took(run: Run) -> float | None:
    """Seconds from the first start to the end, or to now."""
    if run.started_at is None:
        return None
    end: datetime = run.ended_at or timezone.now()
    return (end - run.started_at).total_seconds()


@register.filter
def colour(number: int) -> int:
    """The colour (1 to 8) of a run: it follows from its number, so it is the same everywhere."""
    return (number - 1) % COLOURS + 1


@register.filter
def signed(value: float) -> str:
    """A difference with its sign, as +0.012."""
    return f"{_sign(value)}{figure(abs(value))}"


@register.filter
def signed_percent(share: float) -> str:
    """A part as a signed percentage: +3.1 %."""
    return f"{_sign(share)}{abs(share) * 100:.3g} %"


def _sign(value: float) -> str:
    return "\N{MINUS SIGN}" if value < 0 else "+"
