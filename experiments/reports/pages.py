"""A report as a page of the portal: its text as HTML, each block in its place."""

from collections.abc import Iterable

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from experiments.models import Report
from experiments.reports import drawing, frozen, parts, tables
from experiments.reports.blocks import BadBlock
from experiments.reports.chart_blocks import ChartPart
from experiments.reports.included import IncludedPart
from experiments.reports.kinds import Budget, Part, Reading
from experiments.reports.parts import Placed, Problem
from experiments.reports.pieces import Chart, Piece, Table
from portal.inputs import markdown
from portal.inputs.markdown import Fence
from portal.models import User


def reading_of(user: User, report: Report, *, drawn: bool = False) -> Reading:
    """Return a person's reading of a report as it is now."""
    return Reading(
        user=user, project=report.project, report=report, frozen=frozen.current_figures(report),
        trail=(report.pk,), budget=Budget(), drawn=drawn,
    )  # fmt: skip


def html(text: str, reading: Reading, *, top: int = 2) -> SafeString:
    """Return a text as HTML. What a person may not see is not in it, and a block that is wrong says
    so in its place."""

    def show(found: Fence) -> SafeString | None:
        placed = parts.place(found, reading)
        return None if placed is None else _placed(placed, reading)

    return markdown.render(text, top=top, show=show, base=reading.base)


def _placed(placed: Placed, reading: Reading) -> SafeString:
    shown, refusal = SafeString(""), placed.refusal
    if placed.part is not None:
        try:
            shown = _part(placed.part, reading)
        except BadBlock as error:
            refusal = error
    problem = Problem.of(refusal, placed.block) if refusal else None
    context = {"placed": placed, "shown": shown, "problem": problem}
    return _template("reports/block.html", context)


def _part(part: Part, reading: Reading) -> SafeString:
    if isinstance(part, IncludedPart):
        body = html(part.report.text, part.reading, top=4)
        context = {"report": part.report, "body": body, "base": reading.base}
        return _template("reports/included.html", context)
    if reading.base:
        return _joined(piece_html(one, base=reading.base) for one in part.pieces())
    if isinstance(part, ChartPart) and not reading.drawn:
        return _template("reports/chart_live.html", {"part": part, "data": part.data()})
    if (own := part.page()) is not None:
        return own
    return _joined(piece_html(piece) for piece in part.pieces())


def piece_html(piece: Piece, *, base: str = "") -> SafeString:
    """Return a piece as it stands on a page; in a file `base` stands before addresses."""
    context: dict[str, object] = {"piece": piece, "base": base}
    match piece:
        case Table():
            context["rows"] = [
                list(zip(row.cells, piece.heads, strict=False)) for row in piece.rows
            ]
        case Chart():
            context |= {"picture": drawing.svg(piece), "table": tables.behind(piece)}
    return _template("reports/piece.html", context)


def _joined(parts: Iterable[SafeString]) -> SafeString:
    return SafeString("".join(parts))


def _template(name: str, context: dict[str, object]) -> SafeString:
    return SafeString(render_to_string(name, context))
