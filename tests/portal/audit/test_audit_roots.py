"""Signed roots: what they find, who signs them and when, and the proofs under them."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal import audit, health, tasks, tokens
from portal.audit import merkle
from portal.models import AuditEvent, LogRoot, User

pytestmark = pytest.mark.django_db

Captured = pytest.CaptureFixture[str]


def lines(by: User, count: int) -> None:
    for number in range(count):
        audit.record(by=by, verb="test", subject=by, number=number, nothing=None)


def signed() -> LogRoot:
    root = audit.sign_root()
    assert root is not None
    return root


def sentences() -> list[str]:
    return [sentence for _, sentence in audit.broken_lines()]


# --- Signing -----------------------------------------------------------------------------------


def test_a_root_is_that_of_the_lines_and_is_signed_over_what_it_says(ada: User) -> None:
    lines(ada, 5)
    root = signed()
    leaves = [bytes.fromhex(line.hash) for line in AuditEvent.objects.all()]
    assert (root.size, root.root) == (5, merkle.root(leaves).hex())
    stated = audit.canonical(
        {
            "kind": "backline.audit.root/1",
            "portal": "http://127.0.0.1:8000",
            "size": 5,
            "root": root.root,
            "at": root.at.isoformat(),
            "previous": audit.GENESIS,
        }
    )
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(audit.public_key()))
    key.verify(bytes.fromhex(root.signature), stated)
    assert sentences() == []


def test_nothing_new_is_not_signed_again(ada: User) -> None:
    assert audit.sign_root() is None
    lines(ada, 2)
    assert signed() == signed()
    assert LogRoot.objects.count() == 1


def test_the_next_root_reads_only_the_lines_since_the_last(ada: User) -> None:
    lines(ada, 7)
    signed()
    lines(ada, 2)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        root = signed()
    reads = [query["sql"] for query in asked if '"hash" FROM "portal_auditevent"' in query["sql"]]
    assert ['"seq" > 7' in sql for sql in reads] == [True]
    assert root.size == 9
    assert sentences() == []


def test_it_is_signed_when_lines_have_waited_or_are_many(ada: User, settings: LazySettings) -> None:
    settings.AUDIT_ROOT_LINES = 3
    tasks.sign_audit_root()
    lines(ada, 2)
    tasks.sign_audit_root()
    assert not LogRoot.objects.exists()
    lines(ada, 1)
    tasks.sign_audit_root()
    assert LogRoot.objects.get().size == 3
    settings.AUDIT_ROOT_MINUTES = 0
    lines(ada, 1)
    tasks.sign_audit_root()
    tasks.sign_audit_root()
    assert list(LogRoot.objects.values_list("size", flat=True)) == [3, 4]


def test_the_clock_knows_the_task(settings: LazySettings) -> None:
    entry = settings.CELERY_BEAT_SCHEDULE["sign_audit_root"]
    assert entry["task"] == tasks.sign_audit_root.name


def test_of_two_that_sign_at_once_one_root_stays(ada: User) -> None:
    lines(ada, 3)
    came: list[LogRoot] = []

    def other_comes_first(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        """After the last root was looked for, while the lines are about to be read."""
        if '"hash" FROM "portal_auditevent"' in sql and not came:
            came.append(LogRoot())
            lines(ada, 1)
            came.append(signed())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(other_comes_first):
        assert signed() == came[-1]
    assert list(LogRoot.objects.values_list("size", flat=True)) == [4]
    assert sentences() == []


def test_no_root_is_signed_over_a_gap_or_after_one_that_does_not_hold(ada: User) -> None:
    lines(ada, 3)
    AuditEvent.objects.filter(seq=2).delete()
    with pytest.raises(audit.Broken, match="Line 2 is missing"):
        audit.sign_root()


def test_a_root_with_a_forged_frontier_is_not_grown_on(ada: User) -> None:
    lines(ada, 3)
    root = signed()
    LogRoot.objects.update(frontier=[root.frontier[0], "0" * 64])
    lines(ada, 1)
    with pytest.raises(audit.Broken, match="The root of 3 lines does not hold"):
        audit.sign_root()


def test_health_says_when_lines_wait_for_a_root(ada: User, settings: LazySettings) -> None:
    assert health.audit_log().good
    lines(ada, 1)
    AuditEvent.objects.update(at=timezone.now() - timedelta(minutes=75))
    assert not health.audit_log().good
    assert "Line 1 waits" in health.audit_log().sentence
    signed()
    assert health.audit_log().good
    assert "1 lines are under the root" in health.audit_log().sentence


# --- Keys --------------------------------------------------------------------------------------


def test_a_new_key_signs_on_and_the_old_one_still_counts_where_it_is_named(
    ada: User, settings: LazySettings
) -> None:
    lines(ada, 1)
    signed()
    old = audit.public_key()
    settings.AUDIT_KEY = "5" * 64
    assert "neither AUDIT_KEY nor among AUDIT_OLD_KEYS" in sentences()[0]
    lines(ada, 1)
    with pytest.raises(audit.Broken):
        audit.sign_root()
    settings.AUDIT_OLD_KEYS = [old]
    signed()
    assert sentences() == []


# --- Tampering ---------------------------------------------------------------------------------

# What each column of the second of three roots may be changed to.
TAMPERED: dict[str, Any] = {
    "size": 5,
    "root": "0" * 64,
    "at": timezone.now() - timedelta(days=9),
    "portal": "https://elsewhere.example",
    "previous": "1" * 64,
    "key_id": "2" * 16,
    "signature": "3" * 128,
    "frontier": [],
}


def three_roots(by: User) -> None:
    for _ in range(3):
        lines(by, 2)
        signed()


def test_every_column_of_a_root_is_guarded() -> None:
    assert {field.name for field in LogRoot._meta.fields} == set(TAMPERED)


@pytest.mark.parametrize("column", TAMPERED)
def test_a_change_of_any_column_of_a_root_is_found(ada: User, column: str) -> None:
    three_roots(ada)
    LogRoot.objects.filter(size=4).update(**{column: TAMPERED[column]})
    assert sentences()


def test_a_removed_root_is_found(ada: User) -> None:
    three_roots(ada)
    LogRoot.objects.filter(size=4).delete()
    assert sentences() == [
        "The root of 6 lines does not continue the root before it: one was changed or removed."
    ]


def test_lines_cut_off_at_the_end_are_found(ada: User) -> None:
    three_roots(ada)
    AuditEvent.objects.filter(seq__gt=5).delete()
    assert sentences() == ["A root of 6 lines was signed, and of these only 5 are there."]


def test_whoever_kept_a_root_sees_what_the_tables_alone_no_longer_show(
    ada: User, tmp_path: Path, capsys: Captured
) -> None:
    lines(ada, 4)
    call_command("audit", "root")
    kept = tmp_path / "root.json"
    kept.write_text(capsys.readouterr().out)
    call_command("audit", "verify", "--root", str(kept))
    LogRoot.objects.all().delete()
    AuditEvent.objects.filter(seq__gt=2).delete()
    capsys.readouterr()
    call_command("audit", "verify")
    with pytest.raises(CommandError, match="broken in 1 places"):
        call_command("audit", "verify", "--root", str(kept))
    assert "of these only 2 are there" in capsys.readouterr().err
    forged = json.loads(kept.read_text()) | {"size": 2}
    kept.write_text(json.dumps(forged))
    with pytest.raises(CommandError):
        call_command("audit", "verify", "--root", str(kept))
    assert "The signature of the root of 2 lines is not good." in capsys.readouterr().err


# --- Proofs ------------------------------------------------------------------------------------


def test_each_of_two_hundred_lines_has_a_proof_that_only_the_key_is_needed_for(
    client: Client, ada: User, rosa: User
) -> None:
    lines(ada, 200)
    signed()
    client.force_login(rosa)
    keys = [key["public_key"] for key in client.get("/api/v1/audit/keys").json()]
    for seq in range(1, 201):
        answer = client.get(f"/api/v1/audit/{seq}/proof")
        assert answer.status_code == 200, answer.content
        proof = audit.Proof.model_validate_json(answer.content)
        assert proof.line["body"] == {"number": seq - 1, "nothing": None}
        assert audit.faults(proof, trusted=keys) == []


def test_proofs_are_for_those_who_may_see_the_log(
    client: Client, ada: User, noor: User, olga: User, rosa: User
) -> None:
    address = "/api/v1/audit/1/proof"
    assert client.get(address).status_code == 401
    client.force_login(olga)
    assert client.get(address).status_code == 404
    lines(ada, 1)
    assert client.get(address).status_code == 409
    assert "`manage.py audit root` signs one" in client.get(address).json()["detail"]
    signed()
    for person, status in ((olga, 200), (rosa, 200), (ada, 404), (noor, 404)):
        client.force_login(person)
        assert client.get(address).status_code == status
        assert client.get("/api/v1/audit/growth?old=1").status_code == status


def test_keys_and_roots_are_for_everybody_who_is_signed_in_but_not_for_runs(
    client: Client, lou: User
) -> None:
    lines(lou, 3)
    root = signed()
    for address in ("/api/v1/audit/keys", "/api/v1/audit/roots"):
        assert client.get(address).status_code == 401
        _, secret = tokens.issue(lou, "run", scope="run:1")
        assert client.get(address, headers={"authorization": f"Bearer {secret}"}).status_code == 403
    client.force_login(lou)
    (key,) = client.get("/api/v1/audit/keys").json()
    assert key == {"id": root.key_id, "public_key": audit.public_key(), "in_use": True}
    page = client.get("/api/v1/audit/roots").json()
    assert page["count"] == 1
    assert audit.SignedRoot.model_validate(page["items"][0]).statement()["root"] == root.root


def test_a_later_root_is_shown_to_begin_with_an_earlier_one(
    client: Client, ada: User, olga: User, tmp_path: Path, capsys: Captured
) -> None:
    three_roots(ada)
    client.force_login(olga)
    answer = client.get("/api/v1/audit/growth", {"old": 2})
    growth = tmp_path / "growth.json"
    growth.write_bytes(answer.content)
    call_command("audit", "check", str(growth))
    assert "had 2 lines at" in capsys.readouterr().out
    assert client.get("/api/v1/audit/growth", {"old": 2, "new": 4}).json()["new"]["size"] == 4
    assert client.get("/api/v1/audit/growth", {"old": 4, "new": 2}).status_code == 422
    assert client.get("/api/v1/audit/growth", {"old": 3}).status_code == 404
    forged = answer.json()
    forged["path"][0] = "0" * 64
    growth.write_text(json.dumps(forged))
    with pytest.raises(CommandError):
        call_command("audit", "check", str(growth))
    assert "Not every line of the earlier root is left." in capsys.readouterr().err


def change(document: dict[str, Any], *path: str, to: object) -> None:
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = to


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "the line": lambda doc: change(doc, "line", "verb", to="tost"),
    "its number": lambda doc: change(doc, "line", "seq", to=2),
    "no number": lambda doc: change(doc, "line", "seq", to=None),
    "the path": lambda doc: change(doc, "path", to=doc["path"][::-1]),
    "the root": lambda doc: change(doc, "root", "root", to="0" * 64),
    "the size": lambda doc: change(doc, "root", "size", to=6),
    "the moment": lambda doc: change(doc, "root", "at", to="2020-01-01T00:00:00+00:00"),
    "the signature": lambda doc: change(doc, "root", "signature", to="0" * 128),
    "the key": lambda doc: change(doc, "public_key", to="0" * 64),
    "more than is checked": lambda doc: change(doc, "note", to="trust me"),
    "no digits": lambda doc: change(doc, "path", to=["x"]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_proof_that_was_changed_does_not_hold(
    ada: User, tmp_path: Path, capsys: Captured, what: str
) -> None:
    lines(ada, 7)
    signed()
    call_command("audit", "proof", "3")
    proof = json.loads(capsys.readouterr().out)
    CHANGES[what](proof)
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof))
    with pytest.raises(CommandError):
        call_command("audit", "check", str(file))


def test_the_command_gives_a_proof_and_checks_it_without_the_database(
    ada: User, tmp_path: Path, capsys: Captured
) -> None:
    lines(ada, 7)
    with pytest.raises(CommandError, match="not under a signed root"):
        call_command("audit", "proof", "3")
    with pytest.raises(CommandError, match="There is no line 8"):
        call_command("audit", "proof", "8")
    signed()
    call_command("audit", "proof", "3")
    file = tmp_path / "proof.json"
    file.write_text(capsys.readouterr().out)
    with CaptureQueriesContext(connection) as asked:
        call_command("audit", "check", str(file))
        call_command("audit", "check", str(file), "--key", audit.public_key())
    assert len(asked) == 0
    told = capsys.readouterr().out
    assert told.count("Line 3 (test, ") == 2
    assert told.count("The key is the file's own") == 1
    with pytest.raises(CommandError, match="does not hold"):
        call_command("audit", "check", str(file), "--key", "0" * 64)
    with pytest.raises(CommandError, match="cannot be checked"):
        call_command("audit", "check", str(file), "--key", "nonsense")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("audit", "check", str(tmp_path / "none.json"))


def test_no_proof_is_given_that_would_not_hold(client: Client, ada: User, olga: User) -> None:
    lines(ada, 4)
    signed()
    AuditEvent.objects.filter(seq=2).update(verb="tost")
    client.force_login(olga)
    answer = client.get("/api/v1/audit/2/proof")
    assert answer.status_code == 409
    assert "audit verify" in answer.json()["detail"]
    assert client.get("/api/v1/audit/3/proof").status_code == 200
