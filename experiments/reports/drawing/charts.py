"""A picture of each kind of chart."""

import math
from collections.abc import Callable, Iterator, Sequence

from experiments.reports.drawing import axes, frames
from experiments.reports.drawing.axes import Axis
from experiments.reports.drawing.frames import BELOW, RIGHT, ROW, TOP, WIDTH, cut
from experiments.reports.drawing.shapes import (
    Area,
    Box,
    Disc,
    Label,
    Path,
    Picture,
    Point,
    width_of,
)
from experiments.reports.pieces import Chart, Dot, Line, Value
from experiments.templatetags.figures import NOTHING as NOTHING_THERE
from experiments.templatetags.figures import figure

NOTHING = "There is nothing to draw."
SURFACE_CELL, SURFACE_NEAR = 12.0, 70.0


def picture(chart: Chart) -> Picture:
    """Return a chart as shapes."""
    drawn = Picture(chart.title, WIDTH, max(chart.height, 4) * ROW)
    has = chart.lines or chart.dots or chart.bars or chart.shares
    if not has:
        drawn.height = ROW
        drawn.shapes.append(Label(12, ROW / 2, NOTHING))
        return drawn
    draw = {
        "curves": _curves, "scatter": _scatter, "contour": _scatter, "parallel": _parallel,
        "bars": _bars, "importance": _shares,
    }  # fmt: skip
    draw[chart.kind](chart, drawn)
    return drawn


# --- Curves -----------------------------------------------------------------------------------


def _curves(chart: Chart, drawn: Picture) -> None:
    bottom = drawn.height - BELOW
    ys = [y for line in chart.lines for y in (*line.y, *line.low, *line.high) if y is not None]
    if chart.clip:
        ys = _without_outliers(chart.lines)
    y = axes.axis(ys, start=bottom, end=TOP, log=chart.log_y)
    left = frames.left_of([tick.text for tick in y.ticks((bottom - TOP) / 36)])
    drawn.box = (left, TOP, WIDTH - RIGHT, bottom)
    xs: list[Value] = [x for line in chart.lines for x in line.x]
    x = _tight(xs, left, chart)
    frames.grid(drawn, x, y, (_x_title(chart), ""))
    for line in chart.lines:
        drawn.shapes += [Area(band, _paint(line)) for band in _bands(line, x, y)]
    for line in chart.lines:
        for run in _unbroken(line.x, line.y, x, y):
            drawn.shapes.append(
                Path(run, _paint(line), 1.6, line.dash, words=line.label, inside=True)
            )
            if len(run) == 1:
                drawn.shapes.append(Disc(*run[0], 2.5, _paint(line), line.label))
    frames.legend(drawn, [(line.label, _paint(line), line.dash) for line in chart.lines])


def _tight(xs: Sequence[Value], left: float, chart: Chart) -> Axis:
    """Return an x that ends where its points do."""
    numbers = [float(x) for x in xs if isinstance(x, int | float)]
    usable = [x for x in numbers if x > 0 or not chart.log_x]
    if not usable or min(usable) == max(usable):
        return axes.axis(xs, start=left, end=WIDTH - RIGHT, log=chart.log_x, kind=chart.x_kind)
    return Axis(
        left, WIDTH - RIGHT, min(usable), max(usable), chart.log_x and chart.x_kind != "wall",
        chart.x_kind,
    )  # fmt: skip


def _x_title(chart: Chart) -> str:
    words = {"relative": "time since the run's first point", "wall": "time, in UTC"}
    return words.get(chart.x, chart.x)


def _unbroken(
    xs: Sequence[float], ys: Sequence[float | None], x: Axis, y: Axis
) -> Iterator[list[Point]]:
    """Yield the stretches of a line between its gaps."""
    stretch: list[Point] = []
    for across, up in zip(xs, ys, strict=True):
        place = x.at(across), y.at(up)
        if place[0] is None or place[1] is None:
            if stretch:
                yield stretch
            stretch = []
        else:
            stretch.append((place[0], place[1]))
    if stretch:
        yield stretch


def _bands(line: Line, x: Axis, y: Axis) -> Iterator[list[Point]]:
    if not line.low or not line.high:
        return
    lows = [
        low if high is not None else None for low, high in zip(line.low, line.high, strict=True)
    ]
    highs = [high if low is not None else None for low, high in zip(lows, line.high, strict=True)]
    for above, below in zip(
        _unbroken(line.x, highs, x, y), _unbroken(line.x, lows, x, y), strict=False
    ):
        yield [*above, *reversed(below)]


