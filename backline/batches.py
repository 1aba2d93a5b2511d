"""Metrics on the wire: what many calls of `log` had, as bytes. A batch is

    magic "BLMB" | version u8 | header length u32 | header JSON | deflated columns

with the header {"tables": [{"names": [...], "rows": n}, ...]}. A table holds several calls of `log`
with the same names: one column of steps (int64), one of wall times (float64, Unix seconds), one of
values (float64) for each name. Nothing in it is executable, and every size is checked before memory
is allocated for it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from backline.columns import Float64, Int64, pack, unpack
from backline.frames import MAX_HEADER_BYTES, Frame, Malformed
from backline.wire import good_name

__all__ = ["MAX_HEADER_BYTES", "Batch", "Malformed", "Table", "decode", "encode"]

FRAME = Frame(magic=b"BLMB", version=1, name="batch", content="metrics")
MAX_NUMBERS = 4_000_000
MAX_NAMES = 5_000


@dataclass(frozen=True)
class Table:
    """Rows of the same metrics. `values` has the shape (names, rows)."""

    names: tuple[str, ...]
    steps: Int64
    times: Float64
    values: Float64

    @property
    def points(self) -> int:
        return len(self.names) * len(self.steps)


@dataclass(frozen=True)
class Batch:
    tables: tuple[Table, ...]

    @property
    def points(self) -> int:
        return sum(table.points for table in self.tables)

    def series(self) -> Iterator[tuple[str, Int64, Float64, Float64]]:
        """Yield name, steps, times, values of each metric, table by table in the order logged."""
        for table in self.tables:
            for row, name in enumerate(table.names):
                yield name, table.steps, table.times, table.values[row]


def encode(tables: list[Table]) -> bytes:
    header = json.dumps(
        {"tables": [{"names": table.names, "rows": len(table.steps)} for table in tables]},
        separators=(",", ":"),
    ).encode()
    columns: list[Int64 | Float64] = []
    for table in tables:
        columns += [table.steps, table.times, table.values.reshape(-1)]
    return FRAME.join(header, pack(columns))


def decode(data: bytes) -> Batch:
    """Return the batch in `data`; raises Malformed, with a reason, for anything else."""
    header, content = FRAME.split(data)
    shapes = _shapes(header)
    counts = [n for names, rows in shapes for n in (rows, rows, rows * len(names))]
    if sum(counts) > MAX_NUMBERS:
        raise Malformed(f"A batch may hold {MAX_NUMBERS} numbers.")
    columns = unpack(content, kinds="iff" * len(shapes), counts=counts)
    tables = []
    for index, (names, rows) in enumerate(shapes):
        steps, times, values = columns[3 * index : 3 * index + 3]
        if not np.isfinite(times).all():
            raise Malformed("A wall time in the batch is not a number.")
        grid = values.astype(np.float64, copy=False).reshape(len(names), rows)
        tables.append(Table(names, steps.astype(np.int64, copy=False), times.astype(float), grid))
    return Batch(tuple(tables))


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    names: list[str] = Field(min_length=1, max_length=MAX_NAMES)
    rows: int = Field(ge=1, le=MAX_NUMBERS)


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tables: list[_Shape] = Field(max_length=MAX_NAMES)


def _shapes(header: bytes) -> list[tuple[tuple[str, ...], int]]:
    try:
        shapes = _Header.model_validate_json(header).tables
    except ValueError as error:
        raise Malformed("The batch's header cannot be read.") from error
    for shape in shapes:
        if len(set(shape.names)) != len(shape.names):
            raise Malformed("A table names the same metric twice.")
        for name in shape.names:
            if not good_name(name):
                raise Malformed(f"{name[:50]!r} cannot be the name of a metric.")
    return [(tuple(shape.names), shape.rows) for shape in shapes]
