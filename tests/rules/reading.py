"""A look changes nothing: no page and no answer of the API writes to the database to be read.

A read that writes needs the one lock of SQLite: it waits while somebody else writes, and fails
where the disk is full.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from portal.database.rehearsal import is_rehearsal

WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|COPY|WITH turn)\b", re.IGNORECASE)
# Who hears or takes away a recording whole, or judges what is silent, leaves a line of it; and the
# first who hears half a minute of it has that made. Which clip was sent to a listener is noted:
# nobody rates what they were never sent.
AUDITED = re.compile(
    r"/rights/recordings/\d+/(audio|stems/\d+)/|/samples/(cases|clips|copies|flags)/\d+/audio"
    r"|/listen/clips/[0-9a-f-]+$"
)
# allauth's own: a new second factor's secret waits in the session until it is confirmed, and the
# list of addresses makes the row of an address that an operator has entered.
LAZY = {"/account/2fa/totp/activate/", "/account/email/"}


@contextmanager
def watched(path: str) -> Iterator[list[str]]:
    """Yield a list that gets what a look at `path` writes.

    A page of an act rehearses it, in a transaction that is taken back: it has to wait for its turn,
    and changes nothing.
    """
    written: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if WRITES.match(sql) and not is_rehearsal():
            written.append(sql[:90])
        return execute(sql, params, many, context)

    if path in LAZY or path.endswith("logout/") or AUDITED.search(path):
        yield written
        return
    with connection.execute_wrapper(watch):
        yield written
