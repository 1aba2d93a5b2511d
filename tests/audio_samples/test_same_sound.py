"""A clip is its sound: silenced under one name it is silent under every other."""

import hashlib
import io

import numpy as np
import pytest
import soundfile
from django.db.models import QuerySet
from django.test import Client
from django.urls import reverse

from audio_samples import clips, releases, samples
from audio_samples.audibility import silences
from audio_samples.descendants import Samples
from audio_samples.models import Sample, SampleFlag
from audio_samples.reviews import flags
from experiments.models import Project, Run
from listening import clearance, trials
from listening.models import ListeningTest
from portal.models import User
from rights.grants import lifecycle
from rights.models import Grant, Party, Recording, Use, WithdrawalCase
from rights.withdrawal import cases, descendants
from tests.audio_samples.cast import make_run
from tests.catalogue import allow, make_party, make_recording

TRAIN = Use.TRAIN_GENERATIVE


@pytest.fixture
def party(rosa: User) -> Party:
    return make_party(rosa, "Mira Sol")


@pytest.fixture
def grant(rosa: User, party: Party) -> Grant:
    return allow(rosa, party, TRAIN)[0]


@pytest.fixture
def song(rosa: User, party: Party, grant: Grant) -> Recording:
    return make_recording(rosa, party)


@pytest.fixture
def first(ada: User, project: Project, song: Recording) -> Sample:
    return deliver(make_run(ada, project, [song]))


@pytest.fixture
def other(ada: User, rosa: User, project: Project) -> Run:
    party = make_party(rosa, "Otto Lang")
    allow(rosa, party, TRAIN)
    allow(rosa, party, Use.EVAL)
    return make_run(ada, project, [make_recording(rosa, party)])


def sound(format: str = "WAV", subtype: str = "PCM_16") -> io.BytesIO:  # noqa: A002
    """The same 16-bit samples in a file of this kind."""
    wave = np.random.default_rng(7).integers(-9_000, 9_000, size=22_050).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, wave, 44_100, format=format, subtype=subtype)
    file.seek(0)
    return file


def deliver(run: Run, name: str = "a", file: io.BytesIO | None = None) -> Sample:
    return samples.receive(run=run, name=name, file=file or sound())


def audible(sample: Sample) -> bool:
    return Sample.objects.audible().filter(pk=sample.pk).exists()


FILES = {"the same file": ("WAV", "PCM_16"), "another container": ("FLAC", "PCM_16")}


@pytest.mark.parametrize("kind", FILES.values(), ids=list(FILES))
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_copy_is_silent_whether_it_came_before_the_withdrawal_or_after(
    *, rosa: User, ada: User, grant: Grant, first: Sample, other: Run, client: Client,
    before: bool, kind: tuple[str, str],
) -> None:  # fmt: skip
    copy = deliver(other, "under another name", sound(*kind)) if before else None
    assert copy is None or audible(copy)
    lifecycle.withdraw(grant, rosa, "No more")
    copy = copy or deliver(other, "under another name", sound(*kind))
    assert not audible(copy)
    assert copy in Sample.objects.withheld()
    shown = clips.clip(Sample.objects.with_holds().get(pk=copy.pk))
    assert "the same sound was delivered under another name" in shown.withheld
    assert shown.url == ""
    client.force_login(ada)
    assert client.get(reverse("audio_samples:audio", args=[copy.pk])).status_code == 410


def test_the_original_is_silent_when_the_copy_is(
    rosa: User, grant: Grant, first: Sample, other: Run
) -> None:
    """Who delivered first says nothing of who made it."""
    earlier = deliver(other)
    Sample.objects.filter(pk=first.pk).update(created_at=earlier.created_at)
    lifecycle.withdraw(grant, rosa, "No more")
    assert not audible(earlier)


def test_the_artist_of_a_silent_copy_reads_why_and_hears_nothing(
    *, rosa: User, noor: User, grant: Grant, first: Sample, other: Run, client: Client
) -> None:
    """Without a word of who ended it: that is another holder."""
    copy = samples.receive(run=other, name="under another name", file=sound(), final=True)
    recording = other.dataset.items.get().recording  # type: ignore[union-attr]
    recording.splits.get().lines.get().party.people.add(noor)
    lifecycle.withdraw(grant, rosa, "No more of this")
    client.force_login(noor)
    answer = client.get(reverse("audio_samples:mine_audio", args=[copy.pk]))
    assert answer.status_code == 410
    page = client.get(reverse("audio_samples:mine_sample", args=[copy.pk])).content.decode()
    assert "the same sound was delivered under another name" in page
    assert "No more of this" not in page


