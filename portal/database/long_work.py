"""Long work stays out of transactions.

On SQLite one transaction writes at a time, and everybody else's write waits for its end, for 30
seconds at most; on PostgreSQL they wait for the turn of portal/database/commit_order.py. So
whatever decodes audio, moves a file, starts a program or asks the cluster comes first, and a short
transaction after it. The doors to such work call `outside`; tests/rules/test_transactions.py names
them.

What stays inside has to: a freeze, a decision that is kept and the end of a permission walk the
rows that they rest on in their own turn, or they would rest on something that changed meanwhile.
"""

import logging

from django.conf import settings
from django.db import connection

log = logging.getLogger(__name__)


class InTransaction(RuntimeError):
    """A mistake of ours: everybody else who writes would wait for this."""


def outside(what: str) -> None:
    """Say that `what` takes long. Inside a transaction that is a mistake: it fails a test, and
    is logged where people work, who are served all the same."""
    blocks = connection.atomic_blocks if connection.in_atomic_block else []
    # The one that a test rolls back at its end is nobody's turn.
    if all(getattr(block, "_from_testcase", False) for block in blocks):
        return
    if settings.STRICT_TRANSACTIONS:
        raise InTransaction(f"{what}, while everybody waits for this transaction.")
    log.error("%s inside a transaction: everybody else's write waits.", what, stack_info=True)
