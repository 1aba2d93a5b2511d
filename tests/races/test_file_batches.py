"""Workers, people and the clock at one file batch at the same moment, on PostgreSQL."""

import pytest

from portal import audit
from portal.models import Blob, User
from rights.catalogue.file_batches import batches, running
from rights.errors import Refused
from rights.models import BatchFile, FileBatch, Recording
from tests.races.together import together
from tests.rights.catalogue.file_batches.files import announce, received, row, sound, states, zipped

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

State = BatchFile.State
ROUNDS = 4
REFUSALS = (Refused, batches.Stopped)


def work_off() -> None:
    while running.run_next():
        pass


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_workers_at_once_unpack_match_and_attach_each_file_once(
    rosa: User, round_number: int
) -> None:
    songs = [announce(rosa, f"Song {number}") for number in range(4)]
    files = {f"Song {number}.wav": sound(300 + number) for number in range(4)}
    batch = received(rosa, {"a.zip": zipped(files)})
    together(*[work_off] * 3, refusals=REFUSALS)
    work_off()
    batch.refresh_from_db()
    batches.attach(batch, by=rosa)
    together(*[work_off] * 3, refusals=REFUSALS)
    work_off()
    assert sorted(states(batch).values()) == sorted([State.UNPACKED] + [State.ATTACHED] * 4)
    for song in songs:
        assert audit.history(song).filter(verb="recording.audio").count() == 1
    assert Blob.objects.count() == 4
    assert list(audit.broken_lines()) == []


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_one_recording_is_chosen_for_one_file(rosa: User, round_number: int) -> None:
    song = announce(rosa, "Song")
    batch = received(rosa, {"x.wav": sound(300), "y.wav": sound(400)})
    work_off()
    results = together(
        *[
            lambda path=path: batches.choose(
                row(batch, path), by=rosa, recording=Recording.objects.get(pk=song.pk)
            )
            for path in ("x.wav", "y.wav")
        ],
        refusals=REFUSALS,
    )
    assert sum(isinstance(result, Refused) for result in results) == 1
    assert sorted(states(batch).values()) == [State.MATCHED, State.UNMATCHED]


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_a_batch_is_discarded_or_attached_and_never_both(rosa: User, round_number: int) -> None:
    announce(rosa, "Song")
    batch = received(rosa, {"Song.wav": sound(300)})
    work_off()
    mine, theirs = (FileBatch.objects.get(pk=batch.pk) for _ in range(2))
    results = together(
        lambda: batches.attach(mine, by=rosa),
        lambda: batches.discard(theirs, by=rosa),
        refusals=REFUSALS,
    )
    assert sum(isinstance(result, Refused) for result in results) == 1
    work_off()
    batch.refresh_from_db()
    is_attached = Recording.objects.get().audio_id is not None
    assert is_attached == (batch.state == FileBatch.State.READY)
    assert Blob.objects.exists() == is_attached


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_bytes_that_come_while_they_are_discarded_are_there_or_said_to_be_gone(
    rosa: User, round_number: int
) -> None:
    from portal import storage

    first = received(rosa, {"x.wav": sound(300)})
    work_off()
    batches.discard(first, by=rosa)
    together(
        work_off, lambda: received(rosa, {"y.wav": sound(300)}), refusals=REFUSALS, spread=0.01
    )
    work_off()
    second = FileBatch.objects.exclude(pk=first.pk).get()
    found = row(second, "y.wav")
    if found.state == State.REFUSED:
        assert "discarded" in found.sentence or "missing" in found.sentence
    else:
        assert storage.exists(found.sha256)
