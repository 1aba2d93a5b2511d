"""Markdown as the flowing parts of a PDF file, from the same tokens as the HTML of pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from markdown_it.token import Token
from reportlab.lib import colors
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Flowable, HRFlowable, Paragraph, Preformatted, Spacer, Table

from experiments.reports.export import pdf_fonts
from experiments.reports.export.pdf_fonts import BODY, MONO, Missing
from portal.inputs import markdown
from portal.inputs.markdown import Fence

# Points. A4 with margins of 18 mm.
WIDTH = 493.0
INK, MUTED, LINE = (colors.HexColor(text) for text in ("#191b1a", "#575c59", "#d5d6cf"))
LINK, BAD = "#0a635d", colors.HexColor("#a5182f")
SUNKEN = colors.HexColor("#f0f0ec")
INDENT, DEEPEST = 16.0, 8
MOST_COLUMNS = 14
# Characters of a line of code before it is broken.
CODE_WIDTH = 92

TEXT = ParagraphStyle(
    "text", fontName=BODY, fontSize=9.5, leading=13.5, textColor=INK, spaceAfter=5
)
SMALL = ParagraphStyle("small", TEXT, fontSize=8, leading=11, textColor=MUTED)
CELL = ParagraphStyle("cell", TEXT, fontSize=8, leading=10.5, spaceAfter=0)
NUMBER = ParagraphStyle("number", CELL, alignment=2)
HEAD = ParagraphStyle("head", CELL, textColor=MUTED)
HEAD_NUMBER = ParagraphStyle("head of numbers", HEAD, alignment=2)
ERROR = ParagraphStyle("error", TEXT, textColor=BAD)
CODE = ParagraphStyle(
    "code", TEXT, fontName=MONO, fontSize=8, leading=10.5, backColor=SUNKEN, borderPadding=3
)
HEADINGS = [
    ParagraphStyle(
        f"h{n}", TEXT, fontName=f"{BODY}-b", fontSize=size, leading=size * 1.3,
        spaceBefore=9, spaceAfter=4, keepWithNext=1,
    )
    for n, size in enumerate((18, 14, 11.5, 10.5, 9.5, 9.5), 1)
]  # fmt: skip

Show = Callable[[Fence], list[Flowable] | None]


@dataclass
class Writer:
    """Writes texts for one file. `show` is asked for each fenced block."""

    base: str
    missing: Missing
    show: Show
    flow: list[Flowable] = field(default_factory=list)

    def write(self, text: str, *, top: int = 2) -> list[Flowable]:
        """Return the flowing parts of a text."""
        pdf_fonts.load()
        tokens = markdown.parse(text, top=top)
        flow: list[Flowable] = []
        lists: list[_List] = []
        quotes = place = 0
        while place < len(tokens):
            token = tokens[place]
            match token.type:
                case "bullet_list_open" | "ordered_list_open":
                    start = int(token.attrGet("start") or 1)
                    lists.append(_List(start if token.type.startswith("ordered") else None))
                case "bullet_list_close" | "ordered_list_close":
                    lists.pop()
                case "list_item_open":
                    lists[-1].begin()
                case "blockquote_open" | "blockquote_close":
                    quotes += token.nesting
                case "inline":
                    level = tokens[place - 1].tag if place else "p"
                    flow.append(self._paragraph(token, level, lists, quotes))
                case "table_open":
                    end = _close(tokens, place, "table_close")
                    flow += self._table(tokens[place:end])
                    place = end
                case "fence" | "code_block":
                    flow += self._fence(token)
                case "hr":
                    flow.append(HRFlowable(width="100%", color=LINE, thickness=0.7, spaceAfter=6))
            place += 1
        return flow

    def text(self, words: str, *, first: str = BODY) -> str:
        """Return plain words as markup, each stretch in a font that has its characters."""
        return "".join(
            escape(part) if font == BODY else f"<font name={quoteattr(font)}>{escape(part)}</font>"
            for font, part in pdf_fonts.runs(words, self.missing, first=first)
        )

    def line(self, words: str, style: ParagraphStyle, url: str = "") -> Paragraph:
        """Return plain words as a paragraph, perhaps as a link to a page of the portal."""
        shown = self.text(words)
        return Paragraph(_link(shown, self._address(url)) if url else shown, style)

    def _paragraph(
        self, token: Token, level: str, lists: "Sequence[_List]", quotes: int
    ) -> Paragraph:
        heading = level[0] == "h" and level[1:].isdigit()
        style = HEADINGS[min(int(level[1:]), 6) - 1] if heading else TEXT
        depth = min(len(lists) + quotes, DEEPEST)
        bullet = lists[-1].take() if lists else ""
        if depth:
            style = ParagraphStyle(
                "indented", style, leftIndent=INDENT * depth, bulletIndent=INDENT * (depth - 1),
                textColor=MUTED if quotes else style.textColor, spaceAfter=3,
            )  # fmt: skip
        return self._marked(token, style, bullet)

    def _marked(self, token: Token, style: ParagraphStyle, bullet: str = "") -> Paragraph:
        markup = self._inline(token.children or [])
        try:
            return Paragraph(markup, style, bulletText=bullet or None)
        except ValueError:
            # Marks that overlap as no XML can have them: the words alone.
            words = "".join(child.content for child in token.children or ())
            return Paragraph(self.text(words), style, bulletText=bullet or None)

    def _inline(self, children: Sequence[Token]) -> str:
        tags = {"strong": "b", "em": "i", "s": "strike"}
        out: list[str] = []
        for child in children:
            name, _, end = child.type.rpartition("_")
            match child.type:
                case "text":
                    out.append(self.text(child.content))
                case "code_inline":
                    code = self.text(child.content, first=MONO)
                    out.append(f'<font name="{MONO}">{code}</font>')
                case "softbreak" | "hardbreak":
                    out.append("<br/>")
                case "link_open":
                    out.append(_opening(self._address(str(child.attrGet("href") or ""))))
                case "link_close":
                    out.append("</a>")
                case "image":
                    words = self.text(child.content or "picture")
                    out.append(_link(words, self._address(str(child.attrGet("src") or ""))))
                case _ if name in tags:
                    out.append(f"<{tags[name]}>" if end == "open" else f"</{tags[name]}>")
        return "".join(out)

    def _table(self, tokens: Sequence[Token]) -> list[Flowable]:
        rows: list[list[Flowable]] = []
        for place, token in enumerate(tokens):
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                opened = tokens[place - 1]
                right = "num" in str(opened.attrGet("class") or "")
                heads = opened.tag == "th"
                style = (HEAD_NUMBER if right else HEAD) if heads else (NUMBER if right else CELL)
                rows[-1].append(self._marked(token, style))
        return table(rows)

    def _fence(self, token: Token) -> list[Flowable]:
        found = markdown.fence(token)
        shown = self.show(found) if found is not None else None
        if shown is not None:
            return shown
        lines = token.content.rstrip("\n")
        code = "".join(
            part if font == MONO else pdf_fonts.BOX * len(part)
            for font, part in pdf_fonts.runs(lines, self.missing, first=MONO)
        )
        return [Preformatted(code, CODE, maxLineLength=CODE_WIDTH), Spacer(1, 6)]

    def _address(self, url: str) -> str:
        return f"{self.base}{url}" if url.startswith("/") else url


@dataclass
class _List:
    """A list that is open: the number of its next item, None with bullets."""

    number: int | None
    waiting: bool = False

    def begin(self) -> None:
        self.waiting = True

    def take(self) -> str:
        """Return what stands before the first paragraph of an item; nothing before others."""
        if not self.waiting:
            return ""
        self.waiting = False
        if self.number is None:
            return "•"
        self.number += 1
        return f"{self.number - 1}."


def table(rows: Sequence[Sequence[Flowable]]) -> list[Flowable]:
    """Return a table whose first row is repeated on each page; it is cut where a page ends. One of
    more columns than a page has room for goes on below, its first column again beside each part."""
    columns = max((len(row) for row in rows), default=0)
    whole = [[*row, *[""] * (columns - len(row))] for row in rows]
    if columns <= MOST_COLUMNS:
        return [_made(whole, columns), Spacer(1, 6)] if columns else []
    flow: list[Flowable] = []
    for start in range(1, columns, MOST_COLUMNS - 1):
        part = [[row[0], *row[start : start + MOST_COLUMNS - 1]] for row in whole]
        flow += [_made(part, len(part[0])), Spacer(1, 6)]
    return flow


def _made(rows: Sequence[Sequence[Flowable]], columns: int) -> Table:
    return Table(
        rows, colWidths=_widths(rows, columns), repeatRows=1, splitInRow=1, hAlign="LEFT",
        style=[
            ("LINEABOVE", (0, 0), (-1, 0), 0.8, INK), ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 6), ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ],
    )  # fmt: skip


def _widths(rows: Sequence[Sequence[Flowable]], columns: int) -> list[float]:
    """Return widths by what the columns hold, none of them lost beside a long one."""
    wants = [24.0] * columns
    for row in rows[:200]:
        for place, cell in enumerate(row):
            words = cell.getPlainText(identify=True) if isinstance(cell, Paragraph) else ""
            wants[place] = max(wants[place], min(len(words), 60) * 4.6 + 8)
    total = sum(wants)
    if total <= WIDTH:
        return wants
    least = min(36.0, WIDTH / columns)
    shared = [max(least, want * WIDTH / total) for want in wants]
    return [width * WIDTH / sum(shared) for width in shared]


def _close(tokens: Sequence[Token], start: int, kind: str) -> int:
    return next(n for n in range(start, len(tokens)) if tokens[n].type == kind)


def _opening(url: str) -> str:
    return f'<a href={quoteattr(url)} color="{LINK}">'


def _link(shown: str, url: str) -> str:
    return f"{_opening(url)}{shown}</a>"
