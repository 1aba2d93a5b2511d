"""Writes that nothing rests on: made where the database takes them at once, let go of where not.

When a token was last used is worth knowing, and not worth failing a request for, or letting it
wait for somebody else's transaction.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, connection, transaction

# How long such a write waits for its place, in milliseconds.
SHORT = 50


def write(act: Callable[[], object], *, milliseconds: int = SHORT) -> None:
    """Do it if that is easily done: whatever the database has against it, the caller goes on.

    It is a transaction of its own, or a savepoint of the caller's, so that nothing else is undone.
    """
    # What is set inside somebody's transaction stays until its end, and would be theirs.
    alone = connection.vendor == "postgresql" and not connection.in_atomic_block
    try:
        with patience(milliseconds), transaction.atomic():
            if alone:
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = {int(milliseconds)}")
            act()
    except (DatabaseError, InterfaceError):
        pass


@contextmanager
def patience(milliseconds: int) -> Iterator[None]:
    """SQLite's one lock is waited for this long, instead of as long as for a write that counts."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        before = int(cursor.fetchone()[0])
        cursor.execute(f"PRAGMA busy_timeout = {int(milliseconds)}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {before}")
