"""Many rows at once: what a hundred thousand model objects would take too long for."""

import gc
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.expressions import RawSQL

# Up to here a COPY takes longer to begin than the rows take, and ids are named one by one.
FEW = 50
# From here on it pays to stop the collector.
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
    hold numbers, texts, truth values and JSON.
    """
    table = connection.ops.quote_name(model._meta.db_table)
    names = ", ".join(connection.ops.quote_name(column) for column in columns)
    ready = [
        tuple([_json(value) if value.__class__ in JSON else value for value in row]) for row in rows
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql" and len(ready) > FEW:
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in ready:
                    copy.write_row(row)
        elif ready:
            places = ", ".join(["%s"] * len(columns))
            sql = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - no value in it.
            if len(ready) == 1:
                # One way to the server and back; for many there is a second.
                cursor.execute(sql, ready[0])
            else:
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


def _json(value: Any) -> str:
    # Most are empty, and the encoder is slow to start.
    return _encode(value) if value else str(value)


def parts(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def one_of(ids: Collection[int]) -> tuple[str, list[Any]]:
    """The right side of "column is one of these", and its parameters. Many are one parameter,
    which no database has to parse one by one and none refuses for their number; a few are named
    one by one, as their plan is then the same for the next few."""
    if 0 < len(ids) <= FEW:
        return f"IN ({', '.join(['%s'] * len(ids))})", list(ids)
    if connection.vendor == "postgresql":
        # Its planner counts an array, and takes every subquery for the same few.
        return "= ANY(%s::bigint[])", [_array(ids)]
    return "IN (SELECT value FROM json_each(%s))", [json.dumps(list(ids))]


def among(ids: Collection[int]) -> RawSQL:
    """For a filter: `pk__in=among(ids)`."""
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", [_array(ids)])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(list(ids))])


def _array(ids: Collection[int]) -> str:
    # As text: the driver would look at each number by itself.
    return "{" + ",".join(map(str, ids)) + "}"
