"""From a query line to what it is made of: recursive descent, nothing is ever evaluated.

any      = all { "or" all }
all      = one { ["and"] one }                  what stands side by side has to hold together
one      = "not" one | "-" one | "(" any ")" | comparison
comparison = side { operator side }             0.1 < run.lr <= 1 is two comparisons
"""

from backline import bounds
from experiments.run_table.query import scanner as pieces
from experiments.run_table.query.errors import BadQuery
from experiments.run_table.query.scanner import Scanner
from experiments.run_table.query.syntax import (
    All,
    Any,
    Compare,
    Literal,
    Node,
    Not,
    Operator,
    Path,
    Span,
)

MAX_LENGTH = 500
MAX_TERMS = 20
MAX_DEPTH = 20
MAX_LISTED = 100
# The other way round: 0.1 < run.lr is run.lr > 0.1.
MIRRORED: dict[str, Operator] = {
    "<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!=",
}  # fmt: skip
METHODS: dict[str, Operator] = {
    "startswith": "startswith", "endswith": "endswith", "contains": "contains",
}  # fmt: skip
# A name after one of these is a field; any other that stands alone is searched for.
PREFIXES = ("run", "config", "metric", "metrics", "resources")
# Fields that are compared with each other would need this on the right.
OF_A_FIELD = ("run.", "metric.", "metrics.", "metrics[", "metric[", "config[", "config.", "run[")


def parse(text: str) -> list[Node]:
    """Return what all has to hold; raise BadQuery if the line cannot be read."""
    if len(text) > MAX_LENGTH:
        raise BadQuery(
            f"The query is {len(text):,} characters long; at most {MAX_LENGTH} go.",
            MAX_LENGTH,
            len(text) - MAX_LENGTH,
        )
    return _Parser(_readable(text)).whole()


def parts(text: str) -> list[str]:
    """Return the terms that all have to hold, as they are written; raise BadQuery."""
    parser = _Parser(_readable(text))
    nodes = parser.whole()
    if len(nodes) != len(parser.outer):
        # Alternatives: no part of the line stands for itself.
        return [text.strip()] if nodes else []
    return [text[start:end].strip() for start, end in parser.outer]


def _readable(text: str) -> str:
    """Return as many characters, so that an error is where it was written."""
    return bounds.UNREADABLE.sub(bounds.LOST, text.replace("\0", " "))


