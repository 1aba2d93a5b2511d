"""Scales, ticks and how numbers are written beside them, as static/js/charts/scales.js has them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from experiments.reports.pieces import Value

SECONDS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400,
    172800, 432000, 864000, 2592000, 7776000, 31536000,
)  # fmt: skip
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Tick:
    value: Value
    text: str


@dataclass(frozen=True)
class Axis:
    """An axis from `start` to `end` in pixels: of numbers from `low` to `high`, or of `words`."""

    start: float
    end: float
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    kind: str = "number"
    words: tuple[str, ...] = ()

    def at(self, value: Value) -> float | None:
        """Return where a value stands; None for what has no place here."""
        if value is None:
            return None
        if self.words:
            share = (self.words.index(str(value)) + 0.5) / len(self.words)
            return self.start + share * (self.end - self.start)
        if isinstance(value, str) or (self.log and value <= 0):
            return None
        low, high, here = (self._turned(number) for number in (self.low, self.high, value))
        return self.start + (here - low) / ((high - low) or 1.0) * (self.end - self.start)

    def ticks(self, most: float) -> list[Tick]:
        """Return at most about so many values to mark."""
        if self.words:
            return [Tick(word, word) for word in self.words[:24]]
        if not self.high > self.low:
            return [Tick(self.low, short(self.low))]
        if self.log:
            return _logarithmic(self.low, self.high, most)
        if self.kind in {"relative", "wall"}:
            return _times(self.low, self.high, most, self.kind)
        return _linear(self.low, self.high, most)

    def _turned(self, value: float) -> float:
        return math.log10(value) if self.log else value


def axis(
    values: Sequence[Value], *, start: float, end: float, log: bool = False, kind: str = "number"
) -> Axis:
    """Return an axis for these values with some room around them; words stand in their order."""
    there = [value for value in values if value is not None]
    if any(isinstance(value, str) for value in there):
        return Axis(start, end, words=tuple(sorted({str(value) for value in there})))
    numbers = [float(value) for value in there if not isinstance(value, str)]
    usable = [number for number in numbers if number > 0 or not log]
    low, high = roomy(min(usable), max(usable), log=log) if usable else (1.0, 2.0)
    return Axis(start, end, low, high, log and bool(usable), kind)


def roomy(low: float, high: float, *, log: bool) -> tuple[float, float]:
    if log:
        room = (math.log10(high) - math.log10(low)) * 0.05 or 0.1
        return low / 10**room, high * 10**room
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def short(value: float) -> str:
    """Return a number as it stands beside an axis: 1.2k, 0.5, 1e-5."""
    size = abs(value)
    for unit, letter in UNITS:
        if size >= unit * 0.9999999:
            return f"{value / unit:.4g}{letter}".replace("-", MINUS)
    if size != 0 and size < 1e-3:
        mantissa, power = f"{value:.2e}".split("e")
        trimmed = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{trimmed}e{int(power)}".replace("-", MINUS)
    return f"{value:.6g}".replace("-", MINUS)


def seconds(value: float) -> str:
    """Return seconds in two units: 3 min 20 s."""
    size, sign = abs(value), MINUS if value < 0 else ""
    for big, unit, small, rest in (
        (86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"),
    ):  # fmt: skip
        if size >= big:
            whole = int(size // big)
            more = round((size - whole * big) / small)
            return f"{sign}{whole} {unit}" + (f" {more} {rest}" if 0 < more < big / small else "")
    return f"{sign}{size:.4g} s"


def _linear(low: float, high: float, most: float) -> list[Tick]:
    rough = (high - low) / max(1.0, most)
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor for factor in (1, 2, 5, 10, 20) if factor * power >= rough * 0.9999) * power
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [n * step for n in range(first, last + 1)]
    return [Tick(value, short(0.0 if abs(value) < step * 1e-9 else value)) for value in values]


def _logarithmic(low: float, high: float, most: float) -> list[Tick]:
    first, last = math.log10(low), math.log10(high)
    if last - first < 0.7:
        return [tick for tick in _linear(low, high, most) if _number(tick) > 0]
    stride = max(1, math.ceil((last - first) / max(1.0, most)))
    between = (1, 2, 5) if stride == 1 and (last - first) * 3 <= most else (1,)
    values = [
        factor * 10.0**power
        for power in range(math.floor(first), math.ceil(last) + 1, stride)
        for factor in between
    ]
    return [Tick(v, short(v)) for v in values if low * 0.9999 <= v <= high * 1.0001]


def _times(low: float, high: float, most: float, kind: str) -> list[Tick]:
    step = next((size for size in SECONDS if (high - low) / size <= most), SECONDS[-1])
    if (high - low) / step < 1.5:
        return [Tick(t.value, _moment(_number(t), 1, kind)) for t in _linear(low, high, most)]
    values = [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [Tick(float(value), _moment(value, step, kind)) for value in values]


def _moment(value: float, step: float, kind: str) -> str:
    if kind == "relative":
        return seconds(value)
    moment = datetime.fromtimestamp(value, UTC)
    if step >= 86400:
        return f"{moment.day} {moment:%b}"
    if step < 14400:
        return f"{moment:%H:%M:%S}" if step < 60 else f"{moment:%H:%M}"
    return f"{moment.day} {moment:%b %H:%M}"


def _number(tick: Tick) -> float:
    return tick.value if isinstance(tick.value, float | int) else 0.0
