"""What sounds like a recording that is here is a question before it is used."""

import io

import numpy as np
import pytest
import soundfile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audio import sound_digest
from portal import audit
from portal.models import User
from rights.catalogue import catalogue, sound_backfill, sound_prints, sound_questions
from rights.consent import allowances, consent
from rights.errors import Refused
from rights.grants import lifecycle
from rights.models import (
    Landmark,
    Party,
    Purpose,
    Recording,
    RecordingRelation,
    SoundPrint,
    SoundQuestion,
    Use,
)
from tests.audio.test_prints import music
from tests.catalogue import allow, make_party, make_recording
from tests.tones import tone
from workers.data import synth

pytestmark = pytest.mark.django_db

HERE = consent.Context(Purpose.RESEARCH, "world", "backline")
RATE = 22_050
Answer = SoundQuestion.Answer


def played(seed: int, seconds: float = 12.0) -> np.ndarray:
    """(2, frames) of music that no other seed is like."""
    return music(seconds, rate=RATE, seed=seed)


def written(audio: np.ndarray, kind: str = "FLAC", **more: object) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, audio.T, RATE, format=kind, **more)
    file.seek(0)
    return file


@pytest.fixture
def party(rosa: User) -> Party:
    made = make_party(rosa, "Bea Voice")
    allow(rosa, made, Use.EVAL)
    return made


@pytest.fixture
def other(rosa: User) -> Party:
    made = make_party(rosa, "Ada Remix")
    allow(rosa, made, Use.EVAL)
    return made


@pytest.fixture
def song(rosa: User, party: Party) -> Recording:
    return make_recording(rosa, party, title="Song", file=written(played(1)))


def usable(*songs: Recording) -> list[bool]:
    return [consent.evaluate([one], Use.EVAL, HERE).allowed for one in songs]


def again(rosa: User, other: Party, file: io.BytesIO) -> Recording:
    return make_recording(rosa, other, title="Again", file=file)


def test_the_same_samples_in_another_file_are_a_question(
    rosa: User, song: Recording, other: Party
) -> None:
    copy = again(rosa, other, written(soundfile.read(written(played(1)))[0].T, "WAV"))
    assert copy.audio_id != song.audio_id
    found = SoundQuestion.objects.get()
    assert (found.recording, found.other, found.same_samples) == (copy, song, True)
    assert usable(song, copy) == [True, False]
    (reason,) = consent.evaluate([copy], Use.EVAL, HERE)[copy.pk].reasons
    assert reason["code"] == "sound_question"
    # Whose it may be is not told to whoever reads the answer.
    assert "A question about the sound of “Again” is open" in reason["sentence"]
    assert "Song" not in reason["sentence"]
    assert not allowances.allowance_of([copy.pk], Use.EVAL, timezone.now()).boxes
    assert audit.history(copy).filter(verb="recording.sound_questioned").exists()


@pytest.mark.parametrize(
    "alter",
    [
        lambda audio: 0.2 * audio,
        lambda audio: audio[:, RATE:],
        lambda audio: audio[:, : 9 * RATE],
        lambda audio: np.concatenate([played(8, 6.0), audio, played(9, 6.0)], axis=1),
        lambda audio: audio + 0.02 * played(7),
    ],
    ids=["softer", "later in", "cut off", "inside another", "under another"],
)
def test_a_near_copy_is_a_question_with_where_they_agree(
    rosa: User, song: Recording, other: Party, alter: object
) -> None:
    copy = again(rosa, other, written(alter(played(1))))  # type: ignore[operator]
    found = SoundQuestion.objects.get()
    assert (found.recording, found.other, found.same_samples) == (copy, song, False)
    assert found.score is not None
    assert found.length is not None
    assert found.score > 0.86
    assert found.length >= sound_prints.LEAST_SECONDS


def test_lossy_copies_are_a_question(rosa: User, song: Recording, other: Party) -> None:
    again(rosa, other, written(played(1)[:, 4_321:], "MP3", compression_level=0.6))
    assert SoundQuestion.objects.get().other == song


def test_other_music_and_short_likeness_are_none(rosa: User, song: Recording, other: Party) -> None:
    again(rosa, other, written(played(2)))
    mixed = np.concatenate([played(3, 5.0), played(1)[:, : 3 * RATE], played(4, 5.0)], axis=1)
    make_recording(rosa, other, file=written(mixed))
    for pitch in (300.0, 300.3):
        make_recording(rosa, other, file=tone(seconds=2, frequency=pitch))
    assert not SoundQuestion.objects.exists()


