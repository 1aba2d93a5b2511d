"""Markdown of people becomes HTML that can do nothing on our pages, and quickly."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.inputs import markdown

TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("img", "table", "thead", "tbody", "tr", "th", "td", "h3", "h4", "h5", "h6"),
}  # fmt: skip
ATTRIBUTES = {
    *(("a", "href"), ("a", "rel"), ("a", "title"), ("ol", "start"), ("code", "class")),
    *(("img", "src"), ("img", "alt"), ("img", "loading"), ("th", "class"), ("td", "class")),
}  # fmt: skip


class Reader(HTMLParser):
    """Collects what a browser would make of the HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        values = dict(attrs)
        if tag == "a":
            assert values["rel"] == "nofollow noopener"
            self.links.append(values["href"] or "")
        if tag == "img":
            self.pictures.append(values["src"] or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(markdown.render(text))
    reader.close()
    return reader


def test_what_people_write_looks_as_they_mean_it() -> None:
    html = markdown.render(
        "# Seeds\n\nThe *best* of ~~four~~ **five**\nruns:\n\n"
        "| seed | loss |\n|--|--:|\n| 3 | `0.1` |\n"
    )
    assert "<h3>Seeds</h3>" in html
    assert "The <em>best</em> of <s>four</s> <strong>five</strong><br" in html
    assert '<th class="num">loss</th>' in html
    assert '<td class="num"><code>0.1</code></td>' in html
    assert markdown.render("# A\n\n###### B", top=2) == "<h2>A</h2>\n<h6>B</h6>\n"


def test_a_bare_address_is_a_link_without_the_full_stop_behind_it() -> None:
    reader = read("See https://example.org/a?b=1&c=2, (http://example.org/d).")
    assert reader.links == ["https://example.org/a?b=1&c=2", "http://example.org/d"]
    assert reader.text.strip() == "See https://example.org/a?b=1&c=2, (http://example.org/d)."
    assert read("`https://example.org`").links == []
    assert read("[https://example.org](/here)").links == ["/here"]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='/' onclick=alert(1)>x</a>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java&#10;script:alert(1))",
        "[x](&#x6A;avascript:alert(1))",
        "[x](\x01javascript:alert(1))",
        "[x](<java\tscript:alert(1)>)",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](data:image/svg+xml,<svg/onload=alert(1)>)",
        "[x](vbscript:msgbox)",
        "[x](file:///etc/passwd)",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
        "![x](/a.png\"onerror=alert(1))",
        "[x](/a \"t' onmouseover='alert(1)\")",
        "```\"><script>alert(1)</script>\nx\n```",
        "```x onclick=alert(1)\nx\n```",
        "|<script>|\n|--|\n|<svg/onload=alert(1)>|",
    ],
)  # fmt: skip
def test_nothing_of_a_text_runs(text: str) -> None:
    reader = read(text)
    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES
    for link in [*reader.links, *reader.pictures]:
        assert link.startswith(("/", "http://", "https://", "mailto:"))


@given(st.text(alphabet="[]()!<>*_`~|#-\n\\&\"':/ abjhtps;x0.", max_size=120))
@settings(max_examples=150, deadline=None)
def test_no_text_makes_another_tag_or_address(text: str) -> None:
    reader = read(text)
    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES
    assert all(markdown.is_safe_link(link) for link in [*reader.links, *reader.pictures])


def test_pictures_load_from_our_own_pages_alone() -> None:
    assert read("![s](/samples/3/spectrogram.png)").pictures == ["/samples/3/spectrogram.png"]
    for elsewhere in (
        "https://evil.example/p.png",
        "//evil.example/p.png",
        "p.png",
        # An original is fetched on the record: a picture would put its reader there.
        "/rights/recordings/3/original",
    ):
        reader = read(f"![s]({elsewhere})")
        assert (reader.pictures, len(reader.links)) == ([], 1)
    assert read("[![s](https://evil.example/p.png)](/a)").links == ["/a"]


@pytest.mark.parametrize(
    "unit",
    ["[", "![", "[[a]", "[a][b", "*_", "<", "&", "> ", "| ", "`a ", "~~a", "[*a", "\n"],
)  # fmt: skip
def test_no_text_takes_long(unit: str) -> None:
    text = unit * (40_000 // len(unit))
    start = time.process_time()
    html = markdown.render(text)
    assert time.process_time() - start < 3
    assert len(html) < 10 * len(text)


def test_a_table_of_short_rows_is_not_filled_up_without_end() -> None:
    text = "a|" * 2000 + "\n" + "-|" * 2000 + "\n" + "x\n" * 6000
    assert len(markdown.render(text)) < 10 * len(text)


def test_a_text_beyond_the_bound_is_shown_as_typed() -> None:
    html = markdown.render("<b>" + "[" * 1_000_000)
    assert html.startswith("<pre>&lt;b&gt;[[[")
    assert len(html) < 2 * markdown.LONGEST
