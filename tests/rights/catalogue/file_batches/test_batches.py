"""A batch of files from its upload to its end: killed, taken over, discarded, confirmed late."""

import hashlib
import io
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
import soundfile
from django.db import OperationalError
from django.test import TestCase
from django.utils import timezone

from portal import audit, storage
from portal.models import AuditEvent, Blob, User
from rights.catalogue import catalogue
from rights.catalogue.file_batches import batches, running
from rights.errors import Refused
from rights.identifiers import BadIdentifier
from rights.models import BatchFile, FileBatch, Recording, SoundQuestion
from tests.catalogue import make_party
from tests.rights.catalogue.file_batches.files import (
    announce,
    attached,
    looked_at,
    received,
    row,
    sound,
    states,
    tagged,
    work_off,
    zipped,
)

pytestmark = pytest.mark.django_db
State = FileBatch.State
FileState = BatchFile.State
How = BatchFile.How


def verbs(batch: FileBatch) -> list[str]:
    return [line.verb for line in audit.history(batch).order_by("seq")]


def test_a_zip_and_files_find_their_recordings_in_every_way(rosa: User) -> None:
    by_hash = sound(300)
    announced = {
        "x/y.wav": announce(
            rosa,
            "One",
            expected_hash=f"MD5:{hashlib.md5(by_hash).hexdigest().upper()}",  # noqa: S324
        ),
        "tags.flac": announce(rosa, "Two", isrc="QZABC2600002"),
        "a.zip/QZ-ABC-26-00003.wav": announce(rosa, "Three", isrc="QZABC2600003"),
        "a.zip/take_4.wav": announce(rosa, "Four", expected_file="Take_4.wav"),
        "a.zip/05 - Bea Voice - Five.wav": announce(rosa, "Five", make_party(rosa, "Bea Voice")),
    }
    inside = {
        path.removeprefix("a.zip/"): sound(400 + number)
        for number, path in enumerate(announced)
        if path.startswith("a.zip/")
    }
    files = {
        "x/y.wav": by_hash, "tags.flac": tagged(isrc="QZ-ABC-26-00002"), "a.zip": zipped(inside),
    }  # fmt: skip
    batch = looked_at(rosa, files)
    assert not Recording.objects.exclude(audio=None).exists()
    rows = {one.path: one for one in batch.files.filter(state=FileState.MATCHED)}
    assert {path: one.recording for path, one in rows.items()} == announced
    assert [rows[path].how for path in announced] == [
        How.HASH, How.ISRC_IN_TAGS, How.ISRC_IN_NAME, How.EXPECTED_NAME, How.TITLE,
    ]  # fmt: skip
    batches.attach(batch, by=rosa)
    work_off()
    for path, recording in announced.items():
        recording.refresh_from_db()
        assert recording.audio_id == rows[path].sha256
        assert audit.history(recording).filter(verb="recording.audio", actor=rosa).exists()
    batch.refresh_from_db()
    assert batch.state == State.READY
    assert set(states(batch).values()) == {FileState.ATTACHED, FileState.UNPACKED}
    assert verbs(batch) == ["files.uploaded", "files.matched", "files.confirmed"]
    # The zip is gone, and each file is its recording's alone.
    assert Blob.objects.count() == 5
    assert not batch.files.filter(blob__isnull=False).exists()
    assert list(audit.broken_lines()) == []


@pytest.mark.parametrize("hashed", ["sha256", "sha1", "md5"])
def test_a_hash_of_each_kind_is_found(rosa: User, hashed: str) -> None:
    content = sound(300)
    digest = hashlib.new(hashed, content).hexdigest()
    known = announce(rosa, "One", expected_hash=f"{hashed}:{digest}")
    batch = looked_at(rosa, {"a.wav": content})
    assert row(batch, "a.wav").recording == known


def test_a_hash_that_is_none_is_refused_when_it_is_announced(rosa: User) -> None:
    with pytest.raises(BadIdentifier):
        announce(rosa, "One", expected_hash="crc32:12345678")


def test_a_batch_that_matches_nothing_attaches_nothing(rosa: User) -> None:
    batch = looked_at(rosa, {"a.wav": sound(300), "cover.jpg": b"x"})
    assert states(batch) == {"a.wav": FileState.UNMATCHED, "cover.jpg": FileState.PASSED_OVER}
    with pytest.raises(Refused):
        batches.attach(batch, by=rosa)
    batch.refresh_from_db()
    assert batch.state == State.READY


def test_no_files_are_refused(rosa: User) -> None:
    with pytest.raises(Refused):
        batches.receive(by=rosa, files=[])
    assert not FileBatch.objects.exists()