def test_who_judges_a_flag_is_told_that_a_copy_keeps_the_sound_silent(
    rosa: User, noor: User, grant: Grant, first: Sample, other: Run
) -> None:
    copy = samples.receive(run=other, name="a", file=sound(), final=True)
    party = other.dataset.items.get().recording.splits.get().lines.get().party  # type: ignore[union-attr]
    party.people.add(noor)
    flag = flags.flag(by=noor, party=party, sample=copy, reason="My melody.")
    assert silences.other_silences(copy, except_flag=flag) == []
    lifecycle.withdraw(grant, rosa, "No more")
    assert silences.other_silences(copy, except_flag=flag) == [silences.Silence.SAME_SOUND.value]


def test_a_recalled_sound_is_silent_under_every_name(first: Sample, other: Run) -> None:
    Samples().retire([str(first.pk)], "A withdrawal")
    assert not audible(deliver(other))


def test_a_flag_silences_every_name_until_it_is_dismissed(
    rosa: User, noor: User, party: Party, first: Sample, other: Run
) -> None:
    copy = deliver(other)
    flag = SampleFlag.objects.create(sample=first, party=party, by=noor, reason="That is my voice")
    assert not audible(copy)
    flags.dismiss(flag, by=rosa, note="It is not.")
    assert audible(copy)


def test_another_sound_is_not_touched(rosa: User, grant: Grant, first: Sample, other: Run) -> None:
    lifecycle.withdraw(grant, rosa, "No more")
    wave = sound().getvalue()[:-2] + b"\0\1"
    assert audible(deliver(other, file=io.BytesIO(wave)))


def test_a_withdrawal_lists_the_copies(
    rosa: User, song: Recording, grant: Grant, first: Sample, other: Run
) -> None:
    copy = deliver(other, file=sound("FLAC"))
    source = str(first.run.dataset_id)
    (level,) = [
        descendant
        for descendant in descendants.descendants([source], [TRAIN])
        if descendant.kind.name == "sample"
    ]
    assert {node.key for node in level.nodes} == {str(first.pk), str(copy.pk)}
    lifecycle.withdraw(grant, rosa, "No more")
    late = deliver(other, "late")
    cases.refresh_cases()
    case = WithdrawalCase.objects.get()
    assert case.items.filter(kind="sample", key=str(late.pk)).exists()


def test_a_listening_test_asks_all_who_are_behind_the_sound(
    *, ada: User, rosa: User, project: Project, party: Party, first: Sample, other: Run
) -> None:
    copy = deliver(other)

    def opened() -> ListeningTest:
        return trials.open_test(by=ada, project=project, title="T", question="Q", samples=[copy])

    with pytest.raises(trials.BadTest, match="Mira Sol"):
        opened()
    grants = allow(rosa, party, Use.EVAL)
    # What a run was cleared for is kept when it starts and never widens: the next one has it.
    fresh = deliver(make_run(ada, project, list(_songs(first))), "fresh", sound("FLAC"))
    assert fresh.sound == copy.sound
    assert clearance.audible([copy.pk]) == {copy.pk}
    lifecycle.withdraw(grants[0], rosa, "No more tests")
    assert clearance.audible([copy.pk]) == set()
    assert audible(copy)


def _songs(sample: Sample) -> QuerySet[Recording]:
    return Recording.objects.filter(
        pk__in=sample.run.dataset.items.values("recording")  # type: ignore[union-attr]
    )


def test_a_suspension_behind_the_original_rests_the_copy(
    ada: User, rosa: User, party: Party, first: Sample, other: Run
) -> None:
    grants = allow(rosa, party, Use.EVAL)
    copy = deliver(other)
    assert clearance.audible([copy.pk]) == {copy.pk}
    lifecycle.suspend(grants[0], rosa, "To be talked about")
    assert clearance.audible([copy.pk]) == set()


def test_a_release_asks_all_who_are_behind_the_sound(
    rosa: User, party: Party, first: Sample, other: Run
) -> None:
    otto = other.dataset.items.get().recording.credits.get(role="MainArtist").party  # type: ignore[union-attr]
    allow(rosa, otto, Use.DISTRIBUTE, channels=["export"])
    copy = deliver(other)
    assert any("Mira Sol" in one for one in releases.release_obstacles(copy))


def test_clips_from_before_their_sound_was_kept_get_it(first: Sample) -> None:
    kept = first.sound
    assert len(kept) == 64
    Sample.objects.update(sound="")
    assert samples.store_sound_digests() == 1
    first.refresh_from_db()
    assert first.sound == kept
    assert samples.store_sound_digests() == 0


def test_a_clip_whose_file_is_missing_is_known_by_its_bytes(first: Sample) -> None:
    from portal import storage

    storage.remove(first.audio_id)
    Sample.objects.update(sound="")
    samples.store_sound_digests()
    first.refresh_from_db()
    assert first.sound == first.audio_id == hashlib.sha256(sound().getvalue()).hexdigest()
