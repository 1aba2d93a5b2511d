"""What charts have in common: a box with two axes, and a legend below it."""

from collections.abc import Sequence

from experiments.reports.drawing.axes import Axis
from experiments.reports.drawing.shapes import Box, Label, Path, Picture, width_of

WIDTH, ROW = 760.0, 44.0
RIGHT, TOP, BELOW = 12.0, 10.0, 40.0
LEGEND_ROW = 18.0
MOST_NAMED = 24


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def left_of(texts: Sequence[str]) -> float:
    """Return the room left of a box that ticks of these texts need."""
    return min(WIDTH / 3, max([width_of(cut(text, 18)) for text in texts] or [0.0]) + 16)


def grid(picture: Picture, x: Axis, y: Axis, titles: tuple[str, str]) -> None:
    """Draw both axes with their ticks, and the title of x."""
    left, top, right, bottom = picture.box or (0, 0, picture.width, picture.height)
    for tick in y.ticks((bottom - top) / 36):
        if (place := y.at(tick.value)) is not None and top - 1 <= place <= bottom + 1:
            picture.shapes.append(Path([(left, place), (right, place)], "line", 1.0))
            picture.shapes.append(Label(left - 6, place, cut(tick.text, 18), "end"))
    for tick in x.ticks((right - left) / 80):
        if (place := x.at(tick.value)) is not None and left - 1 <= place <= right + 1:
            picture.shapes.append(Label(place, bottom + 12, cut(tick.text, 14), "middle"))
    picture.shapes.append(Path([(left, top), (left, bottom), (right, bottom)], "muted", 1.0))
    if titles[0]:
        picture.shapes.append(Label(right, bottom + 28, cut(titles[0], 80), "end"))
    if titles[1]:
        picture.shapes.append(Label(left + 6, top + 6, cut(titles[1], 80)))


def legend(picture: Picture, entries: Sequence[tuple[str, str, str]]) -> None:
    """Name the lines below the picture, each by label, paint and dash; the picture grows."""
    named = list(entries[:MOST_NAMED])
    across = 1 if any(len(label) > 52 for label, _, _ in named) else 2
    column = (picture.width - 24) / across
    top = picture.height + 4
    for place, (label, paint, dash) in enumerate(named):
        x = 12 + (place % across) * column
        y = top + (place // across) * LEGEND_ROW + LEGEND_ROW / 2
        picture.shapes.append(Path([(x, y), (x + 22, y)], paint, 2.5, dash))
        picture.shapes.append(Label(x + 30, y, cut(label, int(column / 6.6)), paint="ink"))
    rows = -(-len(named) // across)
    if len(entries) > MOST_NAMED:
        words = f"and {len(entries) - MOST_NAMED} more"
        picture.shapes.append(Label(12, top + (rows + 0.5) * LEGEND_ROW, words))
        rows += 1
    picture.height = top + rows * LEGEND_ROW + 4


def ramp_key(picture: Picture, words: str, low: str, high: str) -> None:
    """Say below the picture what its colours stand for, from dark to light."""
    y = picture.height + 8
    picture.shapes.append(Label(12, y, cut(f"Colour: {words}", 60), paint="ink"))
    x = 24 + width_of(cut(f"Colour: {words}", 60))
    picture.shapes.append(Label(x, y, low))
    x += width_of(low) + 16
    for step in range(RAMP_STEPS):
        picture.shapes.append(Box(x + step * 8, y - 5, 8, 10, ramp(step / (RAMP_STEPS - 1))))
    picture.shapes.append(Label(x + RAMP_STEPS * 8 + 8, y, high))
    picture.height = y + 12


# Viridis: read as an order in grey and by eyes that see fewer colours. Its steps are paints, as
# they differ in light and dark (static/css/reports.css).
RAMP_STEPS = 16
RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))


def ramp(share: float) -> str:
    """Return the paint of a share from 0 to 1."""
    return f"ramp-{round(min(max(share, 0.0), 1.0) * (RAMP_STEPS - 1))}"


def ramp_colour(step: int, *, dark: bool = False) -> str:
    """Return the colour of a step as #rrggbb, without the end that the ground would swallow."""
    at = (step / (RAMP_STEPS - 1) * 0.85 + (0.15 if dark else 0.0)) * (len(RAMP) - 1)
    low, high = RAMP[int(at)], RAMP[min(int(at) + 1, len(RAMP) - 1)]
    mixed = (round(a + (b - a) * (at % 1)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)
