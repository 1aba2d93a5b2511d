"""The audit chain shows every change made behind its back."""

import pytest

from portal import audit
from portal.models import AuditEvent, User

pytestmark = pytest.mark.django_db


def test_an_untouched_chain_has_no_broken_lines(ada: User) -> None:
    for number in range(3):
        audit.record(by=ada, verb="test", subject=ada, number=number)
    assert list(audit.broken_lines()) == []


def test_a_changed_line_is_named(ada: User) -> None:
    for number in range(3):
        audit.record(by=ada, verb="test", subject=ada, number=number)
    AuditEvent.objects.filter(seq=2).update(body={"number": 7})
    assert list(audit.broken_lines()) == [(2, "Line 2 was changed after it was written.")]


def test_a_removed_line_is_named(ada: User) -> None:
    for number in range(3):
        audit.record(by=ada, verb="test", subject=ada, number=number)
    AuditEvent.objects.filter(seq=2).delete()
    assert list(audit.broken_lines()) == [
        (3, "Line 2 is missing."),
        (3, "Line 3 does not follow the line before it."),
    ]
