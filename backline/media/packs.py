"""Media on the wire: everything that one call of `log` has beside its numbers, as bytes. A pack is

    magic "BLMM" | version u8 | header length u32 | header JSON | bytes of the items, one by one

with the header {"step": 7, "at": Unix seconds, "items": [...]}. An item has a name, its index
among those of this name and step, a kind, a caption, and either `content`, which is JSON, or `size`
bytes: of a picture (PNG, JPEG, WebP), or the JSON of a table or figure. What each kind may be is a
model here, which client and portal both apply. Nothing in a pack is ever executed, and every size
is checked before memory is allocated for it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backline.bounds import (
    MAX_PROSE,
    Amount,
    Count,
    Message,
    Natural,
    NotStorable,
    Whole,
    check_json,
)
from backline.frames import Frame, Malformed
from backline.wire import MAX_NAME, good_name

__all__ = ["Item", "Malformed", "Pack", "decode", "encode"]

FRAME = Frame(magic=b"BLMM", version=1, name="pack", content="media")
# Items of one call, and of one name in it.
MAX_ITEMS = 1_000
MAX_OF_NAME = 64
MAX_CAPTION = 300
MAX_IMAGE_BYTES = 6 * 1024 * 1024
MAX_PIXELS = 16_000_000
MAX_SIDE = 16_384
MAX_BINS = 512
MAX_CLASSES = 100
MAX_ROWS = 10_000
MAX_COLUMNS = 100
MAX_CELL = 2_000
MAX_TABLE_BYTES = 1024 * 1024
MAX_FIGURE_BYTES = 2 * 1024 * 1024

Kind = Literal["image", "histogram", "table", "figure", "text", "confusion"]
MAX_BYTES: dict[str, int] = {
    "image": MAX_IMAGE_BYTES,
    "table": MAX_TABLE_BYTES,
    "figure": MAX_FIGURE_BYTES,
}


class Item(Message):
    name: str = Field(min_length=1, max_length=MAX_NAME)
    index: int = Field(default=0, ge=0, lt=MAX_OF_NAME)
    kind: Kind
    caption: str = Field(default="", max_length=MAX_CAPTION)
    # Bounded like all JSON of a message (backline.bounds.Bounded).
    content: dict[str, Any] = {}
    size: Natural = 0

    @model_validator(mode="after")
    def _fits(self) -> "Item":
        if not good_name(self.name):
            raise ValueError(f"{self.name[:50]!r} cannot be a name")
        most = MAX_BYTES.get(self.kind, 0)
        if self.size > most:
            raise ValueError(
                f"{self.name} has {self.size:,} bytes; {_article(self.kind)} has at most {most:,}"
            )
        if most and not self.size:
            raise ValueError(f"{self.name} is {_article(self.kind)} without bytes")
        return self


class Header(Message):
    step: Whole
    at: Annotated[float, Field(ge=0, le=253_402_300_799, description="Unix seconds.")]
    items: list[Item] = Field(min_length=1, max_length=MAX_ITEMS)

    @model_validator(mode="after")
    def _once(self) -> "Header":
        if len({(item.name, item.index) for item in self.items}) < len(self.items):
            raise ValueError("a name has the same index twice")
        return self


class Histogram(Message):
    """`counts` between ascending `edges`, of which there is one more; what is no finite number is
    counted apart."""

    counts: list[Count] = Field(min_length=1, max_length=MAX_BINS)
    edges: list[float] = Field(min_length=2, max_length=MAX_BINS + 1)
    nan: Count = 0
    above: Count = Field(default=0, description="How many were +infinity.")
    below: Count = Field(default=0, description="How many were -infinity.")

    @model_validator(mode="after")
    def _fits(self) -> "Histogram":
        if len(self.edges) != len(self.counts) + 1:
            raise ValueError("a histogram has one edge more than counts")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("the edges of a histogram ascend")
        return self


class Text(Message):
    text: str = Field(max_length=MAX_PROSE)
    markdown: bool = False


class Confusion(Message):
    """Row by row what each class was taken for: `counts[true][predicted]`."""

    labels: list[Annotated[str, Field(max_length=60)]] = Field(min_length=1, max_length=MAX_CLASSES)
    counts: list[list[Amount]] = Field(max_length=MAX_CLASSES)

    @model_validator(mode="after")
    def _is_square(self) -> "Confusion":
        size = len(self.labels)
        if len(self.counts) != size or any(len(row) != size for row in self.counts):
            raise ValueError("a confusion matrix has a row and a column for each label")
        return self


Cell = Annotated[str, Field(max_length=MAX_CELL)] | bool | Whole | float | None


class Document(BaseModel):
    """Content of more than a message may have; it checks all its values itself."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Table(Document):
    columns: list[Annotated[str, Field(max_length=200)]] = Field(
        min_length=1, max_length=MAX_COLUMNS
    )
    rows: list[list[Cell]] = Field(max_length=MAX_ROWS)
    left_out: Count = Field(default=0, description="Rows that were logged and are not here.")

    @model_validator(mode="after")
    def _fits(self) -> "Table":
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("each row of a table has a cell for each column")
        check_json([self.columns, self.rows], "The table", most=8 * MAX_TABLE_BYTES)
        return self


