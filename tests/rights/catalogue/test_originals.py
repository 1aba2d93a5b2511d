"""Whole originals for those whose they are, a marked preview or nothing for others, and a line."""

import io

import numpy as np
import pytest
import soundfile
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse

from experiments.clearance import originals as of_projects
from experiments.clearance import permission
from experiments.models import Dataset, Membership, Project, Run
from experiments.runs import datasets, runs
from portal import audit, storage
from portal.models import AuditEvent, Role, User
from rights.catalogue import audio_previews, catalogue, originals
from rights.grants import lifecycle
from rights.models import Agreement, Grant, Party, Preview, Recording, Use, WithdrawalPolicy
from rights.parties import splits
from tests.catalogue import allow, make_party, make_recording
from tests.conftest import person
from tests.tones import tone

pytestmark = pytest.mark.django_db

TRAIN = Use.TRAIN_GENERATIVE


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Noor", people=[noor])


@pytest.fixture
def song(rosa: User, party: Party) -> Recording:
    return make_recording(rosa, party, title="Tidal", file=tone(seconds=8.0))


@pytest.fixture
def frozen(ada: User, rosa: User, party: Party, project: Project, song: Recording) -> Dataset:
    allow(rosa, party, TRAIN)
    return datasets.freeze(by=ada, project=project, name="in", recordings=[song], use=TRAIN)


def get(user: User, song: Recording, **headers: str) -> HttpResponseBase:
    client = Client()
    client.force_login(user)
    return client.get(reverse("rights:recording_audio", args=[song.pk]), headers=headers)


def is_whole(answer: HttpResponseBase, song: Recording) -> bool:
    assert song.audio is not None
    with storage.open_blob(song.audio.sha256) as file:
        return answer.status_code == 200 and body(answer) == file.read()


def body(answer: HttpResponseBase) -> bytes:
    return answer.getvalue()  # type: ignore[attr-defined,no-any-return]


def lines(song: Recording) -> list[AuditEvent]:
    return list(audit.history(song).filter(verb=originals.VERB))


def test_rights_admins_and_holders_have_the_whole(rosa: User, noor: User, song: Recording) -> None:
    for user in (rosa, noor):
        assert is_whole(get(user, song), song)


def test_members_have_it_whose_dataset_holds_it(
    ada: User, ben: User, olga: User, song: Recording, frozen: Dataset
) -> None:
    assert is_whole(get(ada, song), song)
    for other in (ben, olga):
        assert get(other, song).status_code == 403


def test_who_only_looks_in_the_project_is_a_member_too(
    ben: User, project: Project, song: Recording, frozen: Dataset
) -> None:
    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    assert is_whole(get(ben, song), song)


def test_a_dataset_that_left_it_out_gives_nothing(
    ada: User, rosa: User, party: Party, project: Project, song: Recording
) -> None:
    other = make_recording(rosa, party)
    allow(rosa, party, TRAIN, recording=other)
    datasets.freeze(by=ada, project=project, name="in", recordings=[song, other], use=TRAIN)
    assert get(ada, song).status_code == 403


def test_a_retired_dataset_gives_nothing(ada: User, song: Recording, frozen: Dataset) -> None:
    Dataset.objects.update(status=Dataset.Status.RETIRED)
    assert get(ada, song).status_code == 403


def test_a_permission_that_ended_takes_the_whole_away(
    ada: User, noor: User, party: Party, song: Recording, frozen: Dataset
) -> None:
    lifecycle.opt_out(song, TRAIN, party, noor, "Out.")
    assert get(ada, song).status_code == 403


@pytest.mark.parametrize("policy", WithdrawalPolicy)
def test_the_end_of_the_permission_takes_it_away_whatever_policy_was_agreed(
    *, ada: User, rosa: User, party: Party, project: Project, song: Recording,
    policy: WithdrawalPolicy,
) -> None:  # fmt: skip
    grants = allow(rosa, party, TRAIN)
    Agreement.objects.update(withdrawal_policy=policy)
    Grant.objects.update(withdrawal_policy=policy)
    datasets.freeze(by=ada, project=project, name="in", recordings=[song], use=TRAIN)
    lifecycle.withdraw(grants[0], rosa, "No more.")
    assert get(ada, song).status_code == 403


