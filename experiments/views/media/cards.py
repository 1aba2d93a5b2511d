"""Media as a page shows them without scripts: each with what its template needs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from experiments.media import reading, shown, silence
from experiments.models import Media
from experiments.templatetags.figures import NOTHING, figure
from portal import storage

# Rows of a table on a page, and tables of a page: what is beyond is in the file.
ROWS = 100
TABLES = 20
# Of the drawing of a histogram.
WIDTH, HEIGHT = 320.0, 96.0


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass
class Card:
    """One thing: `bars` of a histogram, `table` with its first rows, `matrix` of a confusion."""

    row: Media
    withheld: str
    url: str = ""
    small: str = ""
    bars: list[Bar] = field(default_factory=list)
    table: dict[str, Any] | None = None
    matrix: list[tuple[str, list[tuple[float, float]]]] = field(default_factory=list)


@dataclass(frozen=True)
class Group:
    """What stands under one name at a step."""

    name: str
    cards: list[Card]


@dataclass(frozen=True)
class Elsewhere:
    """A name that has nothing at this step, and the step that is nearest."""

    name: str
    step: int


def groups(rows: Sequence[Media]) -> list[Group]:
    """Return cards of judged rows by their names."""
    by_name: dict[str, list[Card]] = {}
    tables = 0
    for row in rows:
        made = card(row, with_table=tables < TABLES)
        tables += made.table is not None
        by_name.setdefault(row.name, []).append(made)
    return [Group(name, cards) for name, cards in by_name.items()]


def card(row: Media, *, with_table: bool = True) -> Card:
    reason = silence.reason(row)
    made = Card(row, reason)
    if reason:
        return made
    if row.blob_id:
        body = shown.body(row)
        made.url, made.small = body["url"], body["small"]
    match row.kind:
        case Media.Kind.HISTOGRAM:
            made.bars = bars(row.content)
        case Media.Kind.CONFUSION:
            made.matrix = matrix(row.content)
        case Media.Kind.TABLE if with_table:
            made.table = first_rows(row)
    return made


def bars(content: dict[str, Any]) -> list[Bar]:
    """Return the bars of a histogram within WIDTH by HEIGHT; as high as counts per width say."""
    counts, edges = content["counts"], content["edges"]
    span = edges[-1] - edges[0]
    widths = [high - low for low, high in pairwise(edges)]
    densities = [count / width for count, width in zip(counts, widths, strict=True)]
    most = max(densities) or 1
    return [
        Bar(
            x=round((low - edges[0]) / span * WIDTH, 2),
            y=round(HEIGHT * (1 - density / most), 2),
            width=round(width / span * WIDTH, 2),
            height=round(HEIGHT * density / most, 2),
            words=f"{low:.4g} to {low + width:.4g}: {count:,}",
        )
        for low, width, density, count in zip(edges, widths, densities, counts, strict=False)
    ]


def matrix(content: dict[str, Any]) -> list[tuple[str, list[tuple[float, float]]]]:
    """Return each class with its row: counts, and their shares of the row."""
    return [
        (label, [(count, count / (sum(row) or 1)) for count in row])
        for label, row in zip(content["labels"], content["counts"], strict=True)
    ]


def first_rows(row: Media) -> dict[str, Any] | None:
    """Return the columns and first rows of a table; None if its bytes are gone."""
    try:
        with storage.open_blob(row.file.sha256) as file:
            table = json.load(file)
    except FileNotFoundError:
        return None
    rows = [[_cell(cell) for cell in row] for row in table["rows"][:ROWS]]
    more = len(table["rows"]) - len(rows)
    return {"columns": table["columns"], "rows": rows, "more": more, "left_out": table["left_out"]}


def _cell(value: Any) -> str:
    """Return a cell as people read it; its file has all digits."""
    if value is None or isinstance(value, bool):
        return NOTHING if value is None else str(value).lower()
    return figure(value) if isinstance(value, int | float) else str(value)


def elsewhere(steps: Mapping[str, list[int]], step: int | None) -> list[Elsewhere]:
    """Return the names that have nothing at the step, each with its nearest one."""
    if step is None:
        return []
    nearest = {name: reading.nearest(found, step) for name, found in steps.items()}
    return [Elsewhere(name, at) for name, at in nearest.items() if at is not None and at != step]