def _without_outliers(lines: Sequence[Line]) -> list[float]:
    ordered = sorted(y for line in lines for y in line.y if y is not None)
    return ordered[int(len(ordered) * 0.05) : max(math.ceil(len(ordered) * 0.95), 1)]


def _paint(part: Line | Dot) -> str:
    return f"run-{part.colour}"


# --- Values that runs have once ---------------------------------------------------------------


def _scatter(chart: Chart, drawn: Picture) -> None:
    dots = [dot for dot in chart.dots if len(dot.values) >= 2]
    bottom = drawn.height - BELOW
    y = axes.axis([dot.values[1] for dot in dots], start=bottom, end=TOP, log=chart.log_y)
    left = frames.left_of([tick.text for tick in y.ticks((bottom - TOP) / 36)])
    x = axes.axis([d.values[0] for d in dots], start=left, end=WIDTH - RIGHT, log=chart.log_x)
    drawn.box = (left, TOP, WIDTH - RIGHT, bottom)
    colours = [dot.values[2] for dot in dots] if len(chart.fields) > 2 else []
    paints = _paints(colours) if colours else None
    if chart.kind == "contour" and paints:
        _surface(drawn, dots, (x, y), paints)
    frames.grid(drawn, x, y, (chart.fields[0], chart.fields[1]))
    for dot in dots:
        across, up = x.at(dot.values[0]), y.at(dot.values[1])
        if across is not None and up is not None:
            paint = paints(dot.values[2]) if paints else _paint(dot)
            drawn.shapes.append(Disc(across, up, 5, paint, _said(chart, dot)))
    if colours:
        _key(drawn, chart.fields[2], colours)


def _surface(
    drawn: Picture, dots: Sequence[Dot], at: tuple[Axis, Axis], paints: Callable[[Value], str]
) -> None:
    """Draw in each cell the mean of the runs near it, the nearer the more."""
    points = [
        (across, up, float(dot.values[2]))
        for dot in dots
        if (across := at[0].at(dot.values[0])) is not None
        and (up := at[1].at(dot.values[1])) is not None
        and isinstance(dot.values[2], int | float)
    ]
    left, top, right, bottom = drawn.box or (0.0, 0.0, 0.0, 0.0)
    for column in range(int((right - left) / SURFACE_CELL) + 1):
        for row in range(int((bottom - top) / SURFACE_CELL) + 1):
            x, y = left + column * SURFACE_CELL, top + row * SURFACE_CELL
            value = _near(points, x + SURFACE_CELL / 2, y + SURFACE_CELL / 2)
            width, height = min(SURFACE_CELL, right - x), min(SURFACE_CELL, bottom - y)
            if value is not None and width > 0 and height > 0:
                drawn.shapes.append(Box(x, y, width, height, paints(value), 0.45))


def _near(points: Sequence[tuple[float, float, float]], x: float, y: float) -> float | None:
    total = norm = 0.0
    for across, up, value in points:
        distance = math.hypot(across - x, up - y)
        if distance <= SURFACE_NEAR:
            weight = ((SURFACE_NEAR - distance) / (SURFACE_NEAR * (distance + 1))) ** 2
            total, norm = total + weight * value, norm + weight
    return total / norm if norm > 0 else None


def _parallel(chart: Chart, drawn: Picture) -> None:
    top, bottom = 38.0, drawn.height - 14
    places = [60 + n * (WIDTH - 140) / (len(chart.fields) - 1) for n in range(len(chart.fields))]
    columns = [[dot.values[n] for dot in chart.dots] for n in range(len(chart.fields))]
    scales = [axes.axis(c, start=bottom, end=top, log=chart.log_y and _numeric(c)) for c in columns]
    paints = _paints(columns[-1])
    for dot in chart.dots:
        found = [
            (place, up)
            for place, scale, value in zip(places, scales, dot.values, strict=True)
            if (up := scale.at(value)) is not None
        ]
        if len(found) > 1:
            said = _said(chart, dot)
            drawn.shapes.append(Path(found, paints(dot.values[-1]), 1.6, opacity=0.85, words=said))
    for place, scale, title in zip(places, scales, chart.fields, strict=True):
        drawn.shapes.append(Path([(place, top), (place, bottom)], "muted", 1.0))
        drawn.shapes.append(Label(place, 14, cut(title, 18), "middle", "ink", is_bold=True))
        for tick in scale.ticks(6):
            if (up := scale.at(tick.value)) is not None:
                drawn.shapes.append(Label(place - 5, up, cut(tick.text, 10), "end"))
    _key(drawn, chart.fields[-1], columns[-1])


