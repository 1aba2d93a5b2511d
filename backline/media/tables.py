"""Tables of cells, and confusion matrices."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any

import numpy as np

from backline import bounds
from backline.media.base import Encoded, Media, NotLoggable, array_of
from backline.media.packs import (
    MAX_CELL,
    MAX_CLASSES,
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_TABLE_BYTES,
    content_of,
)


class Table(Media):
    """Rows and columns: `Table(["prompt", "score"], [["techno", 0.8], ...])` or `Table(dataframe)`.

    A cell is a number, a text of at most 2,000 characters, true, false or nothing; anything else is
    written as text, and NaN is nothing. The first 10,000 rows are kept, or as many as fit into
    1 MB; how many were left out is said here and stands below the table.
    """

    def __init__(self, columns: Any, rows: Iterable[Any] | None = None, caption: str = "") -> None:
        super().__init__(caption)
        self._columns, self._rows = columns, rows

    def encode(self) -> Encoded:
        columns, rows, count = self._given()
        if not 1 <= len(columns) <= MAX_COLUMNS:
            raise NotLoggable(f"A table has 1 to {MAX_COLUMNS} columns, not {len(columns)}.")
        room = MAX_TABLE_BYTES - len(json.dumps(columns)) - 100
        kept: list[str] = []
        for row in islice(rows, MAX_ROWS):
            cells = [_cell(value) for value in row]
            if len(cells) != len(columns):
                raise NotLoggable(
                    f"Row {len(kept) + 1} of the table has {len(cells)} cells for "
                    f"{len(columns)} columns."
                )
            line = json.dumps(cells, separators=(",", ":"), ensure_ascii=False)
            room -= len(line.encode()) + 1
            if room < 0:
                break
            kept.append(line)
        left_out = count - len(kept)
        data = (
            f'{{"columns":{json.dumps(columns)},"rows":[{",".join(kept)}],"left_out":{left_out}}}'
        )
        note = f"{left_out:,} of {count:,} rows were left out." if left_out else ""
        return Encoded("table", data=data.encode(), note=note)

    def _given(self) -> tuple[list[str], Iterator[Any], int]:
        """Return the names of the columns, the rows, and how many there are."""
        if self._rows is not None:
            # What has no length is read once, to say how much was left out.
            rows = self._rows if isinstance(self._rows, Sized) else list(self._rows)
            return _names(self._columns), iter(rows), len(rows)
        if hasattr(self._columns, "itertuples"):
            frame = self._columns
            rows = frame.itertuples(index=False, name=None)
            return _names(frame.columns), iter(rows), len(frame)
        if hasattr(self._columns, "iter_rows"):
            frame = self._columns
            return _names(frame.columns), iter(frame.iter_rows()), len(frame)
        raise NotLoggable("A table needs columns and rows, or a data frame.")


class ConfusionMatrix(Media):
    """What each class was taken for: `ConfusionMatrix(labels, counts)`, where `counts[i][j]` is how
    often the class i was taken for j, or `ConfusionMatrix(labels, y_true=..., y_pred=...)` of class
    numbers or labels. Without labels they are what occurs. At most 100 classes."""

    def __init__(
        self,
        labels: Sequence[Any] | None = None,
        counts: Any = None,
        *,
        y_true: Any = None,
        y_pred: Any = None,
        caption: str = "",
    ) -> None:
        super().__init__(caption)
        self._labels, self._counts = labels, counts
        self._true, self._predicted = y_true, y_pred

    def encode(self) -> Encoded:
        if self._counts is not None:
            counts = array_of(self._counts)
            labels = list(range(len(counts))) if self._labels is None else list(self._labels)
        elif self._true is not None and self._predicted is not None:
            labels, counts = self._counted()
        else:
            raise NotLoggable("A confusion matrix needs counts, or y_true and y_pred.")
        if len(labels) > MAX_CLASSES:
            raise NotLoggable(f"A confusion matrix has at most {MAX_CLASSES} classes.")
        names = [bounds.readable(str(label))[:60] for label in labels]
        rows = [[float(count) for count in row] for row in counts]
        return Encoded("confusion", content_of("confusion", {"labels": names, "counts": rows}))

    def _counted(self) -> tuple[list[Any], Any]:
        true, predicted = array_of(self._true).reshape(-1), array_of(self._predicted).reshape(-1)
        if len(true) != len(predicted):
            raise NotLoggable(
                f"There are {len(true)} true classes and {len(predicted)} predicted ones."
            )
        seen = np.unique(np.concatenate([true, predicted])).tolist()
        labels = seen if self._labels is None else list(self._labels)
        if self._labels is not None and all(isinstance(value, int) for value in seen):
            # Class numbers, which the labels name.
            places = {number: number for number in range(len(labels))}
        else:
            places = {label: place for place, label in enumerate(labels)}
        if len(labels) > MAX_CLASSES or any(value not in places for value in seen):
            raise NotLoggable(
                f"The {len(seen)} classes that occur are not all among the {len(labels)} labels, "
                f"or are more than {MAX_CLASSES}."
            )
        counts = np.zeros((len(labels), len(labels)), np.int64)
        rows = [places[value] for value in true.tolist()]
        columns = [places[value] for value in predicted.tolist()]
        np.add.at(counts, (rows, columns), 1)
        return labels, counts


def _names(columns: Iterable[Any]) -> list[str]:
    return [bounds.readable(str(name))[:200] for name in columns]


def _cell(value: Any) -> str | float | bool | None:
    """Return a cell as JSON has it."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else str(value)
    return bounds.readable(str(value))[:MAX_CELL]
