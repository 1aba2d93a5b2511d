"""Many write the log at once: one line, no fork, and nobody is refused."""

import pytest
from django.db import transaction

from portal import audit
from portal.models import AuditEvent, User
from tests.races.together import together

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS, ROUNDS, LINES = 6, 5, 4


def test_lines_that_are_written_at_once_follow_one_another(rosa: User) -> None:
    before = AuditEvent.objects.count()

    def write() -> None:
        with transaction.atomic():
            for number in range(LINES):
                audit.record(by=rosa, verb="race.line", subject=rosa, number=number)

    for _ in range(ROUNDS):
        together(*[write] * WRITERS, refusals=())
    assert AuditEvent.objects.count() == before + WRITERS * ROUNDS * LINES
    assert list(audit.broken_lines()) == []


def test_a_reader_sees_no_gap_while_lines_are_written(rosa: User) -> None:
    def write() -> None:
        audit.record(by=rosa, verb="race.line", subject=rosa)

    def read() -> object:
        return list(audit.broken_lines())

    for _ in range(ROUNDS):
        found = together(write, write, read, read, refusals=())
        assert found[2:] == [[], []]
