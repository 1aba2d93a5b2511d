"""One change after the other, where an order of time must hold.

A moment that is taken here is after everything that was committed before, and before everything
that will be: the next one waits until this transaction has ended. So "what was known at that
moment" has one answer forever.

A transaction takes its turn before it locks a row, and locks rows with `no_key=True`: whoever has
the turn never waits for a row of somebody who waits for the turn. Each line of the audit log is
written in the turn of its transaction (portal/audit/chain.py).
"""

from datetime import datetime

from django.db import connection
from django.utils import timezone

# Any number that nothing else in this database uses for a lock.
KEY = 0x6261636B
# The clock is read only when the turn has come: before that the CTE has no row.
TURN = """
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(%s))
SELECT clock_timestamp() FROM turn"""


def moment() -> datetime:
    """Return the time of a change, or of a stored decision. Call it inside a transaction.

    On PostgreSQL it is the database's, so that portals whose clocks differ share one order. On
    SQLite a transaction that writes has the database to itself already.
    """
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(TURN, [KEY])
        at: datetime = cursor.fetchone()[0]
    return at
