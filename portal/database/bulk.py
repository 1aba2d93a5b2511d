"""Work on many rows at once, where a hundred thousand model objects would take too long."""

import gc
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.expressions import RawSQL

# Up to this many, a COPY takes longer to begin than the rows take, and ids are listed one by one.
FEW = 50
# From this many on it pays to stop the garbage collector.
MANY = 10_000
JSON = (list, dict)
T = TypeVar("T")
# One encoder for all rows: `json.dumps` would make one for each.
_encode = json.JSONEncoder(ensure_ascii=False).encode


def insert(
    model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert the rows, in the order of `columns` (names of database columns), in the current
    transaction. Lists and dicts become JSON.

    No signals, no defaults, no validation: for rows that were computed here, in columns that
    hold numbers, texts, booleans and JSON.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    names = ", ".join(connection.ops.quote_name(column) for column in columns)
    prepared = [
        tuple([_json(value) if value.__class__ in JSON else value for value in row]) for row in rows
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and len(prepared) > FEW:
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in prepared:
                    copy.write_row(row)
        elif prepared:
            places = ", ".join(["%s"] * len(columns))
            sql = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - no value in it.
            if len(prepared) == 1:
                # One round trip to the server; executemany takes two.
                cursor.execute(sql, prepared[0])
            else:
                cursor.executemany(sql, prepared)


@contextmanager
def without_gc(count: int) -> Iterator[None]:
    """Stop the garbage collector around work that makes rows by the hundred thousand and keeps them
    to its end: it would walk over all of them again and again and find no cycles."""
    if count < MANY or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _json(value: Any) -> str:
    # Most values are empty, and the encoder is slow to start.
    return _encode(value) if value else str(value)


def parts(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def in_clause(ids: Collection[int]) -> tuple[str, list[Any]]:
    """Return the right side of "column is one of these", and its parameters. Many ids are one
    parameter, which no database has to parse one by one and none refuses for their number; a few
    are listed one by one, as their plan is then the same for the next few."""
    if 0 < len(ids) <= FEW:
        return f"IN ({', '.join(['%s'] * len(ids))})", list(ids)
    if connection.vendor == "postgresql":
        # Its planner counts an array, but estimates every subquery at the same few rows.
        return "= ANY(%s::bigint[])", [_array(ids)]
    return "IN (SELECT value FROM json_each(%s))", [json.dumps(list(ids))]


def among(ids: Collection[int]) -> RawSQL:
    """Return an expression for a filter: `pk__in=among(ids)`."""
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", [_array(ids)])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(list(ids))])


def _array(ids: Collection[int]) -> str:
    # As text: the driver would convert each number by itself.
    return "{" + ",".join(map(str, ids)) + "}"
