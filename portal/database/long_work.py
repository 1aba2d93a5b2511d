"""Long work stays out of transactions.

On SQLite one transaction writes at a time, and everybody else's write waits for its end, for 30
seconds at most; on PostgreSQL they wait for the turn of portal/database/commit_order.py. So
whatever decodes audio, moves a file, starts a program or asks the cluster comes first, and a short
transaction after it. The functions that do such work call `forbid_in_transaction`;
tests/rules/test_transactions.py names them.

Some long work has to stay inside: a freeze, a stored decision and the end of a permission read the
rows that they rest on in their own turn, or they would rest on something that changed meanwhile.
"""

import logging

from django.conf import settings
from django.db import connection

log = logging.getLogger(__name__)


class InTransaction(RuntimeError):
    """A programming error: everybody else who writes would wait for this."""


def forbid_in_transaction(work: str) -> None:
    """Declare that `work` takes long. Inside a transaction that is a mistake: it fails a test; in
    production it is logged, and the request is served all the same."""
    blocks = connection.atomic_blocks if connection.in_atomic_block else []
    # Nobody waits for the transaction that a test rolls back at its end.
    if all(getattr(block, "_from_testcase", False) for block in blocks):
        return
    if settings.STRICT_TRANSACTIONS:
        raise InTransaction(f"{work}, while everybody waits for this transaction.")
    log.error("%s inside a transaction: everybody else's write waits.", work, stack_info=True)