def test_what_is_no_sound_is_refused_before_anybody_decides(rosa: User) -> None:
    announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": b"", "Song.mp3": b"no sound", "Song.flac": sound()[:500]})
    assert set(states(batch).values()) == {FileState.REFUSED}
    assert "empty" in row(batch, "Song.wav").sentence
    assert not Blob.objects.exists()


def test_a_file_that_is_here_is_nothing_to_do(rosa: User) -> None:
    known = announce(rosa, "Song")
    attached(rosa, {"Song.wav": sound(300)})
    announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": sound(300)})
    found = row(batch, "Song.wav")
    assert (found.state, found.recording) == (FileState.HERE, known)


def test_two_files_for_one_recording_wait_for_a_person(rosa: User) -> None:
    song = announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": sound(300), "Song.flac": sound(300, "FLAC")})
    assert set(states(batch).values()) == {FileState.AMBIGUOUS}
    batches.choose(row(batch, "Song.wav"), by=rosa, recording=song)
    with pytest.raises(Refused, match="is for “Song” already"):
        batches.choose(row(batch, "Song.flac"), by=rosa, recording=song)
    batches.leave_out(row(batch, "Song.wav"), by=rosa)
    batches.choose(row(batch, "Song.flac"), by=rosa, recording=song)
    assert verbs(batch)[2:] == ["files.chosen", "files.left_out", "files.chosen"]


def test_the_same_file_twice_is_attached_once(rosa: User) -> None:
    announce(rosa, "Song")
    batch = attached(rosa, {"Song.wav": sound(300), "z/Song (1).wav": sound(300)})
    assert states(batch) == {"Song.wav": FileState.ATTACHED, "z/Song (1).wav": FileState.TWICE}


def test_the_same_file_under_two_isrcs_is_uncertain_however_often_it_is_matched(
    rosa: User,
) -> None:
    codes = ("QZF009000001", "QZF009000002")
    songs = [announce(rosa, f"Song {code}", isrc=code) for code in codes]
    batch = looked_at(rosa, {f"{code}.wav": sound(300) for code in codes})
    for _ in range(2):
        assert states(batch) == {
            "QZF009000001.wav": FileState.AMBIGUOUS,
            "QZF009000002.wav": FileState.TWICE,
        }
        assert row(batch, "QZF009000001.wav").candidates == [song.pk for song in songs]
        batch.refresh_from_db()
        batches.match_again(batch, by=rosa)
        work_off()


def test_a_file_is_attached_by_the_second_name_it_was_sent_under(rosa: User) -> None:
    song = announce(rosa, "Song", isrc="QZF009000001")
    batch = attached(rosa, {name: sound(300) for name in ("AAA_mix_v7.wav", "QZF009000001.wav")})
    assert row(batch, "AAA_mix_v7.wav").recording == song
    assert states(batch)["AAA_mix_v7.wav"] == FileState.ATTACHED


def test_files_are_chosen_for_announced_recordings_alone(rosa: User) -> None:
    done = announce(rosa, "Done")
    attached(rosa, {"Done.wav": sound(300)})
    batch = looked_at(rosa, {"a.wav": sound(400)})
    with pytest.raises(Refused, match="has its file already") as refusal:
        batches.choose(row(batch, "a.wav"), by=rosa, recording=done)
    assert refusal.value.field == "recording"


def test_some_are_attached_and_the_rest_later(rosa: User) -> None:
    for title in ("One", "Two"):
        announce(rosa, title)
    batch = looked_at(rosa, {"One.wav": sound(300), "Two.wav": sound(400)})
    batches.attach(batch, by=rosa, files=[row(batch, "Two.wav").pk])
    work_off()
    assert states(batch) == {"One.wav": FileState.MATCHED, "Two.wav": FileState.ATTACHED}
    batch.refresh_from_db()
    batches.attach(batch, by=rosa)
    work_off()
    assert set(states(batch).values()) == {FileState.ATTACHED}


def test_what_is_announced_later_is_matched_again(rosa: User) -> None:
    one, two = announce(rosa, "One"), announce(rosa, "Two")
    files = {
        "One.wav": sound(300),
        "x.wav": sound(400),
        "Late.wav": sound(500),
        "n.wav": sound(600),
    }
    batch = looked_at(rosa, files)
    batches.choose(row(batch, "x.wav"), by=rosa, recording=two)
    batches.leave_out(row(batch, "n.wav"), by=rosa)
    late, left_out = announce(rosa, "Late"), announce(rosa, "n")
    batches.match_again(batch, by=rosa)
    work_off()
    found = {path: row(batch, path).recording for path in files}
    assert found == {"One.wav": one, "x.wav": two, "Late.wav": late, "n.wav": None}
    assert row(batch, "x.wav").how == How.CHOSEN
    assert left_out.audio_id is None


