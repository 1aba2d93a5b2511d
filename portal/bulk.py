"""Many rows at once: what a hundred thousand model objects would take too long for."""

import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection, models
from django.db.models.expressions import RawSQL

# Up to here a COPY takes longer to begin than the rows take.
FEW = 50
# From here on it pays to stop the collector.
MANY = 10_000
# One encoder for all rows: `json.dumps` would make one for each.
_encode = json.JSONEncoder(ensure_ascii=False).encode


def insert(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert the rows, in the order of `columns` (names of database columns), in the current
    transaction. Lists and dicts become JSON.

    No signals, no defaults, no validation: for rows that were computed here, in columns that
    hold numbers, texts, truth values and JSON.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    names = ", ".join(connection.ops.quote_name(column) for column in columns)
    ready = [tuple(map(_value, row)) for row in rows]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and len(ready) > FEW:
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in ready:
                    copy.write_row(row)
        elif ready:
            places = ", ".join(["%s"] * len(columns))
            sql = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - no value in it.
            cursor.executemany(sql, ready)


@contextmanager
def many(count: int) -> Iterator[None]:
    """Around work that makes rows by the hundred thousand and keeps them to its end: the
    collector of circles would walk over all of them again and again and find none."""
    if count < MANY or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _value(value: Any) -> Any:
    if isinstance(value, list | dict):
        # Most are empty, and the encoder is slow to start.
        return _encode(value) if value else str(value)
    return value


def numbers(ids: Iterable[int]) -> tuple[str, list[Any]]:
    """A subquery of these ids, and its parameters: any count of ids as one parameter, which no
    database has to parse one by one and none refuses for their number."""
    if connection.vendor == "postgresql":
        return "SELECT unnest(%s::bigint[])", [list(ids)]
    return "SELECT value FROM json_each(%s)", [json.dumps(list(ids))]


def among(ids: Iterable[int]) -> RawSQL:
    """For a filter: `pk__in=among(ids)`."""
    return RawSQL(*numbers(ids))  # noqa: S611 - the ids are a parameter.
