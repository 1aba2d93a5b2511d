"""Writes that nothing depends on: made if the database takes them at once, dropped if not.

When a token was last used is worth knowing, but not worth failing a request for, or letting it
wait for somebody else's transaction.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, connection, transaction

# How long such a write waits for its lock, in milliseconds.
SHORT = 50


def write(act: Callable[[], object], *, milliseconds: int = SHORT) -> None:
    """Run `act` if that is easily done: whatever error the database raises, the caller goes on.

    It is a transaction of its own, or a savepoint of the caller's, so that nothing else is undone.
    """
    # A setting made inside the caller's transaction would last until its end, and be theirs too.
    own_transaction = connection.vendor == "postgresql" and not connection.in_atomic_block
    try:
        with patience(milliseconds), transaction.atomic():
            if own_transaction:
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = {int(milliseconds)}")
            act()
    except (DatabaseError, InterfaceError):
        pass


@contextmanager
def patience(milliseconds: int) -> Iterator[None]:
    """Wait this long for SQLite's one lock, instead of as long as for a write that counts."""
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
