"""The run table as a file: CSV and Parquet, all runs that a layout finds, in its order."""

import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from experiments.models import Project
from experiments.run_table import fields
from experiments.run_table.layout import Column
from experiments.run_table.table import whole_runs
from experiments.templatetags.figures import setting
from portal.http import csv_files

# Read and written together.
BATCH = 500
ALWAYS = ("number", "name", "state", "id")


def keys_of(columns: Sequence[Column]) -> list[str]:
    """Return the fields of a file: what names a run, then the columns."""
    keys = [column.key for column in columns if not column.key.startswith("curve.")]
    return list(dict.fromkeys([*ALWAYS, *keys]))


def as_csv(project: Project, numbers: Sequence[int], columns: Sequence[Column]) -> Iterator[str]:
    """Yield a CSV file. Times are ISO 8601 in UTC, durations seconds; NaN stands for itself."""
    keys = keys_of(columns)
    lines = ([_text(value) for value in row] for row in _rows(project, numbers, keys))
    yield from csv_files.document(chain([keys], lines))


def as_parquet(project: Project, numbers: Sequence[int], columns: Sequence[Column]) -> bytes:
    """Return a Parquet file: numbers as doubles, times as UTC timestamps, all else as text. A
    setting that is a number in every run that has it is a number."""
    keys = keys_of(columns)
    values: list[list[Any]] = [[] for _ in keys]
    for row in _rows(project, numbers, keys):
        for column, value in zip(values, row, strict=True):
            column.append(value)
    arrays = [_array(column) for column in values]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=keys), out, compression="zstd")
    return out.getvalue()


def _rows(project: Project, numbers: Sequence[int], keys: Sequence[str]) -> Iterator[list[Any]]:
    read = [key for key in keys if key != "id"]
    for start in range(0, len(numbers), BATCH):
        runs = whole_runs(project, numbers[start : start + BATCH])
        found = fields.values(runs, read)
        for run in runs:
            row = dict(zip(read, found[run.pk], strict=True)) | {"id": str(run.pk)}
            yield [row[key] for key in keys]


def _text(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat()
        case int() | float() | Decimal():
            return value
    return setting(value)


def _array(values: list[Any]) -> pa.Array:
    present = [value for value in values if value is not None]
    if all(isinstance(value, datetime) for value in present) and present:
        return pa.array(values, pa.timestamp("us", tz="UTC"))
    if all(isinstance(value, bool) for value in present) and present:
        return pa.array(values, pa.bool_())
    if all(_is_whole(value) for value in present) and present:
        return pa.array(values, pa.int64())
    if all(_is_number(value) for value in present) and present:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array([None if v is None else str(_text(v)) for v in values], pa.string())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
