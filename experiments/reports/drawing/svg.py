"""A pen that writes SVG for a page or an HTML file: paints are classes, so the page's style sheet
has the colours (static/css/reports.css), light and dark."""

import itertools
from collections.abc import Sequence

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from experiments.reports.drawing.charts import picture
from experiments.reports.drawing.shapes import (
    SIZE,
    Area,
    Box,
    Disc,
    Label,
    Path,
    Picture,
    Point,
    Shape,
)
from experiments.reports.pieces import Chart

DASHES = {"dash": "8 5", "dot": "2 4", "dashdot": "8 4 2 4"}
_clips = itertools.count(1)


def svg(chart: Chart) -> SafeString:
    """Return a chart as an <svg>."""
    return written(picture(chart))


def written(drawn: Picture) -> SafeString:
    """Return a picture as an <svg>, with its title for who cannot see it."""
    clip, define = "", ""
    if drawn.box:
        name = f"plot-{next(_clips)}"
        left, top, right, bottom = drawn.box
        clip = f' clip-path="url(#{name})"'
        define = (
            f'<clipPath id="{name}"><rect x="{left:.1f}" y="{top - 1:.1f}" '
            f'width="{right - left + 1:.1f}" height="{bottom - top + 2:.1f}"/></clipPath>'
        )
    body = "".join(_shape(shape, clip) for shape in drawn.shapes)
    return format_html(
        '<svg class="figure" viewBox="0 0 {} {}" role="img" aria-label="{}" '
        'font-size="{}">{}{}</svg>',
        f"{drawn.width:.0f}", f"{drawn.height:.0f}", drawn.title, f"{SIZE:.0f}",
        mark_safe(define), mark_safe(body),  # noqa: S308 - numbers, and texts that are escaped.
    )  # fmt: skip


def _shape(shape: Shape, clip: str) -> str:
    match shape:
        case Path():
            dash = DASHES.get(shape.dash)
            dashes = f' stroke-dasharray="{dash}"' if dash else ""
            cut = clip if shape.inside else ""
            return (
                f'<path d="{_points(shape.points)}" fill="none" {_paint(shape.paint, "stroke")} '
                f'stroke-width="{shape.width:g}" stroke-opacity="{shape.opacity:g}" '
                f'stroke-linejoin="round"{dashes}{cut}>{_title(shape.words)}</path>'
            )
        case Area():
            return (
                f'<path d="{_points(shape.points)}Z" {_paint(shape.paint, "fill")} '
                f'fill-opacity="{shape.opacity:g}"{clip}/>'
            )
        case Box():
            return (
                f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" '
                f'height="{shape.height:.1f}" {_paint(shape.paint, "fill")} '
                f'fill-opacity="{shape.opacity:g}">{_title(shape.words)}</rect>'
            )
        case Disc():
            return (
                f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius:g}" '
                f"{_paint(shape.paint, 'fill')}>{_title(shape.words)}</circle>"
            )
        case Label():
            weight = ' font-weight="600"' if shape.is_bold else ""
            return (
                f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" text-anchor="{shape.anchor}" '
                f'dominant-baseline="central" {_paint(shape.paint, "fill")}{weight}>'
                f"{escape(shape.text)}</text>"
            )


def _points(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _paint(paint: str, where: str) -> str:
    return f'class="{where}-{escape(paint)}"'


def _title(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""
