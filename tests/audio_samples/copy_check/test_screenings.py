"""The copy check of samples: what is compared, kept, answered, and shown to whom."""

import io
from pathlib import Path

import pytest
import soundfile
from django.conf import LazySettings
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from audio import matching, prints
from audio_samples import samples, tasks
from audio_samples.copy_check import dataset_index, screenings
from audio_samples.models import Sample
from audio_samples.models.copy_check import DatasetIndex, Screening
from experiments.models import Project, Run
from experiments.runs import runs
from portal import audit, storage
from portal.models import Blob, User
from rights.catalogue import sound_prints
from rights.errors import Refused
from rights.models import Party, Recording, SoundPrint, Use
from tests.audio.test_prints import music
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import allow, make_party, make_recording
from tests.confirming import confirm
from tests.portal.test_storage import bucket, object_store  # noqa: F401 - fixtures.
from tests.tones import tone

pytestmark = pytest.mark.django_db

Outcome = Screening.Outcome


def as_file(audio: object) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, audio.T, 44_100, format="FLAC")  # type: ignore[attr-defined]
    file.seek(0)
    return file


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    found = make_party(rosa, "Noor", people=[noor])
    allow(rosa, found, Use.TRAIN_GENERATIVE, Use.CONDITION)
    return found


def song(by: User, party: Party, seed: int) -> Recording:
    """A recording with music in it, of ten seconds."""
    file = as_file(music(10, seed=seed))
    return make_recording(by, party, title=f"Song of seed {seed}", file=file)


@pytest.fixture
def songs(rosa: User, party: Party) -> list[Recording]:
    return [song(rosa, party, seed) for seed in (1, 2)]


@pytest.fixture
def run(ada: User, project: Project, songs: list[Recording]) -> Run:
    return make_run(ada, project, songs)


def clip_of(run: Run, seed: int, *, name: str = "final/0", start: float = 2.0) -> Sample:
    """A sample that is six seconds of the music of that seed."""
    audio = music(10, seed=seed)[:, round(start * 44_100) :][:, : 6 * 44_100]
    return make_sample(run, name=name, file=as_file(audio))


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_copy_of_what_the_run_learned_from_is_found(run: Run, songs: list[Recording]) -> None:
    sample = clip_of(run, seed=2)
    assert not screenings.passed(sample)
    look = screenings.screen(sample)
    assert (look.outcome, look.recording) == (Outcome.NEAR_COPY, songs[1])
    assert look.score > look.threshold
    assert look.recording_at - look.clip_at == pytest.approx(2.0, abs=0.04)
    assert not screenings.passed(sample)
    index = DatasetIndex.objects.get(dataset=run.dataset)
    assert look.index_digest == index.blob_id
    line = audit.history(sample).first()
    assert (line.verb, line.body["recording"]) == ("sample.near_copy", songs[1].pk)


def test_other_music_passes(run: Run) -> None:
    sample = clip_of(run, seed=77)
    look = screenings.screen(sample)
    assert look.outcome == Outcome.PASSED
    assert look.score < look.threshold
    assert screenings.passed(sample)
    assert audit.history(sample).first().verb == "sample.received"


def test_the_same_look_adds_no_row_and_a_new_method_asks_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = clip_of(run, seed=77)
    first = screenings.screen(sample)
    assert screenings.screen(sample) == first
    assert Screening.objects.count() == 1
    assert list(screenings.waiting()) == []
    monkeypatch.setattr(prints, "VERSION", prints.VERSION + 1)
    assert not screenings.passed(sample)
    assert list(screenings.waiting()) == [sample]
    assert screenings.screen(sample) != first
    assert screenings.passed(sample)
    assert Screening.objects.count() == 2
    assert DatasetIndex.objects.count() == 2


def test_prints_are_made_once_and_shared_by_datasets(
    ada: User, project: Project, run: Run, songs: list[Recording]
) -> None:
    screenings.screen(clip_of(run, seed=77))
    made = dict(SoundPrint.objects.values_list("audio", "made_at"))
    assert set(made) == {one.audio_id for one in songs}
    screenings.screen(clip_of(make_run(ada, project, songs[:1]), seed=77))
    assert dict(SoundPrint.objects.values_list("audio", "made_at")) == made


def test_music_heard_through_another_runs_weights_is_compared_too(
    rosa: User, run: Run, party: Party, songs: list[Recording]
) -> None:
    blob = Blob.objects.create(sha256="a" * 64, size=1, media_type="application/octet-stream")
    first = run.checkpoints.create(step=1, blob=blob)
    later = make_run(run.submitted_by, run.project, [song(rosa, party, 3)])
    untouched = screenings.screen(clip_of(later, seed=1))
    assert untouched.outcome == Outcome.PASSED
    Run.objects.filter(pk=later.pk).update(start_from=first)
    sample = clip_of(Run.objects.get(pk=later.pk), seed=1, name="final/1")
    look = screenings.screen(sample)
    assert (look.outcome, look.recording) == (Outcome.NEAR_COPY, songs[0])
    assert len(look.indexes) == 2
    assert look.index_digest not in look.indexes


