"""Formulas over metrics: `train/loss - val/loss`, `exp(loss)`, parsed here and never executed.

    + - * / **  ( )   numbers   step   names of metrics
    abs exp log log2 log10 sqrt   min(a, b)   max(a, b)

A name is written as it was logged, with its slashes and dots: `train/loss` is a metric, and
`loss / 2`, with spaces, a division. Names with other characters stand in quotation marks:
`"val loss" * 2`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from backline.columns import Float64

LONGEST = 300
# Of brackets, signs and functions inside each other.
DEEPEST = 40
TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<quoted>"[^"]*")
    |(?P<name>[^\W\d][\w./:@%]*)
    |(?P<sign>\*\*|[-+*/(),]))""",
    re.VERBOSE,
)
FUNCTIONS: dict[str, tuple[int, Callable[..., Float64]]] = {
    "abs": (1, np.abs),
    "exp": (1, np.exp),
    "log": (1, np.log),
    "log2": (1, np.log2),
    "log10": (1, np.log10),
    "sqrt": (1, np.sqrt),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
}
OPERATORS: dict[str, Callable[[Float64, Float64], Float64]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
}
STEP = "step"


class BadFormula(ValueError):
    """The formula cannot be read; `position` is the character at which, from 0."""

    code = "bad_formula"

    def __init__(self, sentence: str, position: int) -> None:
        super().__init__(f"{sentence} (character {position + 1})")
        self.position = position


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    position: int


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Name:
    name: str
    position: int


@dataclass(frozen=True)
class Call:
    """A function or an operator with its operands."""

    apply: Callable[..., Float64]
    operands: "tuple[Node, ...]"


Node = Number | Name | Call


@dataclass(frozen=True)
class Formula:
    """A formula that was read. `names` are its metrics, each once, in the order written."""

    text: str
    root: Node
    names: tuple[str, ...]

    @property
    def is_of_one(self) -> bool:
        """Whether one metric stands in it, once: only then its extremes follow from that one's."""
        return len(_places(self.root)) == 1

    def evaluate(self, values: Mapping[str, Float64], steps: Float64) -> Float64:
        """Return its value at each step; NaN or infinite where it has none, as of log(-1)."""
        with np.errstate(all="ignore"):
            found = _evaluate(self.root, {**values, STEP: steps})
        return np.broadcast_to(np.asarray(found, np.float64), steps.shape)


def parse(text: str) -> Formula:
    """Return the formula of a text; raise BadFormula."""
    if len(text) > LONGEST:
        raise BadFormula(f"The formula is longer than {LONGEST} characters", LONGEST)
    parser = _Parser(_tokens(text), text)
    root = parser.sum(0)
    parser.expect_end()
    names = dict.fromkeys(name.name for name in _places(root))
    if not names:
        raise BadFormula("The formula names no metric", 0)
    return Formula(text, root, tuple(names))


def _tokens(text: str) -> list[Token]:
    tokens, position = [], 0
    while text[position:].strip():
        match = TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            if text[start] == '"':
                raise BadFormula("This quotation mark is never closed", start)
            raise BadFormula(f"“{text[start]}” means nothing in a formula", start)
        kind = match.lastgroup or ""
        tokens.append(Token(kind, match[kind], match.start(kind)))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent: a sum of products of powers."""

    def __init__(self, tokens: list[Token], text: str) -> None:
        self.tokens, self.at = tokens, 0
        self.end = len(text.rstrip())

    def next_is(self, *signs: str) -> str:
        """Return the next sign if it is one of these, and go past it; else nothing."""
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind == "sign" and token.text in signs:
                self.at += 1
                return token.text
        return ""

    @property
    def position(self) -> int:
        return self.tokens[self.at].position if self.at < len(self.tokens) else self.end

    def sum(self, depth: int) -> Node:
        left = self.product(depth)
        while sign := self.next_is("+", "-"):
            left = Call(OPERATORS[sign], (left, self.product(depth)))
        return left

    def product(self, depth: int) -> Node:
        left = self.signed(depth)
        while sign := self.next_is("*", "/"):
            left = Call(OPERATORS[sign], (left, self.signed(depth)))
        return left

    def signed(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise BadFormula("There is too much inside each other here", self.position)
        if self.next_is("-"):
            return Call(np.negative, (self.signed(depth + 1),))
        if self.next_is("+"):
            return self.signed(depth + 1)
        base = self.term(depth)
        # From the right, as in mathematics: 2 ** 3 ** 2 is 2 ** 9.
        if self.next_is("**"):
            return Call(OPERATORS["**"], (base, self.signed(depth + 1)))
        return base

    def term(self, depth: int) -> Node:
        position = self.position
        if self.next_is("("):
            inside = self.sum(depth + 1)
            self.expect(")")
            return inside
        if self.at == len(self.tokens) or self.tokens[self.at].kind == "sign":
            raise BadFormula("A number or the name of a metric is missing here", position)
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "number":
            return Number(float(token.text))
        if token.kind == "name" and self.next_is("("):
            return self.call(token, depth)
        name = token.text[1:-1] if token.kind == "quoted" else token.text
        if not name:
            raise BadFormula("A name is missing between these quotation marks", position)
        return Name(name, position)

    def call(self, token: Token, depth: int) -> Node:
        if token.text not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise BadFormula(
                f"There is no function {token.text[:40]}; there are {known}", token.position
            )
        count, apply = FUNCTIONS[token.text]
        operands = [self.sum(depth + 1)]
        while self.next_is(","):
            operands.append(self.sum(depth + 1))
        self.expect(")")
        if len(operands) != count:
            raise BadFormula(f"{token.text} takes {count} value{'s'[: count - 1]}", token.position)
        return Call(apply, tuple(operands))

    def expect(self, sign: str) -> None:
        position = self.position
        if not self.next_is(sign):
            raise BadFormula(f"“{sign}” is missing here", position)

    def expect_end(self) -> None:
        if self.at < len(self.tokens):
            token = self.tokens[self.at]
            raise BadFormula(f"“{token.text[:20]}” follows without + - * or /", token.position)


def _places(node: Node) -> list[Name]:
    """Return where metrics stand in a formula, each as often as it does."""
    if isinstance(node, Name):
        return [] if node.name == STEP else [node]
    if isinstance(node, Call):
        return [place for operand in node.operands for place in _places(operand)]
    return []


def _evaluate(node: Node, values: Mapping[str, Float64]) -> Float64 | float:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Name):
        return values[node.name]
    return node.apply(*(_evaluate(operand, values) for operand in node.operands))