def test_what_sounds_like_another_is_attached_with_a_question(rosa: User) -> None:
    for title in ("One", "Two"):
        announce(rosa, title)
    attached(rosa, {"One.wav": sound(300)})
    batch = attached(rosa, {"Two.flac": sound(300, "FLAC")})
    assert states(batch) == {"Two.flac": FileState.ATTACHED}
    assert str(SoundQuestion.objects.get()) == "Two sounds like One"


def test_a_recording_that_got_its_file_meanwhile_keeps_it(rosa: User) -> None:
    song = announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": sound(300)})
    batches.attach(batch, by=rosa)
    catalogue.attach_audio(
        by=rosa, recording=song, file=io.BytesIO(sound(400)), filename="other.wav"
    )
    work_off()
    found = row(batch, "Song.wav")
    assert (found.state, found.sentence) == (
        FileState.HAS_FILE, "“Song” has its file already.",
    )  # fmt: skip
    # Its bytes stay: it may be another recording's.
    assert found.blob_id


def test_a_file_that_turns_out_to_be_silent_is_refused_and_removed(rosa: User) -> None:
    announce(rosa, "Song")
    file = io.BytesIO()
    soundfile.write(file, np.zeros((4_000, 2)), 8_000, format="WAV")
    batch = attached(rosa, {"Song.wav": file.getvalue()})
    found = row(batch, "Song.wav")
    assert found.state == FileState.REFUSED
    assert "silent" in found.sentence
    assert not Blob.objects.exists()


# --- Workers ----------------------------------------------------------------------------------


def silent() -> None:
    """Make every worker look dead."""
    FileBatch.objects.update(beat_at=timezone.now() - timedelta(minutes=10))


def test_one_batch_is_claimed_once_and_one_is_worked_on_at_a_time(rosa: User) -> None:
    first = received(rosa, {"a.wav": sound(300)})
    received(rosa, {"b.wav": sound(400)})
    assert running.claim() == first
    assert running.claim() is None
    silent()
    assert running.claim() == first


def test_short_tasks_go_on_where_the_last_one_was(rosa: User) -> None:
    files = {f"{number}.wav": sound(300 + number) for number in range(5)}
    batch = received(rosa, {"a.zip": zipped(files), "z.wav": sound(600)})
    passes = 0
    while running.run_next(seconds=-1):
        passes += 1
    batch.refresh_from_db()
    assert batch.state == State.READY
    assert batch.files.count() == 7
    # Each file of the zip, its end, and each look.
    assert passes >= 11


class Died(BaseException):
    """The worker's process is gone."""


