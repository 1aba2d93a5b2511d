"""A look changes nothing: no page and no answer of the API writes to the database to be read.

A read that writes needs the one lock of SQLite: it waits while somebody else writes, and fails
where the disk is full.
"""

import re
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.db import connection

from portal.database.rehearsal import is_rehearsal
from tests.rules.everything import make_world, routes
from tests.rules.test_urls import ROLES, text_of, with_object

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|COPY|WITH turn)\b", re.IGNORECASE)
# Who hears or takes away a recording whole, or judges what is silent, leaves a line of it; and the
# first who hears half a minute of it has that made. Which clip was sent to a listener is noted:
# nobody rates what they were never sent.
AUDITED = re.compile(
    r"/rights/recordings/\d+/(audio|stems/\d+)/|/samples/(cases|clips|copies|flags)/\d+/audio"
    r"|/listen/clips/[0-9a-f-]+ as"
)
# allauth's own: a new second factor's secret waits in the session until it is confirmed, and the
# list of addresses makes the row of an address that an operator has entered.
LAZY = {"/account/2fa/totp/activate/", "/account/email/"}


def test_no_page_writes_to_be_read(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", logger="django.request")
    world = make_world()
    written: list[str] = []
    here = ""

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        # A page of an act rehearses it, in a transaction that is taken back: it has to wait for its
        # turn, and changes nothing.
        if WRITES.match(sql) and not is_rehearsal() and not AUDITED.search(here):
            written.append(f"{here}: {sql[:90]}")
        return execute(sql, params, many, context)

    clients = {letter: world.client(role) for letter, role in ROLES.items()}
    sessions = {letter: client.cookies.copy() for letter, client in clients.items()}
    with connection.execute_wrapper(watch):
        for route in routes():
            if "(?P" in route:
                continue
            path = world.address(with_object(route))
            for letter, client in clients.items():
                client.cookies = SimpleCookie()
                client.cookies.update(sessions[letter])
                here = f"{path} as {letter}"
                if path not in LAZY and not path.endswith("logout/"):
                    text_of(client.get(path))
    assert not written, "\n".join(written)
