"""What blocks show, as data: tables, charts and sentences, with the runs whose figures are in them.

Pages and files are made from pieces, and a frozen block is its pieces as JSON. Each row, line, dot
and bar names the runs behind it by their ids, so that what somebody may not see, or what was
deleted since, is taken out of a stored piece as of a live one.
"""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

# What is kept of a block, as JSON, in bytes; and of all blocks of a version.
MOST_BYTES = 600_000
MOST_BYTES_OF_ALL = 6_000_000

Value = float | str | None


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OfRuns(Strict):
    """Something that rests on runs, by their ids."""

    runs: list[str] = []


class Words(Strict):
    """A sentence: a remark, or why something is not shown."""

    type: Literal["words"] = "words"
    text: str
    is_error: bool = False


class Cell(Strict):
    """`url` is an address of the portal; `best` marks the best value of its column."""

    text: str
    url: str = ""
    best: bool = False


class Head(Strict):
    title: str
    number: bool = False


class Row(OfRuns):
    cells: list[Cell]


class Table(Strict):
    type: Literal["table"] = "table"
    title: str = ""
    url: str = ""
    heads: list[Head]
    rows: list[Row]
    note: str = ""


class Line(OfRuns):
    """A curve along x; `low` and `high` are empty where it has no band."""

    label: str
    colour: int
    dash: str = "solid"
    x: list[float]
    y: list[float | None]
    low: list[float | None] = []
    high: list[float | None] = []


class Dot(OfRuns):
    """A run by its values: across, up, and what colours it."""

    label: str
    colour: int
    values: list[Value]


class Bar(OfRuns):
    label: str
    colour: int
    n: int
    mean: float
    low: float | None = None
    high: float | None = None


class Share(Strict):
    label: str
    share: float
    trend: float | None = None


class Chart(OfRuns):
    """A chart of one kind. Of curves there are `lines`; of scatter, contour and parallel
    coordinates `dots` with a value for each of `fields`; of bars `bars`; of importance `shares`,
    which rest on all of `runs` together."""

    type: Literal["chart"] = "chart"
    kind: Literal["curves", "scatter", "contour", "parallel", "bars", "importance"]
    title: str
    x: str = ""
    x_kind: Literal["number", "relative", "wall"] = "number"
    log_x: bool = False
    log_y: bool = False
    clip: bool = False
    fields: list[str] = []
    lines: list[Line] = []
    dots: list[Dot] = []
    bars: list[Bar] = []
    shares: list[Share] = []
    height: int = 8
    note: str = ""


class Clip(Strict):
    """A sample in a file: its credit, and where it is heard. `release` is the id of its release,
    where its sound may leave the lab; `silent` why nobody hears it."""

    label: str
    url: str
    credit: str
    silent: str = ""
    release: int | None = None


class Clips(Strict):
    type: Literal["clips"] = "clips"
    title: str
    clips: list[Clip]


Piece = Annotated[Words | Table | Chart | Clips, Field(discriminator="type")]
_stored: TypeAdapter[list[Piece]] = TypeAdapter(list[Piece])


def dump(pieces: Sequence[Piece]) -> Any:
    """Return the pieces as JSON can have them."""
    dumped = _stored.dump_python(list(pieces), mode="json", exclude_defaults=True)
    return [{"type": piece.type, **body} for piece, body in zip(pieces, dumped, strict=True)]


def load(data: Any) -> list[Piece]:
    """Return stored pieces; a sentence in their place where this version cannot read them."""
    try:
        return _stored.validate_python(data)
    except ValidationError:
        sentence = "What was frozen here cannot be read by this version of the portal."
        return [Words(text=sentence, is_error=True)]


def runs_of(pieces: Sequence[Piece]) -> set[str]:
    """Return the ids of all runs whose figures are in the pieces."""
    found: set[str] = set()
    for piece in pieces:
        for part in _parts(piece):
            found.update(part.runs)
    return found


def keep(pieces: Sequence[Piece], shown: Collection[str]) -> list[Piece]:
    """Return the pieces without what rests on any run that is not among `shown`, and a sentence
    about what is left out."""
    kept, left_out = without_others(pieces, shown)
    return [*kept, Words(text=_left_out(left_out))] if left_out else kept


def without_others(pieces: Sequence[Piece], shown: Collection[str]) -> tuple[list[Piece], int]:
    """Return the pieces without what rests on other runs, and how many parts those are. What rests
    on several runs goes with each of them: the mean of a group of two says what the other had."""
    kept: list[Piece] = []
    left_out = 0
    allowed = set(shown)
    for piece in pieces:
        match piece:
            case Table():
                rows = [row for row in piece.rows if allowed.issuperset(row.runs)]
                left_out += len(piece.rows) - len(rows)
                kept.append(piece.model_copy(update={"rows": rows}))
            case Chart() if not allowed.issuperset(piece.runs):
                left_out += 1
            case Chart():
                parts = {name: _allowed(getattr(piece, name), allowed) for name in OF_RUNS}
                left_out += sum(len(getattr(piece, name)) - len(parts[name]) for name in OF_RUNS)
                kept.append(piece.model_copy(update=parts))
            case _:
                kept.append(piece)
    return kept, left_out


OF_RUNS = ("lines", "dots", "bars")


def _allowed(parts: Sequence[OfRuns], allowed: set[str]) -> list[OfRuns]:
    return [part for part in parts if allowed.issuperset(part.runs)]


def _parts(piece: Piece) -> list[OfRuns]:
    match piece:
        case Table():
            return [*piece.rows]
        case Chart():
            return [piece, *piece.lines, *piece.dots, *piece.bars]
    return []


def _left_out(count: int) -> str:
    what = "One part of it is" if count == 1 else f"{count:,} parts of it are"
    return f"{what} left out: a run behind it was deleted, or is not yours to see."
