"""A report as PDF: text, tables, and charts as vector graphics, by reportlab."""

import io
from datetime import UTC, datetime

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Preformatted, SimpleDocTemplate, Spacer
from reportlab.platypus.doctemplate import LayoutError

from experiments.models import ReportVersion
from experiments.reports import drawing, parts
from experiments.reports.blocks import BadBlock
from experiments.reports.drawing import frames
from experiments.reports.drawing.shapes import SIZE, Area, Box, Disc, Label, Path, Picture
from experiments.reports.export import pdf_fonts
from experiments.reports.export.pdf_fonts import BODY, Missing
from experiments.reports.export.pdf_text import (
    CELL,
    CODE,
    ERROR,
    HEAD,
    HEAD_NUMBER,
    HEADINGS,
    NUMBER,
    SMALL,
    TEXT,
    WIDTH,
    Writer,
    table,
)
from experiments.reports.export.refusals import Refused
from experiments.reports.included import IncludedPart
from experiments.reports.kinds import Part, Reading
from experiments.reports.parts import Placed, Problem
from experiments.reports.pieces import Chart, Clips, Piece, Table, Words
from portal.inputs.markdown import Fence

MARGIN = (A4[0] - WIDTH) / 2
HIGHEST = A4[1] - 2 * MARGIN - 40
# The light colours of static/css/tokens.css: paper is light.
PAINTS = {
    "ink": "#191b1a", "muted": "#575c59", "line": "#d5d6cf", "accent": "#0a635d",
    "run-1": "#0072b2", "run-2": "#d55e00", "run-3": "#009e73", "run-4": "#b85c8f",
    "run-5": "#c98a00", "run-6": "#3a9bd2", "run-7": "#8d8200", "run-8": "#191b1a",
    **{f"ramp-{step}": frames.ramp_colour(step) for step in range(frames.RAMP_STEPS)},
}  # fmt: skip
DASHES = {"dash": [8, 5], "dot": [2, 4], "dashdot": [8, 4, 2, 4]}


def write(version: ReportVersion, reading: Reading) -> bytes:
    """Return the file. Raises Refused for what cannot be laid out on pages."""
    missing = Missing()
    report, now = version.report, datetime.now(UTC)
    pdf_fonts.load()
    writer = _writer(reading, missing)
    head = [
        writer.line(reading.project.name, SMALL),
        writer.line(version.title, HEADINGS[0]),
        writer.line(
            f"By {report.author.display_name}. Version {version.version} of "
            f"{version.at.astimezone(UTC):%d %b %Y}; this file was made {now:%d %b %Y, %H:%M} UTC.",
            SMALL,
        ),
        writer.line("The report in the portal", SMALL, url=report.get_absolute_url()),
        Spacer(1, 8),
    ]
    flow = [*head, *writer.write(version.text)]
    if sentence := missing.sentence:
        flow.append(writer.line(sentence, SMALL))
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, title=version.title, author=report.author.display_name,
        leftMargin=MARGIN - 6, rightMargin=MARGIN - 6, topMargin=MARGIN, bottomMargin=MARGIN,
        lang="en-GB",
    )  # fmt: skip
    try:
        document.build(flow, onFirstPage=_number, onLaterPages=_number)
    except LayoutError as error:
        raise Refused("A part of it fits on no page. Save it as HTML instead.") from error
    return out.getvalue()