def test_a_worker_that_dies_while_unpacking_leaves_whole_files(
    rosa: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{number}.wav": sound(300 + number) for number in range(4)}
    batch = received(rosa, {"a.zip": zipped(files)})
    enter = batches.enter
    entered: list[str] = []

    def dying(file: BatchFile, *, believed: State) -> None:
        if len(entered) == 2:
            raise Died
        entered.append(file.path)
        enter(file, believed=believed)

    with monkeypatch.context() as patch:
        patch.setattr(batches, "enter", dying)
        with pytest.raises(Died):
            running.run_next()
    assert batch.files.filter(archive__isnull=False).count() == 2
    assert not running.run_next(), "Its beat is young."
    silent()
    work_off()
    assert batch.files.filter(archive__isnull=False).count() == 4
    assert batch.files.filter(blob__isnull=False).count() == Blob.objects.count() == 4


def kill_at(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, *, after: bool
) -> Callable[[], None]:
    """Have the worker die as it calls this, or when it has just been done."""
    real = getattr(place, name)

    def dying(*args: object, **more: object) -> None:
        if after:
            real(*args, **more)
        raise Died

    monkeypatch.setattr(place, name, dying)
    return lambda: monkeypatch.setattr(place, name, real)


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_that_dies_while_attaching_is_gone_on_from(
    rosa: User, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    song, other = announce(rosa, "Song"), announce(rosa, "Other")
    batch = looked_at(rosa, {"Song.wav": sound(300), "Other.wav": sound(400)})
    batches.attach(batch, by=rosa)
    revive = kill_at(monkeypatch, catalogue, "attach_audio", after=after)
    with pytest.raises(Died):
        running.run_next()
    revive()
    silent()
    work_off()
    assert set(states(batch).values()) == {FileState.ATTACHED}
    for recording in (song, other):
        assert audit.history(recording).filter(verb="recording.audio").count() == 1


def test_a_worker_that_dies_before_the_matches_are_written_matches_again(
    rosa: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(rosa, "Song")
    batch = received(rosa, {"Song.wav": sound(300)})
    revive = kill_at(monkeypatch, running, "match", after=False)
    with pytest.raises(Died):
        running.run_next()
    revive()
    silent()
    work_off()
    assert states(batch) == {"Song.wav": FileState.MATCHED}


def test_two_workers_attach_a_file_once(rosa: User) -> None:
    song = announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": sound(300)})
    batches.attach(batch, by=rosa)
    # Both have read the row before one of them is done.
    mine = BatchFile.objects.select_related("recording", "decided_by").get(batch=batch)
    theirs = BatchFile.objects.select_related("recording", "decided_by").get(batch=batch)
    running.attach_one(mine)
    running.attach_one(theirs)
    assert states(batch) == {"Song.wav": FileState.ATTACHED}
    assert audit.history(song).filter(verb="recording.audio").count() == 1


def test_two_workers_unpack_a_file_once(rosa: User) -> None:
    batch = received(rosa, {"a.zip": zipped({"a.wav": sound(300)})})
    row_of_zip = row(batch, "a.zip")
    entries = [
        BatchFile(batch=batch, archive=row_of_zip, number=1, path="a.zip/a.wav") for _ in range(2)
    ]
    batches.enter(entries[0], believed=State.LOOKING)
    with pytest.raises(batches.Stopped):
        batches.enter(entries[1], believed=State.LOOKING)
    assert batch.files.filter(archive=row_of_zip).count() == 1


def test_a_batch_that_was_matched_by_another_worker_is_left_alone(rosa: User) -> None:
    batch = looked_at(rosa, {"Song.wav": sound(300)})
    with pytest.raises(batches.Stopped):
        running.match(batch)


def test_a_file_that_ends_every_worker_is_refused_in_the_end(
    rosa: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = received(rosa, {"a.wav": sound(300), "b.wav": sound(400)})
    look_at = running.look_at

    def deadly(file: BatchFile, deadline: float) -> None:
        if file.path == "a.wav":
            raise Died
        look_at(file, deadline)

    monkeypatch.setattr(running, "look_at", deadly)
    for _ in range(running.MOST_TRIES):
        with pytest.raises(Died):
            running.run_next()
        silent()
    work_off()
    assert states(batch) == {"a.wav": FileState.REFUSED, "b.wav": FileState.UNMATCHED}


def test_a_mistake_of_ours_with_one_file_leaves_the_others(
    rosa: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    batch = received(rosa, {"a.wav": sound(300), "b.wav": sound(400)})
    read = running._read

    def mistaken(file: BatchFile, content: object) -> None:
        if file.path == "a.wav":
            raise KeyError(file.path)
        read(file, content)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "_read", mistaken)
    work_off()
    assert states(batch) == {"a.wav": FileState.REFUSED, "b.wav": FileState.UNMATCHED}
    assert "A mistake with file" in caplog.text


def test_an_outage_is_no_fault_of_the_file(rosa: User, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = received(rosa, {"a.wav": sound(300)})
    real = running._read

    def away(file: BatchFile, content: object) -> None:
        raise storage.Unreachable("The store is away.")

    def locked(file: BatchFile, content: object) -> None:
        raise OperationalError("database is locked")

    for outage, raised in ((away, storage.Unreachable), (locked, OperationalError)):
        monkeypatch.setattr(running, "_read", outage)
        for _ in range(running.MOST_TRIES + 1):
            with pytest.raises(raised):
                running.run_next()
            silent()
    monkeypatch.setattr(running, "_read", real)
    work_off()
    assert states(batch) == {"a.wav": FileState.UNMATCHED}


def test_a_file_that_is_gone_from_storage_is_said(rosa: User) -> None:
    batch = received(rosa, {"a.wav": sound(300)})
    storage.remove(str(row(batch, "a.wav").blob_id))
    work_off()
    assert "missing from storage" in row(batch, "a.wav").sentence


# --- Discarded --------------------------------------------------------------------------------


def stored(batch: FileBatch, path: str) -> bool:
    return storage.exists(row(batch, path).sha256)


def test_what_is_discarded_is_removed_and_what_is_attached_stays(rosa: User) -> None:
    announce(rosa, "Song")
    batch = attached(rosa, {"Song.wav": sound(300), "x.wav": sound(400)})
    assert stored(batch, "x.wav")
    batches.discard(batch, by=rosa)
    work_off()
    assert (stored(batch, "Song.wav"), stored(batch, "x.wav")) == (True, False)
    assert Blob.objects.count() == 1
    line = AuditEvent.objects.get(verb="files.discarded")
    assert line.body["files"] == [row(batch, "x.wav").sha256]
    # The list stays, for whoever asks what became of the files.
    assert states(batch) == {"Song.wav": FileState.ATTACHED, "x.wav": FileState.UNMATCHED}


def test_bytes_that_another_batch_has_too_stay(rosa: User) -> None:
    first = looked_at(rosa, {"x.wav": sound(400)})
    second = looked_at(rosa, {"y.wav": sound(400)})
    batches.discard(first, by=rosa)
    work_off()
    assert stored(second, "y.wav")
    batches.discard(second, by=rosa)
    work_off()
    assert not stored(second, "y.wav")


def test_a_batch_is_discarded_once_and_then_nothing_is_done_with_it(rosa: User) -> None:
    song = announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": sound(300)})
    batches.discard(batch, by=rosa)
    for act in (
        lambda: batches.discard(batch, by=rosa),
        lambda: batches.attach(batch, by=rosa),
        lambda: batches.match_again(batch, by=rosa),
        lambda: batches.choose(row(batch, "Song.wav"), by=rosa, recording=song),
        lambda: batches.leave_out(row(batch, "Song.wav"), by=rosa),
    ):
        with pytest.raises(Refused):
            act()


def test_what_is_being_attached_is_not_discarded(rosa: User) -> None:
    announce(rosa, "Song")
    batch = looked_at(rosa, {"Song.wav": sound(300)})
    batches.attach(batch, by=rosa)
    with pytest.raises(Refused):
        batches.discard(batch, by=rosa)


def test_a_worker_notices_that_its_batch_was_discarded(rosa: User) -> None:
    batch = received(rosa, {"a.zip": zipped({"a.wav": sound(300)})})
    claimed = running.claim()
    assert claimed == batch
    batches.discard(batch, by=rosa)
    entry = BatchFile(batch=claimed, archive=row(batch, "a.zip"), number=1, path="a.zip/a.wav")
    batches.store(entry, io.BytesIO(sound(300)), media_type=batches.UNKNOWN_TYPE)
    with (
        TestCase.captureOnCommitCallbacks(execute=True),
        pytest.raises(batches.Stopped),
    ):
        batches.enter(entry, believed=State.LOOKING)
    work_off()
    assert not Blob.objects.exists()


def test_what_nobody_attaches_is_discarded_after_thirty_days(rosa: User) -> None:
    batch = looked_at(rosa, {"x.wav": sound(400)})
    FileBatch.objects.update(created_at=timezone.now() - timedelta(days=29))
    work_off()
    assert stored(batch, "x.wav")
    FileBatch.objects.update(created_at=timezone.now() - timedelta(days=31))
    work_off()
    batch.refresh_from_db()
    assert batch.state == State.DISCARDED
    assert not stored(batch, "x.wav")
    assert AuditEvent.objects.get(verb="files.discarded").actor is None


def test_a_batch_with_nothing_left_is_not_discarded(rosa: User) -> None:
    announce(rosa, "Song")
    batch = attached(rosa, {"Song.wav": sound(300)})
    FileBatch.objects.update(created_at=timezone.now() - timedelta(days=31))
    work_off()
    batch.refresh_from_db()
    assert batch.state == State.READY


def test_an_upload_that_breaks_off_leaves_nothing(
    rosa: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, count = storage.put, []

    def full(source: object, **more: object) -> object:
        count.append(1)
        if len(count) == 2:
            raise storage.Full("No room.")
        return put(source, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(storage, "put", full)
    with pytest.raises(storage.Full):
        received(rosa, {"a.wav": sound(300), "b.wav": sound(400)})
    batch = FileBatch.objects.get()
    assert batch.state == State.DISCARDED
    work_off()
    assert not Blob.objects.exists()
    assert not stored(batch, "a.wav")


def test_an_upload_whose_process_died_is_discarded_after_a_day(rosa: User) -> None:
    batch = received(rosa, {"a.wav": sound(300)})
    FileBatch.objects.update(state=State.RECEIVING, created_at=timezone.now() - timedelta(hours=25))
    work_off()
    batch.refresh_from_db()
    assert batch.state == State.DISCARDED
    assert not Blob.objects.exists()
