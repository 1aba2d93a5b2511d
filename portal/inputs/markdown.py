"""Markdown that people write, as HTML that is safe on our pages: notes, comments, reports.

`render` is the one renderer of the product. It knows CommonMark, tables, ~~strikethrough~~ and bare
addresses. HTML in a text is shown as it was typed. Links lead to http, https, mailto or our own
pages, and are marked as somebody's own (rel="nofollow noopener"). Pictures load from our own
addresses alone, so that no reader is counted elsewhere; another picture is a link to it. No text
makes it slow.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.image import image
from markdown_it.rules_inline.link import link
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

# In characters; what is longer is shown as it was typed, up to here.
LONGEST = 100_000
DEEPEST = 20
SCHEMES = frozenset({"http", "https", "mailto"})
REL = "nofollow noopener"
# Browsers leave these out of an address before they read its scheme, which ends at its first colon.
IGNORED = re.compile(r"[\0-\x20\x7f]")
SCHEME = re.compile(r"([^/?#:]*):")
PICTURE = re.compile(r"/[^/\\][^\\?#]*\.(png|jpe?g|webp|gif)(\?[^#]*)?", re.IGNORECASE)
ADDRESS = re.compile(r"https?://[^\s<>\"'`|]+[^\s<>\"'`|.,:;!?)\]}*_~]")
# Characters that brackets which never close may be followed through, all together.
BRACKET_BUDGET = 500_000
# Cells: short rows are filled up to the length of the first.
TABLE_BUDGET = 40_000


@dataclass(frozen=True)
class Fence:
    """A block between ``` and ```: the word behind the first ones, its text, and the number of its
    first line in the whole text, counted from 1."""

    word: str
    text: str
    line: int


# Returns what stands in place of a fenced block; None for one that is shown as code.
Show = Callable[[Fence], SafeString | None]


def render(text: str, *, top: int = 3, show: Show | None = None, base: str = "") -> SafeString:
    """Return the text as HTML; its largest heading becomes <h{top}>, as it stands on a page. `show`
    is asked for each fenced block, and answers for the safety of what it returns. For a file `base`
    is the address of the portal: links to our own pages begin with it, and pictures are links."""
    if len(text) > LONGEST:
        return mark_safe(f"<pre>{escape(text[:LONGEST])}…</pre>")  # noqa: S308 - escaped.
    env: dict[str, Any] = {"top": top, "spent": 0, "show": show, "base": base}
    return mark_safe(str(_parser_for(text).render(text, env)))  # noqa: S308 - nothing of a text is left unescaped.


def parse(text: str, *, top: int = 1) -> list[Token]:
    """Return the tokens of the text, for what is written in another form than HTML."""
    text = text[:LONGEST]
    return _parser_for(text).parse(text, {"top": top, "spent": 0})


def fence(token: Token) -> Fence | None:
    """Return the fenced block that a token is; None for every other token."""
    if token.type != "fence":
        return None
    word = (token.info.split() or [""])[0]
    return Fence(word, token.content, (token.map or [0])[0] + 2)


def is_safe_link(url: str) -> bool:
    """Return whether a text may link to this: http, https, mailto, or an address without scheme."""
    match = SCHEME.match(IGNORED.sub("", url))
    return match is None or match[1].lower() in SCHEMES


def _parser_for(text: str) -> MarkdownIt:
    return PLAIN if _wide_tables(text) else FULL


def _wide_tables(text: str) -> bool:
    lines = text.splitlines()
    widest = max((line.count("|") for line in lines), default=0)
    return widest > 3 and widest * len(lines) > TABLE_BUDGET


def from_outside(address: str, env: EnvType) -> str:
    """Return an address as a file has it: one of our own pages with the portal before it."""
    base = str(env.get("base") or "")
    return f"{base}{address}" if base and address.startswith("/") else address


def _within_budget(
    rule: Callable[[StateInline, bool], bool],
) -> Callable[[StateInline, bool], bool]:
    """Let brackets be brackets once too many of them have led to nothing: each is followed to the
    end of its paragraph, so a page of them would take minutes."""

    def bounded(state: StateInline, silent: bool) -> bool:
        if state.env["spent"] > BRACKET_BUDGET or state.src[state.pos] not in "[!":
            return False
        start = state.pos
        done = rule(state, silent)
        if not done:
            state.env["spent"] += state.posMax - start
        return done

    return bounded


def _link_addresses(state: StateCore) -> None:
    """Make links of addresses that stand bare in a text."""
    for block in state.tokens:
        if block.type != "inline" or "://" not in block.content:
            continue
        inside, children = 0, []
        for token in block.children or ():
            inside += {"link_open": 1, "link_close": -1}.get(token.type, 0)
            children += [token] if inside or token.type != "text" else _linked(token)
        block.children = children


def _linked(token: Token) -> list[Token]:
    parts, end = [], 0
    for match in ADDRESS.finditer(token.content):
        parts += _text(token.content[end : match.start()], token.level)
        opening = Token("link_open", "a", 1, attrs={"href": match[0]}, level=token.level)
        closing = Token("link_close", "a", -1, level=token.level)
        parts += [opening, *_text(match[0], token.level + 1), closing]
        end = match.end()
    return [*parts, *_text(token.content[end:], token.level)] if parts else [token]


def _text(content: str, level: int) -> list[Token]:
    return [Token("text", "", 0, content=content, level=level)] if content else []


def _fit_page(state: StateCore) -> None:
    """Give headings the sizes that are free on the page, and cells a class for their alignment."""
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1:]) + state.env['top'] - 1, 6)}"
        elif token.type in {"th_open", "td_open"}:
            style = str(token.attrs.pop("style", ""))
            if style.endswith((":right", ":center")):
                token.attrs["class"] = "num" if style.endswith(":right") else "centre"


def _open_link(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    tokens[index].attrSet("rel", REL)
    tokens[index].attrSet("href", from_outside(str(tokens[index].attrGet("href")), env))
    return renderer.renderToken(tokens, index, options, {})


def _fence(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    found, show = fence(tokens[index]), env.get("show")
    shown = show(found) if show is not None and found is not None else None
    return shown if shown is not None else renderer.fence(tokens, index, options, env)


def _picture(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    source = str(token.attrs["src"])
    label = renderer.renderInlineAsText(token.children or [], options, env)
    words = escape(label or "picture")
    if PICTURE.fullmatch(source) and not env.get("base"):
        return f'<img src="{escape(source)}" alt="{escape(label)}" loading="lazy">'
    # No link in a link: the words alone, where the picture is one's label.
    opened = sum(other.nesting for other in tokens[:index] if other.tag == "a")
    address = escape(from_outside(source, env))
    return words if opened else f'<a href="{address}" rel="{REL}">{words}</a>'


def _parser(*features: str) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": DEEPEST})
    parser.enable(["strikethrough", *features])
    parser.disable(["html_block", "html_inline"])
    parser.validateLink = is_safe_link  # type: ignore[method-assign]
    parser.inline.ruler.at("link", _within_budget(link))
    parser.inline.ruler.at("image", _within_budget(image))
    parser.core.ruler.push("addresses", _link_addresses)
    parser.core.ruler.push("fit_page", _fit_page)
    parser.add_render_rule("link_open", _open_link)
    parser.add_render_rule("image", _picture)
    parser.add_render_rule("fence", _fence)
    return parser


FULL = _parser("table")
PLAIN = _parser()