def _number(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.saveState()
    canvas.setFont(BODY, 8)
    canvas.setFillColor(HexColor(PAINTS["muted"]))
    canvas.drawRightString(A4[0] - MARGIN, MARGIN / 2, str(document.page))
    canvas.restoreState()


# --- Blocks -----------------------------------------------------------------------------------


def _writer(reading: Reading, missing: Missing) -> Writer:
    def show(found: Fence) -> list[Flowable] | None:
        placed = parts.place(found, reading)
        return None if placed is None else _placed(placed, writer)

    writer = Writer(reading.base, missing, show)
    return writer


def _placed(placed: Placed, writer: Writer) -> list[Flowable]:
    refusal = placed.refusal
    if placed.part is not None:
        try:
            shown = _part(placed.part, writer)
        except BadBlock as error:
            refusal = error
        else:
            frozen = f"Frozen {placed.frozen_at:%d %b %Y, %H:%M} UTC" if placed.frozen_at else ""
            return [*shown, *([writer.line(frozen, SMALL)] if frozen else []), Spacer(1, 4)]
    assert refusal is not None  # noqa: S101 - there is a part or a refusal.
    problem = Problem.of(refusal, placed.block)
    if not problem.line:
        return [writer.line(f"{placed.title}: {problem.sentence}", SMALL)]
    words = f"Line {problem.line}, {placed.title.lower()}: {problem.sentence}"
    return [writer.line(words, ERROR), Preformatted(placed.block.text[:2_000], CODE), Spacer(1, 6)]


def _part(part: Part, writer: Writer) -> list[Flowable]:
    if isinstance(part, IncludedPart):
        inner = _writer(part.reading, writer.missing)
        title = writer.line(part.report.title, HEADINGS[2], url=part.report.get_absolute_url())
        return [title, *inner.write(part.report.text, top=4)]
    return [one for piece in part.pieces() for one in _piece(piece, writer)]


def _piece(piece: Piece, writer: Writer) -> list[Flowable]:
    match piece:
        case Words():
            return [writer.line(piece.text, ERROR if piece.is_error else SMALL)]
        case Table():
            return _table(piece, writer)
        case Chart():
            note = [writer.line(piece.note, SMALL)] if piece.note else []
            title = [writer.line(piece.title, HEADINGS[4])] if piece.title else []
            return [*title, Drawn(drawing.picture(piece), writer.missing), *note]
        case Clips():
            return _clips(piece, writer)


def _table(piece: Table, writer: Writer) -> list[Flowable]:
    styles = [NUMBER if head.number else CELL for head in piece.heads]
    heads = [HEAD_NUMBER if head.number else HEAD for head in piece.heads]
    rows: list[list[Flowable]] = [
        [writer.line(head.title, style) for head, style in zip(piece.heads, heads, strict=True)]
    ]
    rows += [
        [
            writer.line(f"{cell.text} (best)" if cell.best else cell.text, style, url=cell.url)
            for cell, style in zip(row.cells, styles, strict=False)
        ]
        for row in piece.rows
    ]
    title = [writer.line(piece.title, HEADINGS[4])] if piece.title else []
    note = [writer.line(piece.note, SMALL)] if piece.note else []
    return [*title, *table(rows), *note]


def _clips(piece: Clips, writer: Writer) -> list[Flowable]:
    flow: list[Flowable] = [writer.line(piece.title, HEADINGS[4])] if piece.title else []
    for clip in piece.clips:
        flow.append(writer.line(clip.label, TEXT, url=clip.url))
        said = clip.credit or "No recordings of the catalogue were used."
        flow.append(writer.line(" ".join(filter(None, [clip.silent, said])), SMALL))
    return flow


# --- Pictures ---------------------------------------------------------------------------------


class Drawn(Flowable):  # type: ignore[misc]  # reportlab has no types.
    """A picture as wide as the page, or as high where it would be higher."""

    def __init__(self, picture: Picture, missing: Missing) -> None:
        super().__init__()
        self.picture, self.missing = picture, missing
        self.scale = min(WIDTH / picture.width, HIGHEST / picture.height)
        self.width, self.height = picture.width * self.scale, picture.height * self.scale

    def draw(self) -> None:
        canvas = self.canv
        canvas.saveState()
        canvas.translate(0, self.height)
        canvas.scale(self.scale, -self.scale)
        for shape in self.picture.shapes:
            canvas.saveState()
            if isinstance(shape, Area) or (isinstance(shape, Path) and shape.inside):
                self._clip(canvas)
            self._shape(canvas, shape)
            canvas.restoreState()
        canvas.restoreState()

    def _clip(self, canvas: Canvas) -> None:
        left, top, right, bottom = self.picture.box or (0, 0, 0, 0)
        frame = canvas.beginPath()
        frame.rect(left, top - 1, right - left + 1, bottom - top + 2)
        canvas.clipPath(frame, stroke=0, fill=0)

    def _shape(self, canvas: Canvas, shape: object) -> None:
        match shape:
            case Path():
                canvas.setStrokeColor(_paint(shape.paint, shape.opacity))
                canvas.setLineWidth(shape.width)
                canvas.setLineJoin(1)
                canvas.setDash(DASHES.get(shape.dash, []))
                canvas.drawPath(_path(canvas, shape.points), stroke=1, fill=0)
            case Area():
                canvas.setFillColor(_paint(shape.paint, shape.opacity))
                canvas.drawPath(_path(canvas, shape.points), stroke=0, fill=1)
            case Box():
                canvas.setFillColor(_paint(shape.paint, shape.opacity))
                canvas.rect(shape.x, shape.y, shape.width, shape.height, stroke=0, fill=1)
            case Disc():
                canvas.setFillColor(_paint(shape.paint))
                canvas.circle(shape.x, shape.y, shape.radius, stroke=0, fill=1)
            case Label():
                self._label(canvas, shape)

    def _label(self, canvas: Canvas, label: Label) -> None:
        first = f"{BODY}-b" if label.is_bold else BODY
        stretches = list(pdf_fonts.runs(label.text, self.missing, first=first))
        wide = sum(pdfmetrics.stringWidth(text, font, SIZE) for font, text in stretches)
        x = label.x - {"middle": wide / 2, "end": wide}.get(label.anchor, 0.0)
        canvas.setFillColor(_paint(label.paint))
        # The picture's y goes down; letters go up.
        canvas.translate(x, label.y + SIZE * 0.35)
        canvas.scale(1, -1)
        along = 0.0
        for font, text in stretches:
            canvas.setFont(font, SIZE)
            canvas.drawString(along, 0, text)
            along += pdfmetrics.stringWidth(text, font, SIZE)


def _path(canvas: Canvas, points: object) -> object:
    path = canvas.beginPath()
    first, *others = list(points)  # type: ignore[call-overload]
    path.moveTo(*first)
    for point in others:
        path.lineTo(*point)
    return path


def _paint(paint: str, opacity: float = 1.0) -> Color:
    colour = HexColor(PAINTS[paint])
    return Color(colour.red, colour.green, colour.blue, alpha=opacity)
