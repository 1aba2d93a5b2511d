"""The audit chain shows every change made behind its back."""

import hashlib
from datetime import UTC, datetime

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


# What a tamperer may write over each column of line 2; the readable name is told, not judged.
TAMPERED = {
    "seq": 9,
    "form": 1,
    "at": datetime(2026, 1, 1, tzinfo=UTC),
    "actor": None,
    "verb": "tost",
    "subject_type": "portal.blob",
    "subject_id": "x",
    "body": {"number": 7},
    "prev_hash": "f" * 64,
    "hash": "0" * 63 + "g",
}


def test_every_column_of_a_line_is_guarded_or_known_to_be_no_evidence() -> None:
    assert {field.name for field in AuditEvent._meta.fields} == {*TAMPERED, "actor_label"}


@pytest.mark.parametrize("column", TAMPERED)
def test_a_change_of_any_column_is_found(ada: User, column: str) -> None:
    for number in range(3):
        audit.record(by=ada, verb="test", subject=ada, number=number)
    AuditEvent.objects.filter(seq=2).update(**{column: TAMPERED[column]})
    assert list(audit.broken_lines())


def test_a_chain_that_was_written_anew_from_a_line_on_needs_a_signed_root_to_show(
    ada: User,
) -> None:
    """Whoever can write the table can make a chain that holds: that is what roots are for."""
    for number in range(5):
        audit.record(by=ada, verb="test", subject=ada, number=number)
    assert audit.sign_root() is not None
    write_anew(from_seq=3)
    assert list(audit.broken_lines()) == [(5, "The root of 5 lines is not that of the lines.")]


def write_anew(from_seq: int) -> None:
    previous = AuditEvent.objects.get(seq=from_seq - 1).hash
    for line in AuditEvent.objects.filter(seq__gte=from_seq):
        line.body, line.prev_hash = {"number": 99}, previous
        previous = line.hash = audit.line_hash(line)
        line.save()


def test_the_command_says_what_holds(ada: User, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("audit", "verify")
    assert capsys.readouterr().out == "The audit log is empty.\n"
    line = audit.record(by=ada, verb="test", subject=ada)
    root = audit.sign_root()
    assert root is not None
    call_command("audit", "verify")
    assert capsys.readouterr().out.splitlines() == [
        f"The chain holds: 1 lines, the last is {line.hash}.",
        "Private values are as they were written: 0 lines have some.",
        "The roots hold: 1 are those of the lines, and each continues the one before it.",
        f"The signatures are good; keys: {root.key_id}.",
    ]


def test_the_command_fails_on_a_broken_chain_and_names_the_line(
    ada: User, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        audit.record(by=ada, verb="test", subject=ada, number=number)
    AuditEvent.objects.filter(seq=2).update(verb="tost")
    with pytest.raises(CommandError, match="broken in 1 places"):
        call_command("audit", "verify")
    told = capsys.readouterr()
    assert "Line 2 was changed" in told.err
    assert "The chain holds" not in told.out


def test_the_readable_name_is_no_evidence_and_a_change_of_it_is_told(
    ada: User, capsys: pytest.CaptureFixture[str]
) -> None:
    audit.record(by=ada, verb="test", subject=ada)
    AuditEvent.objects.update(actor_label="ben")
    call_command("audit", "verify")
    assert "1 lines show another user name than the account has now" in capsys.readouterr().out


def test_lines_of_the_first_form_still_verify(ada: User) -> None:
    """Databases from before there were private values: the user name was in the hash."""
    line = AuditEvent(
        seq=1,
        at=datetime(2026, 11, 21, 12, tzinfo=UTC),
        actor=ada,
        actor_label="ada",
        verb="test",
        subject_type="portal.user",
        subject_id="1",
        body={"reason": "typed", "private": "a word of its own"},
        prev_hash=audit.GENESIS,
        hash="bae6",
    )
    stated = (
        '{"actor":"ada","at":"2026-11-21T12:00:00+00:00","body":{"private":"a word of its own",'
        '"reason":"typed"},"prev":"' + "0" * 64 + '","seq":1,"subject":["portal.user","1"],'
        '"verb":"test"}'
    )
    line.hash = hashlib.sha256(stated.encode()).hexdigest()
    line.save(force_insert=True)
    audit.record(by=ada, verb="test", subject=ada, number=2)
    assert list(audit.broken_lines()) == []
    assert line.details["private"] == "a word of its own"
    AuditEvent.objects.filter(seq=1).update(actor_label="ben")
    assert list(audit.broken_lines()) == [(1, "Line 1 was changed after it was written.")]


def test_the_second_form_is_what_it_is_documented_to_be(ada: User) -> None:
    line = audit.record(by=ada, verb="test", subject=ada, b=[1, 2.5, None], a="ö")
    stated = (
        f'{{"actor":"user:{ada.pk}","at":"{line.at.isoformat()}","body":{{"a":"ö","b":[1,2.5,null]}}'
        f',"form":2,"prev":"{audit.GENESIS}","seq":1,"subject":["portal.user","{ada.pk}"],'
        f'"verb":"test"}}'
    )
    assert line.hash == hashlib.sha256(stated.encode()).hexdigest()


def test_bodies_of_any_writing_survive_the_way_through_the_database(ada: User) -> None:
    audit.record(
        by=None, verb="test", subject=ada, text="Sigur Rós — “Svefn-g-englar” 🎵", ratio=0.1
    )
    assert list(audit.broken_lines()) == []


def test_bodies_are_hashed_as_the_database_gives_them_back(ada: User) -> None:
    numbers = [1e16, -0.0, 1e-7, 1e300, 2.0, 0.1 + 0.2, 10**30]
    audit.record(by=None, verb="test", subject=ada, shares={10: 1, 9: 2}, pair=(1, 2), n=numbers)
    assert list(audit.broken_lines()) == []
    with pytest.raises(ValueError, match="not JSON compliant"):
        audit.record(by=None, verb="test", subject=ada, loss=float("nan"))


def test_the_same_line_of_many_objects_is_one_chain_with_a_salt_each(rosa: User, ada: User) -> None:
    made = audit.record_each(
        by=rosa, verb="x.done", subjects=[rosa, ada], private={"reason": "All at once."}, code=1
    )
    assert [event.subject_id for event in made] == [str(rosa.pk), str(ada.pk)]
    assert made[0].body["private"] != made[1].body["private"]
    assert audit.history(ada)[0].details == {"code": 1, "reason": "All at once."}
    assert list(audit.broken_lines()) == []