def test_a_run_without_music_and_a_silent_clip_have_words_of_their_own(
    ada: User, project: Project, run: Run
) -> None:
    outside = runs.open_client_run(by=ada, project=project, name="outside")
    alone = screenings.screen(make_sample(outside))
    assert (alone.outcome, alone.score, alone.index_digest) == (Outcome.NOTHING, None, "")
    silent = make_sample(run, name="silent", file=tone(amplitude=0.0))
    assert screenings.screen(silent).outcome == Outcome.SILENT
    assert not screenings.passed(silent)


def test_music_that_cannot_be_read_lets_nothing_pass_until_it_is_back(
    run: Run, songs: list[Recording]
) -> None:
    # As of recordings that came before prints were made at the door.
    SoundPrint.objects.all().delete()
    lost = songs[0].audio_id
    with storage.open_blob(lost) as file:
        kept = file.read()
    storage.remove(lost)
    other, copy = clip_of(run, seed=77), clip_of(run, seed=2, name="final/1")
    assert screenings.run_pass() == 2
    look = screenings.latest_screening(other)
    assert look.outcome == Outcome.FAILED
    assert "Song of seed 1” could not be read" in look.reason
    # What is there is compared all the same.
    assert screenings.latest_screening(copy).outcome == Outcome.NEAR_COPY
    assert screenings.run_pass() == 0
    storage.put(io.BytesIO(kept), media_type="audio/flac")
    call_command("screen", again=True, stdout=io.StringIO())
    assert screenings.passed(other)
    assert Screening.objects.filter(sample=other).count() == 2


def test_a_clip_that_is_gone_says_so_and_is_not_tried_for_ever(run: Run) -> None:
    sample, fine = clip_of(run, seed=77), clip_of(run, seed=78, name="final/1")
    storage.remove(sample.audio_id)
    assert screenings.run_pass() == 2
    assert screenings.latest_screening(sample).reason == "The clip's file is missing from storage."
    assert screenings.passed(fine)
    assert list(screenings.waiting()) == []


def test_an_index_that_is_gone_is_made_anew_when_somebody_asks(run: Run) -> None:
    screenings.screen(clip_of(run, seed=77))
    storage.remove(DatasetIndex.objects.get().blob_id)
    sample = clip_of(run, seed=78, name="final/1")
    assert screenings.run_pass() == 1
    assert "index of the music behind it is missing" in screenings.latest_screening(sample).reason
    assert screenings.retry_failed() == 1
    assert screenings.passed(sample)