def test_a_dispute_takes_it_away_until_it_is_settled(
    ada: User, rosa: User, party: Party, song: Recording, frozen: Dataset
) -> None:
    splits.dispute(sheet=song.splits.get(), party=party, by=rosa, reason="Half is hers.")
    assert get(ada, song).status_code == 403
    sheet = splits.propose(by=rosa, subject=song, lines={party: 1_000_000})
    splits.confirm(sheet=sheet, party=party, by=rosa)
    assert is_whole(get(ada, song), song)


def test_an_end_beside_a_permission_that_still_covers_takes_nothing_away(
    ada: User, rosa: User, party: Party, song: Recording, frozen: Dataset
) -> None:
    others = allow(rosa, party, TRAIN)
    dataset = datasets.freeze(
        by=ada, project=frozen.project, name="again", recordings=[song], use=TRAIN
    )
    for grant in others:
        lifecycle.withdraw(grant, rosa, "One paper is enough.")
    assert permission.holds_on(dataset, TRAIN) == []
    assert is_whole(get(ada, song), song)


def test_another_recordings_end_takes_nothing_away(
    *, ada: User, noor: User, rosa: User, party: Party, project: Project, song: Recording
) -> None:
    other = make_recording(rosa, party)
    allow(rosa, party, TRAIN)
    datasets.freeze(by=ada, project=project, name="in", recordings=[song, other], use=TRAIN)
    lifecycle.opt_out(other, TRAIN, party, noor, "That one.")
    assert is_whole(get(ada, song), song)
    assert get(ada, other).status_code == 403


