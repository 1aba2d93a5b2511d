"""What a block says, what its pieces hold, and how they are drawn: without a database."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from experiments.reports import blocks, changes, drawing, pieces, tables
from experiments.reports.blocks import BadBlock, Block
from experiments.reports.pieces import Bar, Cell, Chart, Dot, Head, Line, Row, Share, Table, Words
from portal.inputs import markdown

HOSTILE = '"><script>alert(1)</script>'
KEYS = ("query", "y", "rows", "frozen")


def block(text: str, line: int = 10) -> Block:
    return Block("chart", text, line)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("query: a\nqeury: b", 11, "Did you mean “query”?"),
        ("just words", 10, "is no line of a block"),
        ("\n" * 70 + "query: x", 80, "at most 60 lines"),
        ("<script>: x", 10, "is not known here"),
    ],
)
def test_what_is_no_line_of_a_block_is_said_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(BadBlock) as refusal:
        block(text).options(KEYS)
    assert words in str(refusal.value)
    assert refusal.value.line == line


def test_values_are_read_by_their_kind() -> None:
    options = block("y: loss, val/loss\ny: =min(a, b)\nrows: 7\nfrozen: Yes\nquery:").options(KEYS)
    assert options.listed("y") == ["loss", "val/loss", "=min(a, b)"]
    assert options.number("rows", 1, least=1, most=9) == 7
    assert options.flag("frozen")
    assert "query" not in options
    wrong: list[tuple[str, Callable[[blocks.Options], object]]] = [
        ("rows: ٣", lambda o: o.number("rows", 1, least=1, most=9)),
        ("rows: 99999999999999999999", lambda o: o.number("rows", 1, least=1, most=9)),
        ("frozen: perhaps", lambda o: o.flag("frozen")),
        ("query: a\nquery: b", lambda o: o.text("query")),
        ("query: pie", lambda o: o.choice("query", ("bars", "curves"))),
    ]
    for text, read in wrong:
        with pytest.raises(BadBlock):
            read(block(text).options(KEYS))


def test_a_block_is_known_by_what_it_says_and_found_where_markdown_has_it() -> None:
    assert block("y: a\n\n  rows: 3 ").key == block("y: a\nrows: 3", line=99).key
    assert block("y: a").key != block("y: b").key
    text = (
        "# A\n\n```chart\ny: loss\n```\n\n    ```chart\n    code\n    ```\n\n"
        "- item\n  ```runs\n  rows: 2\n  ```\n\n~~~chart extra words\ny: lr\n~~~\n\n"
        "```python\nx\n```"
    )
    found = [(one.kind, one.line) for one in blocks.find(text, ("chart", "runs"))]
    assert found == [("chart", 4), ("runs", 13), ("chart", 17)]
    assert markdown.render("```python\n<b>\n```").startswith(
        '<pre><code class="language-python">&lt;'
    )


def chart(**fields: object) -> Chart:
    return Chart.model_validate({"kind": "curves", "title": HOSTILE, **fields})


LINES = [
    Line(label=HOSTILE, colour=1, runs=["a"], x=[0, 1, 2, 3], y=[3, None, 1, 2]),
    Line(label="two", colour=2, runs=["b"], dash="dot", x=[0, 5], y=[1e-9, 1e9],
         low=[None, 1], high=[2, 3]),
    Line(label="one point", colour=3, runs=["c"], x=[2], y=[-4]),
]  # fmt: skip
DOTS = [
    Dot(label=HOSTILE, colour=1, runs=["a"], values=[1, 2.0, "bf16"]),
    Dot(label="b", colour=2, runs=["b"], values=[None, 5, None]),
    Dot(label="c", colour=3, runs=["c"], values=[0, -5, "fp32"]),
]
FIELDS = [HOSTILE, "y", "z"]
NUMBERS = [d.model_copy(update={"values": [*d.values[:2], n]}) for n, d in enumerate(DOTS)]
BARS = [
    Bar(label=HOSTILE, colour=1, runs=["a", "b"], n=2, mean=-1, low=-3, high=1),
    Bar(label="b", colour=2, runs=["c"], n=1, mean=0),
]


@pytest.mark.parametrize(
    "drawn",
    [
        chart(lines=LINES),
        chart(lines=LINES, log_x=True, log_y=True, clip=True),
        chart(lines=LINES, x="wall", x_kind="wall"),
        chart(lines=LINES[2:], x="relative", x_kind="relative"),
        chart(lines=[LINES[0].model_copy(update={"x": [], "y": []})]),
        chart(lines=LINES * 40),
        chart(kind="scatter", fields=FIELDS, dots=DOTS),
        chart(kind="scatter", fields=FIELDS[:2], dots=DOTS, log_x=True, log_y=True),
        chart(kind="contour", fields=FIELDS, dots=NUMBERS),
        chart(kind="parallel", fields=FIELDS, dots=DOTS),
        chart(kind="parallel", fields=FIELDS, dots=NUMBERS, log_y=True),
        chart(kind="bars", fields=["x"], bars=BARS),
        chart(kind="importance", fields=["x"], shares=[Share(label=HOSTILE, share=0.7, trend=-1)]),
        chart(kind="importance", fields=["x"], shares=[Share(label="none", share=0)]),
        chart(kind="bars"),
    ],
)
def test_every_kind_is_drawn_whatever_is_missing_and_no_text_is_markup(drawn: Chart) -> None:
    svg = str(drawing.svg(drawn))
    picture = ET.fromstring(svg)  # noqa: S314 - our own.
    assert picture.get("aria-label") == HOSTILE
    assert "<script" not in svg
    assert not re.search(r"\bnan\b", svg, re.IGNORECASE)
    assert tables.behind(drawn).heads
    assert pieces.load(pieces.dump([drawn])) == [drawn]


def test_what_rests_on_a_run_goes_with_it() -> None:
    table = Table(
        heads=[Head(title="Run")],
        rows=[Row(cells=[Cell(text="1")], runs=["a"]), Row(cells=[Cell(text="2")], runs=["b"])],
    )
    bars, whole = chart(kind="bars", bars=BARS), chart(kind="importance", runs=["a", "b", "c"])
    everything = [table, chart(lines=LINES), bars, whole, Words(text="said")]
    assert pieces.runs_of(everything) == {"a", "b", "c"}
    assert pieces.keep(everything, {"a", "b", "c"}) == everything
    kept = pieces.keep(everything, {"b", "c"})
    assert [row.cells[0].text for row in kept[0].rows] == ["2"]  # type: ignore[union-attr]
    assert [line.label for line in kept[1].lines] == ["two", "one point"]  # type: ignore[union-attr]
    # The mean of a group of two would say what the other one had.
    assert [bar.label for bar in kept[2].bars] == ["b"]  # type: ignore[union-attr]
    assert "4 parts of it are left out" in kept[-1].text  # type: ignore[union-attr]
    assert "cannot be read" in pieces.load([{"type": "pie"}])[0].text  # type: ignore[union-attr]


def test_a_change_is_shown_line_by_line_and_one_that_is_too_large_as_a_whole() -> None:
    before, after = "a\nb\nc\nd\ne\nf", "a\nb\nc\nX\ne\nf"
    shown = [(line.mark, line.text) for line in changes.lines(before, after)]
    assert shown == [("", "b"), ("", "c"), ("-", "d"), ("+", "X"), ("", "e"), ("", "f")]
    assert changes.lines(before, before) == []
    many = changes.lines("x\n" * 3_000, "y\n" * 3_000)
    assert (many[0].mark, many[-1].mark, len(many)) == ("-", "+", 6_000)