def _bars(chart: Chart, drawn: Picture) -> None:
    bars = chart.bars
    ends = [0.0, *(end for bar in bars for end in (bar.mean, bar.low, bar.high) if end is not None)]
    left = min(WIDTH * 0.4, max(width_of(cut(bar.label, 40)) for bar in bars) + 14)
    low, high = min(ends), max(ends)
    x = Axis(left, WIDTH - 80, low, high if high > low else low + 1)
    size = max(15.0, min(28.0, (drawn.height - 20) / len(bars)))
    drawn.height = len(bars) * size + 20
    for place, bar in enumerate(bars):
        middle = 10 + (place + 0.5) * size
        zero, end = x.at(0.0) or left, x.at(bar.mean) or left
        said = f"{bar.label}: {figure(bar.mean)}"
        drawn.shapes.append(Label(left - 6, middle, cut(bar.label, 40), "end", "ink"))
        drawn.shapes.append(
            Box(min(zero, end), middle - size * 0.32, max(abs(end - zero), 1.0), size * 0.64,
                f"run-{bar.colour}", 0.75, said)
        )  # fmt: skip
        drawn.shapes.append(Label(WIDTH - 6, middle, figure(bar.mean), "end", "ink"))
        if bar.low is not None and bar.high is not None:
            ends_of = [x.at(bar.low) or left, x.at(bar.high) or left]
            drawn.shapes.append(Path([(ends_of[0], middle), (ends_of[1], middle)], "ink"))
            for one in ends_of:
                drawn.shapes.append(Path([(one, middle - 4), (one, middle + 4)], "ink"))
    zero = x.at(0.0) or left
    drawn.shapes.append(Path([(zero, 6), (zero, drawn.height - 10)], "muted", 1.0))


def _shares(chart: Chart, drawn: Picture) -> None:
    size = max(16.0, min(28.0, (drawn.height - 12) / len(chart.shares)))
    drawn.height = len(chart.shares) * size + 12
    left = min(WIDTH * 0.4, max(width_of(cut(one.label, 40)) for one in chart.shares) + 14)
    most = max(one.share for one in chart.shares) or 1.0
    for place, one in enumerate(chart.shares):
        middle = 6 + (place + 0.5) * size
        way = "" if one.trend is None or abs(one.trend) < 0.2 else (" ↑" if one.trend > 0 else " ↓")
        drawn.shapes.append(Label(left - 6, middle, cut(one.label, 40), "end", "ink"))
        wide = max(one.share / most * (WIDTH - left - 80), 1.0)
        drawn.shapes.append(Box(left, middle - size * 0.3, wide, size * 0.6, "accent", 0.85))
        words = f"{one.share * 100:.0f} %{way}"
        drawn.shapes.append(Label(WIDTH - 6, middle, words, "end", "ink"))


# --- Colours by a field -----------------------------------------------------------------------


def _paints(values: Sequence[Value]) -> Callable[[Value], str]:
    """Return the paint of each value: a ramp for numbers, the colours of runs for words."""
    if not _numeric(values):
        words = sorted({str(value) for value in values if value is not None})
        return lambda value: "muted" if value is None else f"run-{words.index(str(value)) % 8 + 1}"
    numbers = [float(value) for value in values if value is not None]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)

    def paint(value: Value) -> str:
        if value is None or isinstance(value, str):
            return "muted"
        return frames.ramp((value - low) / (high - low) if high > low else 0.5)

    return paint


def _key(drawn: Picture, title: str, values: Sequence[Value]) -> None:
    there = [value for value in values if value is not None]
    if not there:
        return
    if _numeric(there):
        numbers = [float(value) for value in there]
        frames.ramp_key(drawn, title, figure(min(numbers)), figure(max(numbers)))
        return
    paints = _paints(there)
    words = sorted({str(value) for value in there})
    frames.legend(drawn, [(f"{title} {word}", paints(word), "solid") for word in words])


def _numeric(values: Sequence[Value]) -> bool:
    return not any(isinstance(value, str) for value in values)


def _said(chart: Chart, dot: Dot) -> str:
    facts = (
        f"{title} {figure(value) if isinstance(value, int | float) else value or NOTHING_THERE}"
        for title, value in zip(chart.fields, dot.values, strict=False)
    )
    return f"{dot.label}: {', '.join(facts)}"
