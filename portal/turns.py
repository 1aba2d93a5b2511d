"""One change after the other, where an order of time must hold.

A moment that is taken in here lies after everything that was committed before, and before
everything that will be: the next one waits until this transaction has ended. So "what was known
at that moment" has one answer for ever.
"""

from datetime import datetime

from django.db import connection
from django.utils import timezone

# Any number that nobody else in this database locks by.
KEY = 0x6261636B


def moment() -> datetime:
    """The time of a change, or of a decision that is kept. Inside a transaction.

    On SQLite a transaction that writes has the database to itself already.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [KEY])
    return timezone.now()