def test_a_file_that_comes_later_is_asked_too(rosa: User, song: Recording, other: Party) -> None:
    known = catalogue.announce_recording(by=rosa, title="Announced first")
    catalogue.attach_audio(
        by=rosa, recording=known, file=written(0.5 * played(1)), filename="a.flac"
    )
    # Announced before, but its file came after.
    assert SoundQuestion.objects.get().recording == known


def test_somebody_elses_voice_as_a_part_is_a_question(
    rosa: User, song: Recording, other: Party
) -> None:
    mine = again(rosa, other, written(played(2)))
    catalogue.add_stem(
        by=rosa, recording=mine, part="vocals", file=written(0.5 * played(1)), filename="v.flac"
    )
    assert SoundQuestion.objects.get().recording == mine
    assert usable(mine) == [False]


def test_a_part_of_a_recording_is_no_question_about_itself(rosa: User, song: Recording) -> None:
    catalogue.add_stem(
        by=rosa, recording=song, part="vocals", file=written(0.5 * played(1)), filename="v.flac"
    )
    assert not SoundQuestion.objects.exists()


def test_a_recording_that_was_a_part_before_is_a_question(
    rosa: User, song: Recording, other: Party
) -> None:
    catalogue.add_stem(
        by=rosa, recording=song, part="vocals", file=written(played(5)), filename="v.flac"
    )
    copy = again(rosa, other, written(0.5 * played(5)))
    found = SoundQuestion.objects.get()
    assert (found.recording, found.other) == (copy, song)


def add_part(rosa: User, recording: Recording, seed: int, kind: str = "FLAC") -> None:
    catalogue.add_stem(
        by=rosa, recording=recording, part="vocals", file=written(played(seed), kind),
        filename="v.flac",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["FLAC", "WAV"], ids=["the very file", "another file"])
def test_a_copy_as_a_part_of_an_older_recording_puts_that_one_in_question(
    *, rosa: User, song: Recording, other: Party, kind: str
) -> None:
    victim = again(rosa, other, written(played(5)))
    add_part(rosa, song, 5, kind)
    found = SoundQuestion.objects.get()
    assert (found.recording, found.other) == (song, victim)
    assert usable(song, victim) == [False, True]


def test_where_a_part_agrees_is_said_of_the_right_one(
    rosa: User, song: Recording, other: Party
) -> None:
    inside = np.concatenate([played(8, 6.0), played(5)], axis=1)
    again(rosa, other, written(inside))
    add_part(rosa, song, 5)
    found = SoundQuestion.objects.get()
    assert found.recording == song
    assert found.at is not None
    assert found.other_at is not None
    assert found.other_at - found.at == pytest.approx(6.0, abs=0.2)


@pytest.mark.parametrize("older_first", [True, False])
def test_of_two_with_the_same_part_the_one_that_got_it_later_is_in_question(
    *, rosa: User, song: Recording, other: Party, older_first: bool
) -> None:
    newer = again(rosa, other, written(played(2)))
    first, second = (song, newer) if older_first else (newer, song)
    add_part(rosa, first, 5)
    add_part(rosa, second, 5, "WAV")
    found = SoundQuestion.objects.get()
    assert (found.recording, found.other) == (second, first)


def test_who_has_had_a_sound_first_keeps_it_whatever_parts_come_after(
    rosa: User, song: Recording, other: Party
) -> None:
    victim = again(rosa, other, written(played(5)))
    add_part(rosa, song, 5)
    add_part(rosa, victim, 5, "WAV")
    SoundQuestion.objects.all().delete()
    SoundPrint.objects.all().delete()
    sound_backfill.run_pass()
    found = SoundQuestion.objects.get()
    assert (found.recording, found.other) == (song, victim)


@pytest.mark.parametrize("answer", list(Answer))
def test_an_answer_makes_it_usable_as_far_as_all_whose_word_it_needs_allow(
    *, rosa: User, song: Recording, party: Party, other: Party, answer: Answer
) -> None:
    copy = again(rosa, other, written(0.5 * played(1)))
    then = consent.check([copy], Use.EVAL, HERE, by=rosa)
    question = SoundQuestion.objects.get()
    sound_questions.answer(question, by=rosa, answer=answer, note="I heard both.")
    assert usable(copy) == [True]
    turned = answer in (Answer.CONTAINED, Answer.ORIGIN)
    made, source = (song, copy) if turned else (copy, song)
    related = RecordingRelation.objects.filter(recording=made, source=source)
    assert related.exists() == (answer != Answer.NOT_THE_SAME)
    # What comes from the other falls with the other's permission.
    for grant in (other if turned else party).grants.all():
        lifecycle.withdraw(grant, rosa, "No more.")
    assert usable(made) == [answer == Answer.NOT_THE_SAME]
    assert not then.allowed
    assert audit.history(copy).filter(verb="recording.sound_answered").exists()
    with pytest.raises(Refused):
        sound_questions.answer(question, by=rosa, answer=answer)