def test_others_hear_a_marked_half_where_evaluation_is_allowed(
    ben: User, rosa: User, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    answer = get(ben, song)
    assert (answer.status_code, answer["Content-Type"]) == (200, "audio/mpeg")
    assert "preview" in answer["Content-Disposition"]
    wave, rate = soundfile.read(io.BytesIO(body(answer)))
    # An MP3 has some frames of padding.
    assert len(wave) / rate == pytest.approx(4.0, abs=0.15)
    assert wave.ndim == 1
    assert lines(song) == []


def test_a_preview_is_at_most_thirty_seconds(rosa: User, party: Party) -> None:
    long = make_recording(rosa, party, file=tone(seconds=70.0, rate=8_000, channels=1))
    assert audio_previews.preview_of(long).duration == pytest.approx(30.0, abs=0.1)


def test_others_hear_nothing_where_it_is_not_allowed_and_read_why(
    ben: User, olga: User, song: Recording
) -> None:
    for user in (ben, olga):
        answer = get(user, song)
        assert answer.status_code == 403
        assert "You may not hear this recording" in body(answer).decode()
    assert not Preview.objects.exists()
    assert lines(song) == []


def test_the_right_to_a_preview_is_asked_each_time(
    ben: User, rosa: User, noor: User, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    etag = get(ben, song)["ETag"]
    lifecycle.opt_out(song, Use.EVAL, party, noor, "Out.")
    assert get(ben, song, **{"If-None-Match": etag}).status_code == 403


def test_a_listener_and_another_artist_do_not_see_it(
    rosa: User, lou: User, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    stranger = person("sam", "Sam Stranger", Role.RIGHTSHOLDER)
    for user in (lou, stranger):
        assert get(user, song).status_code == 404


def test_a_preview_is_derived_once(ben: User, rosa: User, party: Party, song: Recording) -> None:
    allow(rosa, party, Use.EVAL)
    first, second = get(ben, song), get(ben, song)
    assert body(first) == body(second)
    assert Preview.objects.count() == 1


def test_a_preview_is_no_copy_of_what_it_is_of() -> None:
    """The mark is in it: tones where the music is silent, and a fade at both ends."""
    wave = np.zeros(11_025 * 12, dtype=np.float32)
    marked = audio_previews.marked(wave, rate=11_025)
    assert np.abs(marked[: int(0.12 * 11_025)]).max() > 0.03
    assert np.abs(marked[11_025 : 4 * 11_025]).max() == 0
    loud = audio_previews.marked(np.ones_like(wave), rate=11_025)
    assert abs(loud[0]) < 0.01
    assert abs(loud[-1]) < 0.01


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 96_000, 192_000])
def test_every_sample_rate_has_a_preview(rosa: User, party: Party, rate: int) -> None:
    song = make_recording(rosa, party, file=tone(seconds=4.0, rate=rate, channels=1, format="WAV"))
    with storage.open_blob(audio_previews.preview_of(song).audio.sha256) as file:
        wave, found = soundfile.read(file)
    assert len(wave) / found == pytest.approx(2.0, abs=0.2)


def test_each_whole_file_leaves_one_line_for_a_person_and_an_hour(
    rosa: User, noor: User, song: Recording
) -> None:
    for part in ("bytes=0-9", "bytes=10-", "bytes=0-"):
        assert get(rosa, song, Range=part).status_code == 206
    (line,) = lines(song)
    assert (line.actor, line.body["how"]) == (rosa, "page")
    get(noor, song)
    assert len(lines(song)) == 2
    # An hour later it is another sitting.
    AuditEvent.objects.filter(verb=originals.VERB).update(
        at=lines(song)[0].at - originals.ONE_SITTING
    )
    get(rosa, song)
    assert len(lines(song)) == 3


def test_what_gives_no_bytes_leaves_no_line(rosa: User, song: Recording) -> None:
    client = Client()
    client.force_login(rosa)
    url = reverse("rights:recording_audio", args=[song.pk])
    assert client.head(url).status_code == 200
    etag = client.head(url)["ETag"]
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert client.get(url, headers={"Range": "bytes=99999999-"}).status_code == 416
    assert lines(song) == []


def test_the_page_says_what_is_heard(
    *, ben: User, rosa: User, party: Party, song: Recording
) -> None:
    client = Client()
    client.force_login(ben)
    url = song.get_absolute_url()
    nothing = client.get(url).content.decode()
    assert "<audio" not in nothing
    assert "You may not hear this recording" in nothing
    allow(rosa, party, Use.EVAL)
    preview = client.get(url).content.decode()
    assert "Preview, the first half, marked with a tone" in preview
    client.force_login(rosa)
    assert "Preview" not in client.get(url).content.decode()


def test_stems_are_for_holders_and_for_projects_that_may_use_stems(
    *, ada: User, noor: User, rosa: User, party: Party, project: Project, song: Recording,
    frozen: Dataset,
) -> None:  # fmt: skip
    stem = catalogue.add_stem(
        by=rosa,
        recording=song,
        part="vocals",
        file=tone(seconds=8.0, frequency=99),
        filename="v.flac",
    )
    url = reverse("rights:stem_audio", args=[song.pk, stem.pk])

    def answer(user: User) -> int:
        client = Client()
        client.force_login(user)
        return client.get(url).status_code

    # The dataset holds the recording for training, and not for its stems.
    assert answer(ada) == 403
    assert (answer(rosa), answer(noor)) == (200, 200)
    allow(rosa, party, Use.STEMS)
    datasets.freeze(by=ada, project=project, name="st", recordings=[song], use=Use.STEMS)
    assert answer(ada) == 200
    assert {line.body["how"] for line in lines(song)} == {f"stem:{stem.pk}"}


def test_a_run_leaves_one_line_for_its_dataset_and_none_for_each_file(
    ada: User, project: Project, song: Recording, frozen: Dataset
) -> None:
    run = runs.submit(by=ada, project=project, recipe="flow_matching", config={}, dataset=frozen)
    Run.objects.filter(pk=run.pk).update(state=Run.State.RUNNING)
    run.refresh_from_db()
    for _ in range(3):
        of_projects.record_fetch(run, by=ada)
    (line,) = audit.history(frozen).filter(verb=of_projects.VERB)
    assert line.body["run"] == str(run.pk)
    assert line.body["digest"] == frozen.digest