class _Parser:
    def __init__(self, text: str) -> None:
        self.scan = Scanner(text)
        self.terms = 0
        self.depth = 0
        # Where the terms outside of all brackets begin and end.
        self.outer: list[tuple[int, int]] = []

    def whole(self) -> list[Node]:
        if self.scan.at_end:
            return []
        node = self._any()
        if not self.scan.at_end:
            start = self.scan.position
            self.scan.position += 1
            raise self.scan.bad("A bracket is closed that was never opened.", start)
        return list(node.items) if isinstance(node, All) else [node]

    # --- and, or, not ---------------------------------------------------------------------------

    def _any(self) -> Node:
        items = [self._all()]
        while self.scan.keyword("or"):
            items.append(self._all())
        return items[0] if len(items) == 1 else Any(tuple(items))

    def _all(self) -> Node:
        items = [self._one()]
        while self.scan.keyword("and") or self._another():
            items.append(self._one())
        return items[0] if len(items) == 1 else All(tuple(items))

    def _another(self) -> bool:
        """Return whether what follows belongs to the same side of an `or`."""
        if self.scan.at_end or self.scan.sees(")"):
            return False
        before = self.scan.position
        ends = self.scan.keyword("or")
        self.scan.position = before
        return not ends

    def _one(self) -> Node:
        self.depth += 1
        self.scan.skip_space()
        start = self.scan.position
        if self.depth > MAX_DEPTH:
            raise BadQuery(f"At most {MAX_DEPTH} brackets and nots go into each other.", start)
        minus = self.scan.sees("-") and not pieces.FIRST.match(self.scan.text, start)
        if self.scan.keyword("not") or (minus and self.scan.take("-")):
            node: Node = Not(self._one())
        elif self.scan.take("("):
            node = self._any()
            if not self.scan.take(")"):
                raise BadQuery("A bracket is opened and never closed.", start)
        else:
            node = self._comparison()
        self.depth -= 1
        if not self.depth:
            self.outer.append((start, self.scan.position))
        return node

    # --- One comparison, or a chain of them -----------------------------------------------------

    def _comparison(self) -> Node:
        start = self.scan.position
        found: list[Compare] = []
        side = self.scan.first_literal() or self.scan.path()
        if side is None:
            raise self._nothing(start)
        while (operator := self._operator(side)) is not None:
            name, negated = operator
            right = self._right(side, name)
            found.append(self._compare(side, name, right, start))
            if negated:
                return Not(found[-1])
            # In a chain the middle belongs to both; a chain of signs alone.
            if name not in MIRRORED or isinstance(right, tuple):
                break
            side = right
        if not found:
            found.append(self._alone(side, start))
        self.terms += len(found)
        if self.terms > MAX_TERMS:
            raise BadQuery(
                f"The query has more than {MAX_TERMS} terms; at most {MAX_TERMS} go.",
                start,
                self.scan.position - start,
            )
        return found[0] if len(found) == 1 else All(tuple(found))

    def _operator(self, side: Literal | Path) -> tuple[Operator, bool] | None:
        """Go past an operator; return it, and whether it stands for its opposite."""
        start = self.scan.position
        if isinstance(side, Path) and self.scan.text.startswith("(", start):
            return self._method(side)
        if sign := self.scan.operator():
            return ("==" if sign == "=" else sign), False  # type: ignore[return-value]
        for words, name, negated in WORDS:
            if self.scan.keyword(*words):
                return name, negated
        self.scan.position = start
        return None

    def _method(self, path: Path) -> tuple[Operator, bool]:
        name = path.parts[-1]
        if name not in METHODS or len(path.parts) == 1:
            raise BadQuery(
                "A name and a bracket right after it is a call; known are .startswith(…), "
                ".endswith(…) and .contains(…).",
                path.span.position,
                path.span.length,
            )
        return METHODS[name], False

    def _right(self, left: Literal | Path, operator: str) -> Literal | Path | tuple[Literal, ...]:
        start = self.scan.position
        self.scan.skip_space()
        if operator == "in":
            if self.scan.sees("(") or self.scan.sees("["):
                return self._list()
            found: Literal | Path | None = self.scan.path()
        elif operator in METHODS.values():
            return self._argument()
        elif isinstance(left, Literal):
            found = self.scan.path()
            if found is None and not self.scan.at_end:
                raise self.scan.bad(
                    "A comparison needs a field on one side, like run.lr.", left.span.position
                )
        else:
            loose = self.scan.text[start - 1 : start] in {"=", ":"} and (
                self.scan.text[start - 2 : start] not in {"==", "!=", "<=", ">="}
            )
            found = self.scan.value(pieces.LOOSE if loose else pieces.TIGHT)
            if not loose and isinstance(found, Literal):
                self._refuse_field(found)
        if found is None or (
            isinstance(found, Literal) and not found.text.strip() and not found.quoted
        ):
            raise self.scan.bad(
                f"Nothing stands after “{self.scan.text[left.span.position : start].strip()}”.",
                left.span.position,
            )
        return found

    def _refuse_field(self, literal: Literal) -> None:
        if not literal.quoted and literal.text.startswith(OF_A_FIELD):
            raise BadQuery(
                f"A field is compared with a value, and “{literal.text[:40]}” is a field, too. "
                "A text stands in quotes.",
                literal.span.position,
                literal.span.length,
            )

    def _list(self) -> tuple[Literal, ...]:
        start = self.scan.position
        closing = ")" if self.scan.take("(") else "]"
        if closing == "]":
            self.scan.take("[")
        listed: list[Literal] = []
        while not self.scan.take(closing):
            literal = self.scan.value(pieces.IN_A_LIST)
            if literal is None or len(listed) >= MAX_LISTED:
                raise self.scan.bad(
                    f"At most {MAX_LISTED} values go into a list."
                    if literal
                    else f"In a list stand values between commas, and “{closing}” after the last.",
                    start,
                )
            listed.append(literal)
            if not self.scan.take(",") and not self.scan.sees(closing):
                raise self.scan.bad(f"After a value in a list comes a comma or “{closing}”.", start)
        if not listed:
            raise self.scan.bad("Nothing stands in the list.", start)
        return tuple(listed)

    def _argument(self) -> Literal:
        start = self.scan.position
        self.scan.take("(")
        literal = self.scan.value(pieces.IN_A_LIST)
        if literal is None or not self.scan.take(")"):
            raise self.scan.bad('In the brackets stands one text: run.name.startswith("x").', start)
        return literal

    # --- What it says -----------------------------------------------------------------------------

    def _compare(
        self, left: Literal | Path, operator: Operator, right: object, start: int
    ) -> Compare:
        span = self.scan.span(start)
        if isinstance(left, Path) and operator in METHODS.values() and isinstance(right, Literal):
            bare = left.parts[:-1]
            written = left.written[: -len(left.parts[-1]) - 1]
            path = Path(bare, left.bracketed, written, Span(left.span.position, len(written)))
            return Compare(path, operator, (right,), span)
        if isinstance(left, Path) and isinstance(right, tuple):
            return Compare(left, "in", right, span)
        if isinstance(right, Path) and operator == "in":
            return Compare(right, "contains", (_as_literal(left),), span)
        if isinstance(left, Literal) and isinstance(right, Path):
            if operator not in MIRRORED:
                raise BadQuery(f"“{operator}” needs a field before it.", start, span.length)
            return Compare(right, MIRRORED[operator], (left,), span)
        if isinstance(left, Path) and isinstance(right, Literal):
            return Compare(left, operator, self._alternatives(operator, right), span)
        raise BadQuery("A comparison needs a field on one side, like run.lr.", start, span.length)

    def _alternatives(self, operator: str, literal: Literal) -> tuple[Literal, ...]:
        """Split `state:failed,cancelled` at its commas; a text in quotes is a single value."""
        if literal.quoted or operator not in {":", "==", "!="} or "," not in literal.text:
            return (literal,)
        listed, place = [], literal.span.position
        for text in literal.text.split(","):
            if text:
                listed.append(Literal(text, False, Span(place, len(text))))
            place += len(text) + 1
        return tuple(listed) or (literal,)

    def _alone(self, side: Literal | Path, start: int) -> Compare:
        """Read what is compared with nothing: `run.failed`, or a word of the name."""
        if isinstance(side, Path) and side.parts[0] in PREFIXES and any(side.parts[1:]):
            return Compare(side, "true", (), self.scan.span(start))
        literal = side
        if isinstance(side, Path):
            self.scan.position = start
            literal = self.scan.word() or _as_literal(side)
        assert isinstance(literal, Literal)  # noqa: S101 - for the types alone.
        name = Path(("name",), None, "name", literal.span)
        return Compare(name, ":", (Literal(literal.text, True, literal.span),), literal.span)

    def _nothing(self, start: int) -> BadQuery:
        rest = self.scan.text[start : start + 20]
        if not rest.strip():
            return BadQuery("Something is missing at the end.", max(start - 1, 0))
        return BadQuery(f"“{rest}” has nothing before it to compare.", start, len(rest))


WORDS: tuple[tuple[tuple[str, ...], Operator, bool], ...] = (
    (("not", "in"), "in", True),
    (("in",), "in", False),
    (("is", "not"), "is", True),
    (("is",), "is", False),
    (("not", "matches"), "matches", True),
    (("matches",), "matches", False),
)


def _as_literal(side: Literal | Path) -> Literal:
    return side if isinstance(side, Literal) else Literal(side.written, False, side.span)
