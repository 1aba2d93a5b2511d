"""What a query line is made of, once it has been read."""

from dataclasses import dataclass
from typing import Literal as OneOf

Operator = OneOf[
    "==", "!=", "<", "<=", ">", ">=", ":", "in", "contains", "startswith", "endswith", "matches",
    "is", "true",
]  # fmt: skip


@dataclass(frozen=True)
class Span:
    """A piece of the line."""

    position: int
    length: int


@dataclass(frozen=True)
class Literal:
    """A value as it is written; `text` is without the quotes."""

    text: str
    quoted: bool
    span: Span

    @property
    def constant(self) -> object:
        """True, False or None, in the spelling of Python and of JSON; else the literal itself."""
        return self if self.quoted else CONSTANTS.get(self.text, self)


CONSTANTS: dict[str, object] = {
    "True": True, "true": True, "False": False, "false": False, "None": None, "null": None,
}  # fmt: skip


@dataclass(frozen=True)
class Path:
    """The name of a field: `run.lr`, `metrics["val loss"].min`.

    `written` is what stands in the line, and `bracketed` the place of the part in brackets, which
    is a name as it is, whatever dots it has; None if there is none.
    """

    parts: tuple[str, ...]
    bracketed: int | None
    written: str
    span: Span

    @property
    def text(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True)
class Compare:
    """A field and what its value is held against; any one of several literals is enough."""

    path: Path
    operator: Operator
    literals: tuple[Literal, ...]
    span: Span

    @property
    def value(self) -> str:
        return self.literals[0].text if self.literals else ""


@dataclass(frozen=True)
class Not:
    inner: "Node"


@dataclass(frozen=True)
class All:
    """Every one has to hold."""

    items: tuple["Node", ...]


@dataclass(frozen=True)
class Any:
    """One has to hold."""

    items: tuple["Node", ...]


Node = Compare | Not | All | Any
