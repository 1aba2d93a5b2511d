"""The journal of endings: what is committed is in it, and what happened to it is told."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import transaction
from django.test import Client

from portal import audit, endings, tokens
from portal.endings import Outcome, places
from portal.models import ApiToken, AuditEvent, EndingsPosition, User
from tests.confirming import seal_on


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def revoke(user: User) -> ApiToken:
    token, _ = tokens.issue(user, "script", by=user)
    tokens.revoke(token, by=user)
    return token


def folder(settings: LazySettings) -> Path:
    where: Path = settings.ENDINGS_DIR
    return where


def only_file(settings: LazySettings) -> Path:
    (file,) = folder(settings).iterdir()
    return file


def said() -> list[tuple[str, str]]:
    return [(one.verb, one.subject_id) for one in endings.read().entries]


def forget_since(seq: int, position: EndingsPosition | None) -> None:
    """The database as a back-up had it: its log up to a line, and what it knew of the journal."""
    EndingsPosition.objects.all().delete()
    if position is not None:
        position.save(force_insert=True)
    AuditEvent.objects.filter(seq__gt=seq).delete()
    ApiToken.objects.update(revoked_at=None)


# --- What is in it ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_an_ending_is_in_the_journal_with_the_hash_of_its_line_and_without_names(
    ada: User, settings: LazySettings
) -> None:
    # Three letters may stand in any digest.
    ada.username = "ada.of.the.team"
    ada.save()
    token = revoke(ada)
    line = AuditEvent.objects.get(verb="token.revoked")
    (one,) = endings.read().entries
    assert (one.seq, one.hash, one.subject_id) == (line.seq, line.hash, str(token.pk))
    text = only_file(settings).read_text()
    assert ada.username not in text
    assert ada.display_name not in text
    assert only_file(settings).stat().st_mode & 0o777 == 0o600
    assert folder(settings).stat().st_mode & 0o777 == 0o700


@pytest.mark.django_db
def test_what_ends_nothing_is_not_in_it(ada: User, settings: LazySettings) -> None:
    tokens.issue(ada, "script", by=ada)
    run_token, _ = tokens.issue(ada, "run", "run:1", by=None)
    tokens.revoke(run_token)
    assert not folder(settings).exists()


@pytest.mark.django_db(transaction=True)
def test_a_word_that_was_rolled_back_is_not_said(ada: User) -> None:
    with rolled_back():
        revoke(ada)
    kept = revoke(ada)
    assert said() == [("token.revoked", str(kept.pk))]
    assert endings.read().doubted == set()


@pytest.mark.django_db(transaction=True)
def test_a_part_of_a_transaction_that_was_rolled_back_is_not_said(ada: User) -> None:
    with transaction.atomic():
        first = revoke(ada)
        with rolled_back():
            revoke(ada)
        last = revoke(ada)
    assert said() == [("token.revoked", str(one.pk)) for one in (first, last)]


@pytest.mark.django_db(transaction=True)
def test_the_last_words_that_no_commit_followed_are_in_doubt_and_counted(ada: User) -> None:
    revoke(ada)
    with rolled_back():
        revoke(ada)
    kept = endings.read()
    assert [one.hash in kept.doubted for one in kept.entries] == [False, True]


@pytest.mark.django_db(transaction=True)
def test_what_the_journal_cannot_take_is_not_done(ada: User, settings: LazySettings) -> None:
    token, _ = tokens.issue(ada, "script", by=ada)
    folder(settings).write_text("a file where the folder should be")
    with pytest.raises(endings.Unwritable, match="Nothing was changed"):
        tokens.revoke(token, by=ada)
    token.refresh_from_db()
    assert token.revoked_at is None
    assert not AuditEvent.objects.filter(verb="token.revoked").exists()


@pytest.mark.django_db(transaction=True)
def test_a_page_says_so_with_a_status_that_asks_to_try_again(
    ada: User, client: Client, settings: LazySettings
) -> None:
    token, _ = tokens.issue(ada, "script", by=ada)
    client.force_login(ada)
    seal = seal_on(client.get(f"/tokens/{token.pk}/revoke").content.decode())
    folder(settings).write_text("a file where the folder should be")
    answer = client.post(f"/tokens/{token.pk}/revoke", {"shown": seal})
    assert answer.status_code == 503
    assert "Nothing was changed" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_line_that_broke_off_with_its_writer_is_dropped(
    ada: User, settings: LazySettings
) -> None:
    first = revoke(ada)
    with only_file(settings).open("ab") as file:
        file.write(b'{"n": 7, "kind": "sa')
    second = revoke(ada)
    assert said() == [("token.revoked", str(one.pk)) for one in (first, second)]
    assert endings.read().faults == []


@pytest.mark.django_db(transaction=True)
def test_a_journal_that_begins_takes_in_what_the_log_has(ada: User, settings: LazySettings) -> None:
    first = revoke(ada)
    only_file(settings).unlink()
    second = revoke(ada)
    assert said() == [("token.revoked", str(one.pk)) for one in (first, second)]


# --- What happened to it ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_health_says_that_all_is_well(ada: User) -> None:
    assert endings.look()[0]
    revoke(ada)
    good, sentence = endings.look()
    assert good
    assert "is the last" in sentence


@pytest.mark.django_db(transaction=True)
def test_a_journal_that_is_gone_is_told_of(ada: User, settings: LazySettings) -> None:
    revoke(ada)
    only_file(settings).unlink()
    good, sentence = endings.look()
    assert not good
    assert "is gone" in sentence
    (fault,) = endings.apply_missing(by=ada).faults
    assert "is gone" in fault


@pytest.mark.django_db(transaction=True)
def test_a_journal_that_has_lost_its_end_is_told_of_and_begun_anew(
    ada: User, settings: LazySettings
) -> None:
    tokens_of = [revoke(ada) for _ in range(3)]
    file = only_file(settings)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-3]))
    good, sentence = endings.look()
    assert not good
    assert "has lost its lines" in sentence
    assert "has lost its lines" in endings.apply_missing(by=ada).faults[0]
    # Nothing is missing of what this database knows.
    assert said()[:3] == [("token.revoked", str(token.pk)) for token in tokens_of]
    assert "move" in endings.look()[1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("place", [0, 1, 2, -1])
def test_a_line_that_was_changed_is_named(ada: User, settings: LazySettings, place: int) -> None:
    revoke(ada)
    revoke(ada)
    file = only_file(settings)
    lines = file.read_bytes().splitlines()
    changed = json.loads(lines[place])
    changed["told"]["portal"] = "another"
    lines[place] = json.dumps(changed).encode()
    file.write_bytes(b"\n".join(lines) + b"\n")
    number = range(1, len(lines) + 1)[place]
    assert f"Line {number} of the journal" in endings.read().faults[0]
    assert endings.look()[0] == (place != -1)


@pytest.mark.django_db(transaction=True)
def test_a_journal_that_was_emptied_is_a_fault_for_who_restores_and_who_verifies(
    ada: User, settings: LazySettings
) -> None:
    revoke(ada)
    only_file(settings).write_bytes(b"")
    (fault,) = endings.read().faults
    assert "is empty" in fault
    assert endings.apply_missing(by=ada).faults == [fault]
    assert not endings.look()[0]


@pytest.mark.django_db(transaction=True)
def test_a_line_that_was_taken_out_is_missed(ada: User, settings: LazySettings) -> None:
    for _ in range(3):
        revoke(ada)
    file = only_file(settings)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2] + lines[3:]))
    (fault,) = endings.read().faults
    assert "does not follow the one before" in fault


@pytest.mark.django_db(transaction=True)
def test_a_journal_signed_by_somebody_else_is_not_believed(
    ada: User, settings: LazySettings
) -> None:
    revoke(ada)
    settings.AUDIT_KEY = "7" * 64
    kept = endings.read()
    assert kept.entries == []
    assert "which is not known here" in kept.faults[0]


# --- After a restore ----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_older_than_its_journal_is_known_and_made_good(ada: User) -> None:
    tokens.issue(ada, "a", by=ada)
    token = ApiToken.objects.get()
    seq = AuditEvent.objects.latest("seq").seq
    assert not endings.behind()
    tokens.revoke(token, by=ada)
    assert not endings.behind()
    forget_since(seq, None)
    assert endings.behind()
    assert "older than the journal" in endings.look()[1]
    found = endings.apply_missing(by=ada)
    assert [answer.outcome for _, answer in found.done] == [Outcome.DONE]
    token.refresh_from_db()
    assert token.revoked_at
    assert not endings.behind()
    assert endings.look()[0]
    assert endings.apply_missing(by=ada).done == []


@pytest.mark.django_db(transaction=True)
def test_what_is_permitted_anew_after_a_restore_is_not_ended_by_a_second_look(ada: User) -> None:
    tokens.issue(ada, "a", by=ada)
    seq = AuditEvent.objects.latest("seq").seq
    tokens.revoke(ApiToken.objects.get(), by=ada)
    forget_since(seq, None)
    endings.apply_missing(by=ada)
    ApiToken.objects.update(revoked_at=None)
    assert endings.apply_missing(by=ada).done == []
    assert ApiToken.objects.get().revoked_at is None


@pytest.mark.django_db(transaction=True)
def test_a_second_restore_of_the_same_back_up_is_made_good_as_well(ada: User) -> None:
    tokens.issue(ada, "a", by=ada)
    seq = AuditEvent.objects.latest("seq").seq
    tokens.revoke(ApiToken.objects.get(), by=ada)
    for _ in range(2):
        forget_since(seq, None)
        endings.apply_missing(by=ada)
        assert ApiToken.objects.get().revoked_at is not None


@pytest.mark.django_db(transaction=True)
def test_what_came_after_the_back_up_is_not_taken_for_what_has_its_number_now(ada: User) -> None:
    seq = AuditEvent.objects.latest("seq").seq if AuditEvent.objects.exists() else 0
    gone = revoke(ada)
    forget_since(seq, None)
    ApiToken.objects.all().delete()
    ApiToken.objects.create(pk=gone.pk, user=ada, label="new", prefix="x", digest="y")
    (one,) = endings.apply_missing(by=ada).done
    assert one.answer.outcome == Outcome.ALREADY
    assert ApiToken.objects.get().revoked_at is None


@pytest.mark.django_db(transaction=True)
def test_a_changed_account_is_told_for_a_person_to_decide(ada: User, olga: User) -> None:
    audit.record(by=olga, verb="person.changed", subject=ada, fields=["is_active"], roles=[])
    line = AuditEvent.objects.latest("seq")
    forget_since(line.seq - 1, None)
    (one,) = endings.apply_missing(by=olga).done
    assert one.answer.outcome == Outcome.BY_HAND
    assert "ada was changed since (is_active)" in one.answer.sentence


@pytest.mark.django_db(transaction=True)
def test_an_erasure_is_done_again(ada: User, olga: User) -> None:
    line = audit.record(by=ada, verb="x.y", subject=ada, private={"name": "Ada"})
    with rolled_back():
        audit.erase(ada, by=olga, reason="Ada left")
    assert AuditEvent.objects.get(seq=line.seq).private
    endings.apply_missing(by=olga)
    assert AuditEvent.objects.get(seq=line.seq).private is None


def test_lines_longer_than_the_tail_are_found_whole(tmp_path: Path) -> None:
    place = places.FolderPlace(tmp_path)
    long = b"x" * (3 * places.TAIL)
    place.add("a", lambda _: [b"first", long], sync=True)
    assert place.tail("a")[-1] == long
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b"torn" * places.TAIL)
    place.add("a", lambda last: [b"after " + str(len(last or b"")).encode()], sync=True)
    assert [len(line) for line in place.lines("a")] == [5, len(long), 12]


def test_of_a_line_that_fails_half_way_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = places.FolderPlace(tmp_path)
    place.add("a", lambda _: [b"first"], sync=True)
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 4:
            return real(descriptor, data[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        place.add("a", lambda _: [b"second"], sync=True)
    assert list(place.lines("a")) == [b"first"]
