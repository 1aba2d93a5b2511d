"""One change after the other, where an order of time must hold.

A moment that is taken in here lies after everything that was committed before, and before
everything that will be: the next one waits until this transaction has ended. So "what was known
at that moment" has one answer for ever.

A transaction takes its turn before it locks a row, and locks rows with `no_key=True`: who has the
turn never waits for a row of somebody who waits for the turn. Each line of the audit log is
written in the turn of its transaction (portal/audit/chain.py).
"""

from datetime import datetime

from django.db import connection
from django.utils import timezone

# Any number that nobody else in this database locks by.
KEY = 0x6261636B
# The clock is read when the turn has come: there is no row to read it for before.
TURN = """
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(%s))
SELECT clock_timestamp() FROM turn"""


def moment() -> datetime:
    """The time of a change, or of a decision that is kept. Inside a transaction.

    On PostgreSQL it is the database's, so that portals whose clocks differ keep one order. On
    SQLite a transaction that writes has the database to itself already.
    """
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(TURN, [KEY])
        at: datetime = cursor.fetchone()[0]
    return at