def test_a_check_that_breaks_down_is_told_and_does_not_stand_in_the_way(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, next_one = clip_of(run, seed=77), clip_of(run, seed=78, name="final/1")
    with monkeypatch.context() as broken:
        broken.setattr(matching, "SHIFTS", 0)
        with pytest.raises(ZeroDivisionError):
            tasks.screen()
    assert "broke down" in screenings.latest_screening(sample).reason
    assert list(screenings.waiting()) == [next_one]
    tasks.screen()
    assert screenings.passed(next_one)


def test_an_index_in_an_object_store_is_brought_here_once(
    request: pytest.FixtureRequest, settings: LazySettings, tmp_path: Path
) -> None:
    settings.STATE_DIR = tmp_path / "state"
    request.getfixturevalue("bucket")
    run: Run = request.getfixturevalue("run")
    sample = clip_of(run, seed=2)
    first = screenings.screen(sample)
    assert first.outcome == Outcome.NEAR_COPY
    copies = list((tmp_path / "state" / "indexes").iterdir())
    assert [copy.name for copy in copies] == [first.index_digest]
    # The store says whether it is still there: a copy alone does not count.
    storage.remove(first.index_digest)
    with pytest.raises(FileNotFoundError):
        dataset_index.open_index(DatasetIndex.objects.get())
    for number in range(dataset_index.COPIES + 1):
        blob = storage.put(io.BytesIO(b"%d" % number), media_type="x/x")
        dataset_index._copy(blob.sha256)
    assert len(list((tmp_path / "state" / "indexes").iterdir())) == dataset_index.COPIES


def test_a_file_that_is_no_audio_has_no_print_but_a_reason() -> None:
    blob = storage.put(io.BytesIO(b"no audio at all"), media_type="audio/flac")
    made = sound_prints.make_print(blob.sha256)
    assert made.packed is None
    assert "could not be read" in made.problem


def test_rounds_are_bounded_and_go_on_where_they_were(run: Run) -> None:
    made = [clip_of(run, seed=70 + number, name=f"final/{number}") for number in range(2)]
    SoundPrint.objects.all().delete()
    assert screenings.run_pass(turn=-1.0) == 0
    assert dataset_index.load_or_make_index(run.dataset, until=0.0) is None
    tasks.screen()
    assert all(screenings.passed(one) for one in made)
    tasks.screen()
    assert Screening.objects.count() == 2


def test_a_rights_admin_hears_both_and_withholds_the_copy(
    rosa: User, ada: User, run: Run, songs: list[Recording]
) -> None:
    sample = clip_of(run, seed=2)
    look = screenings.screen(sample)
    admin = as_user(rosa)
    listed = admin.get(reverse("audio_samples:copies")).content.decode()
    assert "1 near copy." in listed
    page = admin.get(reverse("audio_samples:copy", args=[look.pk])).content.decode()
    heard = reverse("audio_samples:copy_audio", args=[look.pk])
    assert heard in page
    assert reverse("rights:recording_audio", args=[songs[1].pk]) in page
    assert admin.get(heard).status_code == 200
    one = reverse("audio_samples:copy", args=[look.pk])
    withhold = reverse("audio_samples:copy_confirm", args=[look.pk])
    assert admin.post(withhold, {"note": ""}).status_code == 422
    # Until somebody answers it may be heard in its project.
    assert Sample.objects.audible().filter(pk=sample.pk).exists()
    assert confirm(admin, withhold, {"note": "Bar for bar."}, at=one).status_code == 302
    assert not Sample.objects.audible().filter(pk=sample.pk).exists()
    assert not screenings.passed(sample)
    verbs = [line.verb for line in audit.history(sample)[:3]]
    assert verbs == ["sample.withheld", "sample.copy_confirmed", "sample.reviewed"]
    assert admin.get(heard).status_code == 410
    told = as_user(ada).get(sample.get_absolute_url()).content.decode()
    assert "a rights admin agreed" in told
    assert "Bar for bar." in told
    assert "No near copy waits" in admin.get(reverse("audio_samples:copies")).content.decode()
    with pytest.raises(Refused, match="answered already"):
        screenings.dismiss(look, by=rosa, note="After all.")


def test_a_near_copy_that_is_dismissed_passes(rosa: User, run: Run) -> None:
    sample = clip_of(run, seed=2)
    look = screenings.screen(sample)
    address = reverse("audio_samples:copy_dismiss", args=[look.pk])
    one = reverse("audio_samples:copy", args=[look.pk])
    confirm(as_user(rosa), address, {"note": "A loop that everybody has."}, at=one)
    assert screenings.passed(sample)
    assert Sample.objects.audible().filter(pk=sample.pk).exists()
    line = audit.history(sample).first()
    assert line.verb == "sample.copy_dismissed"
    assert line.details["note"] == "A loop that everybody has."
    assert "loop" not in str(line.body)
    # The answer stays with the look: the same look again does not take it back.
    assert screenings.screen(sample) == look
    assert screenings.passed(sample)


def test_who_queued_the_run_and_who_is_no_rights_admin_may_not_answer(
    ada: User, noor: User, rosa: User, run: Run
) -> None:
    look = screenings.screen(clip_of(run, seed=2))
    for user in (ada, noor):
        with pytest.raises(Refused, match="A rights admin answers"):
            screenings.dismiss(look, by=user, note="Fine.")
        for name in ("copy", "copy_audio"):
            address = reverse(f"audio_samples:{name}", args=[look.pk])
            assert as_user(user).get(address).status_code == 404
    Run.objects.filter(pk=run.pk).update(submitted_by=rosa)
    look.refresh_from_db()
    with pytest.raises(Refused, match="Somebody else"):
        screenings.confirm(Screening.objects.get(), by=rosa, note="Mine.")
    page = as_user(rosa).get(reverse("audio_samples:copy", args=[look.pk])).content.decode()
    assert "another rights admin has to answer" in page
    assert Screening.objects.get().answer == ""


def test_an_older_look_is_not_answered(
    rosa: User, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = clip_of(run, seed=2)
    old = screenings.screen(sample)
    monkeypatch.setattr(prints, "VERSION", prints.VERSION + 1)
    screenings.screen(sample)
    with pytest.raises(Refused, match="answer the newer look"):
        screenings.dismiss(old, by=rosa, note="Fine.")
    assert screenings.near_copies().count() == 1


def test_the_sample_page_says_how_it_stands(ada: User, run: Run, songs: list[Recording]) -> None:
    lab = as_user(ada)
    fine, copy = clip_of(run, seed=77), clip_of(run, seed=2, name="final/1")
    assert "Waits: the clip is compared" in lab.get(fine.get_absolute_url()).content.decode()
    tasks.screen()
    assert "Passed: no stretch" in lab.get(fine.get_absolute_url()).content.decode()
    told = " ".join(lab.get(copy.get_absolute_url()).content.decode().split())
    assert "Near copy: 0:00 to 0:0" in told
    assert "matches 0:02 of" in told
    assert f'<a href="{songs[1].get_absolute_url()}">“Song of seed 2”</a> by Noor.' in told
    assert "It waits for a rights admin to listen." in told
    # It may still be heard there.
    assert lab.get(reverse("audio_samples:audio", args=[copy.pk])).status_code == 200
    assert samples.withhold(copy, by=None, reason="Test.")


def test_one_turn_at_a_time_leaves_the_worker_s_other_threads_to_runs(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sample(run)
    monkeypatch.setattr(tasks, "MOMENT", 0.0)
    with tasks._screening:
        tasks.screen()
    assert screenings.waiting().count() == 1
    tasks.screen()
    assert screenings.waiting().count() == 0
