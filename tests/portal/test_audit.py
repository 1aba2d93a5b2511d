"""The audit chain shows every change made behind its back."""

import pytest
from django.core.management import CommandError, call_command

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


def test_the_command_says_that_the_chain_holds(
    ada: User, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("audit", "verify")
    assert capsys.readouterr().out == "The audit chain is empty.\n"
    line = audit.record(by=ada, verb="test", subject=ada)
    call_command("audit", "verify")
    assert capsys.readouterr().out == f"The audit chain holds: 1 lines, the last is {line.hash}.\n"


def test_the_command_fails_on_a_broken_chain_and_names_the_line(
    ada: User, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        audit.record(by=ada, verb="test", subject=ada, number=number)
    AuditEvent.objects.filter(seq=2).update(actor_label="ben")
    with pytest.raises(CommandError, match="broken in 1 places"):
        call_command("audit", "verify")
    assert "Line 2 was changed" in capsys.readouterr().err


def test_bodies_of_any_writing_survive_the_way_through_the_database(ada: User) -> None:
    audit.record(
        by=None, verb="test", subject=ada, text="Sigur Rós — “Svefn-g-englar” 🎵", ratio=0.1
    )
    assert list(audit.broken_lines()) == []
