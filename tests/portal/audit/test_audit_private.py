"""Personal data lies outside of the hash: it can be erased, and the chain stays whole."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from experiments.models import Project, Run
from experiments.runs import runs
from portal import audit
from portal.models import AuditEvent, AuditPrivate, User

pytestmark = pytest.mark.django_db

Captured = pytest.CaptureFixture[str]


def told(ada: User, reason: str = "Noor asked on the telephone") -> AuditEvent:
    return audit.record(by=ada, verb="test", subject=ada, use="eval", private={"reason": reason})


def sentences() -> list[str]:
    return [sentence for _, sentence in audit.broken_lines()]


def test_the_hashed_line_names_nobody_and_repeats_no_text(ada: User) -> None:
    line = told(ada)
    assert set(line.body) == {"use", "private"}
    proof = json.dumps(audit.canonical(line.body).decode())
    assert "Noor" not in proof
    assert line.details == {"use": "eval", "reason": "Noor asked on the telephone"}
    (again,) = audit.history(ada)
    assert again.details == line.details
    assert sentences() == []


def test_the_same_words_have_another_digest_each_time(ada: User) -> None:
    assert told(ada).body["private"] != told(ada).body["private"]


def test_nothing_private_leaves_no_row(ada: User) -> None:
    audit.record(by=ada, verb="test", subject=ada, private={"reason": "", "name": None})
    assert not AuditPrivate.objects.exists()
    assert AuditEvent.objects.get().body == {}


def test_a_history_of_many_lines_asks_once(
    ada: User, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    for number in range(5):
        told(ada, f"reason {number}")
    with django_assert_num_queries(1):  # type: ignore[operator]
        told_of = [line.details["reason"] for line in audit.history(ada)]
    assert told_of == [f"reason {number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    "change",
    [{"salt": "0" * 32}, {"salt": "x"}, {"values": {"reason": "else"}}, {"values": []}],
    ids=lambda change: str(*change.values()),
)
def test_a_change_of_private_values_is_found(ada: User, change: dict[str, object]) -> None:
    told(ada)
    AuditPrivate.objects.update(**change)
    assert sentences() == ["The private values of line 1 are not those it was written with."]


def test_private_values_that_a_line_knows_nothing_of_are_found(ada: User) -> None:
    line = audit.record(by=ada, verb="test", subject=ada)
    AuditPrivate.objects.create(event=line, salt="0" * 32, values={"reason": "forged"})
    assert sentences() == ["The private values of line 1 are not those it was written with."]


def test_what_was_deleted_without_an_erasure_is_found(ada: User) -> None:
    told(ada)
    AuditPrivate.objects.all().delete()
    assert sentences() == [
        "The private values of line 1 are gone, and no line tells of an erasure."
    ]


# --- Erasing -----------------------------------------------------------------------------------


def test_erasing_an_object_leaves_the_chain_whole_and_says_so(
    ada: User, ben: User, olga: User, capsys: Captured
) -> None:
    first, second, other = told(ada), told(ada), told(ben)
    before = list(AuditEvent.objects.values_list("hash", flat=True))
    line = audit.erase(ada, by=olga, reason="Ada left and asked for it")
    assert line is not None
    assert (line.verb, line.actor, line.body["lines"]) == ("audit.erased", olga, [1, 2])
    assert line.details["reason"] == "Ada left and asked for it"
    assert [row.event_id for row in AuditPrivate.objects.order_by("event")] == [3, 4]
    assert list(AuditEvent.objects.values_list("hash", flat=True))[:3] == before
    for one in (first, second):
        erased = audit.history(ada).get(seq=one.seq)
        assert erased.details == {"use": "eval"}
    assert audit.history(ben).get(seq=other.seq).details == {
        "use": "eval",
        "reason": other.details["reason"],
    }
    call_command("audit", "verify")
    assert "4 lines have some; of 2 they were erased." in capsys.readouterr().out


def test_erasing_a_person_takes_their_user_name_from_what_they_did(ada: User, olga: User) -> None:
    audit.record(by=ada, verb="test", subject=olga)
    line = audit.erase(ada, by=olga, reason="Ada left")
    assert line is not None
    assert (line.body["lines"], line.body["labels"]) == ([], 1)
    assert AuditEvent.objects.get(seq=1).actor_label == f"user:{ada.pk}"
    assert sentences() == []
    assert audit.erase(ada, by=olga, reason="again") is None


def test_one_line_may_be_erased_alone_even_one_that_tells_of_an_erasure(
    ada: User, olga: User
) -> None:
    first, _ = told(ada), told(ada)
    erasure = audit.erase(first, by=olga, reason="Noor Haddad asked for it")
    assert erasure is not None
    assert [row.event_id for row in AuditPrivate.objects.order_by("event")] == [2, 3]
    last = audit.erase(erasure, by=olga, reason="a name had been typed")
    assert last is not None
    assert last.body["lines"] == [3]
    assert sentences() == []


def test_a_proof_shows_private_values_only_when_asked_and_while_they_are_kept(
    ada: User, olga: User, client: Client, tmp_path: Path, capsys: Captured
) -> None:
    told(ada)
    audit.sign_root()
    client.force_login(olga)
    assert client.get("/api/v1/audit/1/proof").json()["private"] is None
    file = tmp_path / "proof.json"
    call_command("audit", "proof", "1", "--private")
    file.write_text(capsys.readouterr().out)
    assert "Noor" in file.read_text()
    call_command("audit", "check", str(file))
    capsys.readouterr()
    opened = json.loads(file.read_text())
    opened["private"]["values"]["reason"] = "something else"
    file.write_text(json.dumps(opened))
    with pytest.raises(CommandError):
        call_command("audit", "check", str(file))
    assert "not those the line was written with" in capsys.readouterr().err
    audit.erase(ada, by=olga, reason="asked")
    call_command("audit", "proof", "1", "--private")
    assert json.loads(capsys.readouterr().out)["private"] is None


def test_the_command_erases(ada: User, olga: User, capsys: Captured) -> None:
    told(ada), told(ada)
    by = ("--by", "olga", "--reason", "asked")
    call_command("audit", "erase", "1", *by)
    call_command("audit", "erase", f"portal.user:{ada.pk}", *by)
    assert capsys.readouterr().out.splitlines() == [
        "Erased the private values of 1 lines; line 3 says so.",
        "Erased the private values of 1 lines; line 4 says so.",
    ]
    for what, who in (
        ("77", "olga"),
        ("no.such:1", "olga"),
        ("portal.user:x", "olga"),
        ("2", "nobody"),
        ("2", "olga"),
    ):
        with pytest.raises(CommandError):
            call_command("audit", "erase", what, "--by", who, "--reason", "asked")


# --- What the rooms write ----------------------------------------------------------------------


def test_a_run_s_reason_is_private_and_its_history_shows_it(ada: User, project: Project) -> None:
    run = runs.open_client_run(by=ada, project=project, name="Outside")
    runs.close_client_run(run, outcome="failed", reason="Ada's laptop fell asleep")
    line = audit.history(run).get(verb="run.failed")
    assert "reason" not in line.body
    assert line.details["reason"] == "Ada's laptop fell asleep"
    assert Run.objects.get().state_reason == line.details["reason"]


def test_records_show_operators_the_details(client: Client, ada: User, olga: User) -> None:
    told(ada)
    client.force_login(olga)
    page = client.get("/operator/portal/auditevent/1/change/").content.decode()
    assert "Noor asked on the telephone" in page
