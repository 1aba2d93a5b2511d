"""A picture as shapes, which more than one pen can draw. Units are CSS pixels, y goes down.

A paint is a role (ink, muted, line, accent, run-1 to run-8, ramp-0 to ramp-15), which has a colour
in light and in dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]


@dataclass(frozen=True)
class Path:
    """A line; `inside` the picture's box, what is beyond it is cut off."""

    points: Sequence[Point]
    paint: str
    width: float = 1.5
    dash: str = "solid"
    opacity: float = 1.0
    words: str = ""
    inside: bool = False


@dataclass(frozen=True)
class Area:
    points: Sequence[Point]
    paint: str
    opacity: float = 0.16


@dataclass(frozen=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    paint: str
    opacity: float = 1.0
    words: str = ""


@dataclass(frozen=True)
class Disc:
    x: float
    y: float
    radius: float
    paint: str
    words: str = ""


@dataclass(frozen=True)
class Label:
    """A text; y is its middle."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    paint: str = "muted"
    is_bold: bool = False


Shape = Path | Area | Box | Disc | Label


@dataclass
class Picture:
    """Shapes in a frame; `box` is left, top, right, bottom of where data is drawn."""

    title: str
    width: float
    height: float
    box: tuple[float, float, float, float] | None = None
    shapes: list[Shape] = field(default_factory=list)


SIZE = 11.0
# Of a character of that size, about: every pen has another font.
WIDE = 6.2


def width_of(text: str) -> float:
    return len(text) * WIDE