class Figure(Document):
    """A Plotly figure: traces and layout, as data. Its frames and its config are not taken."""

    data: list[dict[str, Any]] = Field(max_length=500)
    layout: dict[str, Any] = {}

    @model_validator(mode="after")
    def _fits(self) -> "Figure":
        # A number of two bytes is counted as eight.
        check_json([self.data, self.layout], "The figure", most=8 * MAX_FIGURE_BYTES)
        return self


# What the content of a kind is, where it is JSON in the header, and where it is bytes of its own.
INLINE: dict[str, type[Message]] = {"histogram": Histogram, "text": Text, "confusion": Confusion}
DOCUMENTS: dict[str, type[Document]] = {"table": Table, "figure": Figure}


@dataclass(frozen=True)
class Pack:
    """What one call has logged at a step: each item with its bytes, which are empty for JSON."""

    step: int
    at: float
    items: Sequence[tuple[Item, bytes]]


def encode(pack: Pack) -> bytes:
    items = [item for item, _ in pack.items]
    # Its items have checked themselves, and whoever decodes it checks all of it.
    header = Header.model_construct(step=pack.step, at=pack.at, items=items)
    line = header.model_dump_json().encode()
    data = b"".join(data for _, data in pack.items)
    return FRAME.join(line, data)


def decode(data: bytes) -> Pack:
    """Return the pack in `data`; raises Malformed, with a reason, for anything else."""
    line, content = FRAME.split(data)
    header = _header(line)
    if sum(item.size for item in header.items) != len(content):
        raise Malformed("The pack is shorter or longer than its header says.")
    items, place = [], 0
    for item in header.items:
        items.append((item, bytes(content[place : place + item.size])))
        place += item.size
    return Pack(header.step, header.at, items)


def content_of(kind: str, given: Any) -> dict[str, Any]:
    """Return content that a kind may have, in its one form; raises Malformed with a sentence."""
    model = INLINE.get(kind)
    return _checked(model, given) if model else {}


def document(kind: str, data: bytes) -> dict[str, Any]:
    """Return the table or figure that these bytes are; raises Malformed with a sentence."""
    try:
        given = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The {kind} is no JSON: {error}.") from error
    return _checked(DOCUMENTS[kind], given)


def _header(data: bytes) -> Header:
    try:
        return Header.model_validate_json(data)
    except ValidationError as error:
        raise Malformed(f"The pack's header cannot be read. {first_reason(error)}") from error


def _checked(model: type[BaseModel], given: Any) -> dict[str, Any]:
    try:
        return model.model_validate(given).model_dump(mode="json")
    except ValidationError as error:
        raise Malformed(first_reason(error)) from error
    except RecursionError as error:
        raise Malformed("It is nested too deep.") from error


def first_reason(error: ValidationError) -> str:
    """Return the first thing that is wrong, as a sentence."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    words = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{place}: {words}." if place else f"{words[:1].upper()}{words[1:]}."


def _refuse_constant(text: str) -> float:
    raise NotStorable(f"{text} is no number that JSON knows")


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