def test_a_question_that_was_answered_leaves_replays_as_they_were(
    rosa: User, song: Recording, other: Party
) -> None:
    copy = again(rosa, other, written(0.5 * played(1)))
    during = consent.check([copy, song], Use.EVAL, HERE, by=rosa)
    sound_questions.answer(SoundQuestion.objects.get(), by=rosa, answer=Answer.SAME_SOUND)
    verdict = consent.replay(during)
    assert (verdict.digest, verdict.input_digest) == (during.output_digest, during.input_digest)


def test_what_was_answered_is_not_asked_again(rosa: User, song: Recording, other: Party) -> None:
    copy = again(rosa, other, written(0.5 * played(1)))
    sound_questions.answer(SoundQuestion.objects.get(), by=rosa, answer=Answer.NOT_THE_SAME)
    SoundPrint.objects.update(compared=False)
    assert sound_backfill.run_pass() == 2
    assert SoundQuestion.objects.count() == 1
    assert usable(copy) == [True]


def test_recordings_from_before_are_compared_in_rounds_the_oldest_first(
    rosa: User, song: Recording, other: Party
) -> None:
    copy = again(rosa, other, written(0.5 * played(1)))
    SoundQuestion.objects.all().delete()
    SoundPrint.objects.all().delete()
    assert usable(song, copy) == [True, True]
    assert sound_backfill.run_pass() == 2
    found = SoundQuestion.objects.get()
    assert (found.recording, found.other) == (copy, song)
    assert sound_backfill.run_pass() == 0
    assert not SoundPrint.objects.filter(compared=False).exists()


def test_parts_from_before_are_compared_too(rosa: User, song: Recording, other: Party) -> None:
    mine = again(rosa, other, written(played(2)))
    catalogue.add_stem(
        by=rosa, recording=mine, part="vocals", file=written(0.5 * played(1)), filename="v.flac"
    )
    SoundQuestion.objects.all().delete()
    SoundPrint.objects.all().delete()
    assert sound_backfill.run_pass() == 3
    assert SoundQuestion.objects.get().other == song


def test_a_file_that_cannot_be_read_is_told_and_not_tried_for_ever(
    rosa: User, song: Recording
) -> None:
    from portal import storage

    SoundPrint.objects.all().delete()
    storage.remove(str(song.audio_id))
    assert sound_backfill.run_pass() == 1
    assert SoundPrint.objects.get().problem == "The file is missing from storage."
    assert sound_backfill.run_pass() == 0


def test_one_more_recording_is_some_more_rows(rosa: User, song: Recording, other: Party) -> None:
    before = set(Landmark.objects.values_list("pk", flat=True))
    made = set(SoundPrint.objects.values_list("pk", "made_at"))
    again(rosa, other, written(played(2)))
    after = set(Landmark.objects.values_list("pk", flat=True))
    assert before < after
    assert made < set(SoundPrint.objects.values_list("pk", "made_at"))
    # Some in a second of music, not all of them.
    assert len(after - before) < 12 * 12


def test_the_digest_is_that_of_the_samples_whatever_is_around_them() -> None:
    audio = soundfile.read(written(played(1)), dtype="float32", always_2d=True)[0].T
    blocks = sound_digest.Digest(rate=RATE, channels=2)
    for at in range(0, audio.shape[1], 1_000):
        blocks.add(audio.T[at : at + 1_000])
    assert blocks.hexdigest() == sound_digest.digest(audio, rate=RATE)
    assert sound_digest.digest(audio[:1], rate=RATE) != blocks.hexdigest()


# --- The pages --------------------------------------------------------------------------------


def test_a_rights_admin_hears_both_and_answers(
    *, client: Client, rosa: User, ada: User, song: Recording, other: Party
) -> None:
    copy = again(rosa, other, written(0.5 * played(1)))
    question = SoundQuestion.objects.get()
    address = reverse("rights:sound_question", args=[question.pk])
    client.force_login(ada)
    assert client.get(address).status_code == 404
    assert client.post(address, {"answer": "same_sound"}).status_code == 404
    assert "used for nothing" in client.get(copy.get_absolute_url()).content.decode()
    client.force_login(rosa)
    assert "Again sounds like Song" in client.get(reverse("rights:home")).content.decode()
    assert "Again" in client.get(reverse("rights:sound_questions")).content.decode()
    page = client.get(address).content.decode()
    for one in (copy, song):
        assert reverse("rights:recording_audio", args=[one.pk]) in page
    # Nothing is chosen for anybody.
    assert "checked" not in page
    assert client.post(address, {}).status_code == 422
    assert client.post(address, {"answer": "derived", "note": "A remaster."}).status_code == 302
    page = client.get(copy.get_absolute_url()).content.decode()
    assert "was made from" in page
    assert "A remaster." in page
    late = client.post(address, {"answer": "not_the_same"})
    assert "Somebody has answered this already." in late.content.decode()
    answered = client.get(reverse("rights:sound_questions") + "?state=answered")
    assert "It was made from the earlier one" in answered.content.decode()


def test_the_page_of_a_question_about_a_part_says_when_the_part_came(
    *, client: Client, rosa: User, song: Recording, other: Party
) -> None:
    again(rosa, other, written(played(5)))
    client.force_login(rosa)
    sent = {"part": "vocals", "file": written(played(5))}
    added = client.post(reverse("rights:recording_stem", args=[song.pk]), sent, follow=True)
    assert "“Song” has the very same samples as “Again”" in added.content.decode()
    question = SoundQuestion.objects.get()
    page = client.get(reverse("rights:sound_question", args=[question.pk])).content.decode()
    later, earlier = page.split('id="the-earlier"')
    assert "Its part “Vocals” came" in later
    assert reverse("rights:stem_audio", args=[song.pk, song.stems.get().pk]) in later
    assert "Its part" not in earlier


def test_a_rights_admin_says_and_takes_back_where_a_recording_comes_from(
    *, client: Client, rosa: User, ada: User, song: Recording, other: Party
) -> None:
    from tests.catalogue import second_admin

    remix = again(rosa, other, written(played(2)))
    client.force_login(rosa)
    add = reverse("rights:recording_relation", args=[remix.pk])
    assert client.post(add, {"kind": "contains", "source": "Nothing"}).status_code == 422
    wrong = client.post(add, {"kind": "contains", "source": f"#{remix.pk}"})
    assert "A recording does not come from itself." in wrong.content.decode()
    sent = {"kind": "contains", "source": f"#{song.pk}", "note": "The hook."}
    assert client.post(add, sent).status_code == 302
    row = RecordingRelation.objects.get()
    confirm = reverse("rights:relation_confirm", args=[row.pk])
    end = reverse("rights:relation_end", args=[row.pk])
    assert client.post(end, {"reason": "A slip."}).status_code == 422
    assert RecordingRelation.objects.filter(ended_at=None).exists()
    client.force_login(ada)
    for address in (add, confirm, end):
        assert client.post(address, sent).status_code == 404
    client.force_login(second_admin())
    client.post(confirm)
    for one in (remix, song):
        page = client.get(one.get_absolute_url()).content.decode()
        assert "contains a part of" in page
        assert "confirmed by Ivo" in page
    assert client.post(end, {"reason": "A slip."}).status_code == 302
    assert not RecordingRelation.objects.filter(ended_at=None).exists()


def test_the_api_says_where_a_recording_comes_from_and_what_is_in_question(
    *, client: Client, rosa: User, ada: User, song: Recording, other: Party
) -> None:
    copy = again(rosa, other, written(0.5 * played(1)))
    client.force_login(ada)

    def listed() -> dict[int, tuple[list[tuple[int, str]], bool]]:
        rows = client.get("/api/v1/rights/recordings").json()["items"]
        return {
            row["id"]: (
                [(one["source_id"], one["kind"]) for one in row["sources"]],
                row["sound_in_question"],
            )
            for row in rows
        }

    assert listed() == {song.pk: ([], False), copy.pk: ([], True)}
    why = f"/api/v1/rights/recordings/{copy.pk}/why?use=eval"
    assert client.get(why).json()["reasons"][0]["code"] == "sound_question"
    sound_questions.answer(SoundQuestion.objects.get(), by=rosa, answer=Answer.DERIVED)
    assert listed() == {song.pk: ([], False), copy.pk: ([(song.pk, "derived")], False)}


@pytest.mark.slow
def test_the_pieces_of_the_demo_that_are_most_alike_are_no_question(
    rosa: User, other: Party
) -> None:
    """Of all 48 these pairs come nearest: to 0.94, for five seconds (docs/screening.md)."""
    for seed in (3, 42, 9, 7):
        track = synth.synthesise("ambient", seed, 16 + seed % 7)
        file = io.BytesIO()
        soundfile.write(file, track.audio.T, 44_100, format="FLAC")
        file.seek(0)
        make_recording(rosa, other, file=file)
    assert not SoundQuestion.objects.exists()
