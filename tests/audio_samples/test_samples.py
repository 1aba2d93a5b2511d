"""Receiving clips, who may hear them, and their falling silent when a permission ends."""

import hashlib
import io
import json
from typing import Any

import numpy as np
import pytest
import soundfile
from django.test import Client
from django.urls import reverse
from django.utils.formats import date_format

from audio.decoding import BadAudio
from audio_samples import analysis, clips, credit_statements, samples
from audio_samples.models import Sample
from experiments.clearance import attribution
from experiments.models import Membership, Project, Run
from portal import audit, storage, tokens
from portal.models import User
from rights.grants import lifecycle
from rights.models import Recording, Use
from rights.usage import crediting, ledger
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed
from tests.tones import tone


@pytest.fixture
def recordings(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 2)


@pytest.fixture
def run(ada: User, project: Project, recordings: list[Recording]) -> Run:
    return make_run(ada, project, recordings)


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def opt_out(recording: Recording, by: User) -> None:
    party = recording.splits.get().lines.get().party
    lifecycle.opt_out(
        recording=recording, use=Use.TRAIN_GENERATIVE, party=party, by=by, reason="changed my mind"
    )


def test_a_clip_is_measured_credited_and_told_to_the_audit(run: Run) -> None:
    sample = make_sample(run)
    assert sample.lufs is not None
    assert sample.lufs + sample.gain_db == pytest.approx(-23, abs=0.01)
    assert len(sample.peaks) == 200
    assert sample.credit is not None
    assert [line.share for line in sample.credit.read().lines] == [0.5, 0.5]
    assert audit.history(sample).first().verb == "sample.received"


def test_credits_follow_the_ledger(run: Run, recordings: list[Recording]) -> None:
    sample = make_sample(run, step=10)
    for recording, seconds in zip(recordings, (30.0, 10.0), strict=True):
        ledger.report([ledger.Event(recording.pk, run.use, f"run:{run.pk}", 5, 10, seconds)])
    assert credit_statements.update_statements(run) == 1
    assert credit_statements.update_statements(run) == 0
    sample.refresh_from_db()
    assert sample.credit is not None
    assert [line.share for line in sample.credit.read().lines] == [0.75, 0.25]


def test_the_whole_statement_is_a_file_with_the_digest_it_is_kept_by(
    run: Run, ada: User, client: Client
) -> None:
    sample = samples.receive(run=run, name="a", file=tone(frequency=333))
    client.force_login(ada)
    answer = client.get(reverse("audio_samples:credits", args=[sample.pk]))
    assert hashlib.sha256(answer.content).hexdigest() == sample.credit_id
    assert answer["Content-Disposition"].endswith(".json")


def test_a_page_lists_the_greatest_shares_and_counts_the_others(
    run: Run, recordings: list[Recording]
) -> None:
    for recording, seconds in zip(recordings, (10.0, 30.0), strict=True):
        ledger.report([ledger.Event(recording.pk, run.use, f"run:{run.pk}", 5, 10, seconds)])
    cut, whole = attribution.statement(run, top=1), attribution.statement(run)
    assert cut is not None
    assert whole is not None
    assert cut.lines == whole.lines[:1]
    assert (cut.lines[0].share, cut.more, whole.more) == (0.75, 1, 0)
    assert (crediting.credit_notes(cut).more, crediting.credit_notes(whole, top=1).more) == (1, 1)
    with pytest.raises(ValueError, match="not kept"):
        cut.canonical()


def test_the_clips_of_one_step_share_a_statement_until_the_ledger_grows(
    run: Run, recordings: list[Recording], django_assert_num_queries: Any
) -> None:
    used = [
        ledger.Event(recording.pk, run.use, f"run:{run.pk}", 5, 10, 1.0) for recording in recordings
    ]
    ledger.report(used)
    first = make_sample(run, "a", step=10)
    with django_assert_num_queries(2):
        assert credit_statements.statement_at(run, 10) == first.credit
    ledger.report([ledger.Event(recordings[0].pk, run.use, f"run:{run.pk}", 20, 10, 8.0)])
    assert make_sample(run, "b", step=10).credit == first.credit
    assert make_sample(run, "c", step=20).credit != first.credit
    assert credit_statements.update_statements(run) == 0


def test_a_list_names_the_artists_and_reads_no_statement(
    ada: User, rosa: User, project: Project, django_assert_num_queries: Any
) -> None:
    songs = [make_allowed(rosa, 1)[0] for _ in range(6)]
    run = make_run(ada, project, songs)
    make_sample(run, "a")
    make_sample(run, "b")
    with django_assert_num_queries(3):
        lines = {
            credit.name: clips.clip(credit).credit_line
            for credit in clips.with_credits(run.samples)
        }
    names = [song.credits.get().party.credit_name for song in songs]
    assert lines == dict.fromkeys("ab", f"Learned from {', '.join(names[:4])} and 2 more")


def test_the_statement_as_a_table_has_names(run: Run, ada: User, client: Client) -> None:
    sample = make_sample(run)
    song = run.dataset.items.first().recording  # type: ignore[union-attr]
    type(song).objects.filter(pk=song.pk).update(title="=1+1")
    client.force_login(ada)
    answer = client.get(reverse("audio_samples:credits_table", args=[sample.pk]))
    text = b"".join(answer).decode()  # type: ignore[arg-type]
    assert text.splitlines()[0].startswith("\ufeffbasis,recording,title")
    assert "'=1+1" in text
    assert song.credits.get().party.credit_name in text


def test_a_clip_is_its_name_step_prompt_seed_take_and_sound(run: Run) -> None:
    said: dict[str, Any] = {"name": "a", "step": 1, "prompt": "A", "seed": 1, "take": 0}

    def receive(frequency: float = 333, **other: Any) -> Sample:
        return samples.receive(run=run, file=tone(frequency=frequency), **(said | other))

    first = receive()
    others = [
        receive(name="b"),
        receive(step=2),
        receive(prompt="B"),
        receive(prompt=""),
        receive(seed=2),
        receive(seed=None),
        receive(take=1),
        receive(frequency=334),
    ]
    assert len({first, *others}) == 9
    assert receive() == first
    assert receive(frequency=334) == others[-1]
    assert Sample.objects.count() == 9


def test_clips_with_the_same_label_are_numbered_and_prompts_have_rows(run: Run) -> None:
    for prompt in "AB":
        for frequency in (333, 334):
            samples.receive(
                run=run, name="x", step=1, prompt=prompt, file=tone(frequency=frequency)
            )
            samples.receive(
                run=run, name="x", seed=5, prompt=prompt, final=True, file=tone(frequency=frequency)
            )
    rows = {row.title: [] for row in clips.of_run(run)}
    for row in clips.of_run(run):
        rows[row.title] += [clip.label for clip in row.clips]
    labels = ["seed 5, no. 1", "seed 5, no. 2", "Step 1, no. 1", "Step 1, no. 2"]
    assert rows == {"A": labels, "B": labels}


def wav(audio: np.ndarray, rate: int = 44_100, subtype: str = "FLOAT") -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format="WAV", subtype=subtype)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (io.BytesIO(b""), "broken"),
        (io.BytesIO(b"<html>not audio</html>" * 100), "broken"),
        (wav(np.zeros((0, 2))), "empty"),
        (wav(np.full((100, 2), np.nan)), "not_finite"),
        (wav(np.zeros((100, 3))), "channels"),
        (wav(np.zeros((100, 2)), rate=2000), "rate"),
    ],
)
def test_hostile_files_are_refused_with_a_sentence_and_leave_nothing(
    run: Run, file: io.BytesIO, code: str
) -> None:
    with pytest.raises(BadAudio) as refusal:
        samples.receive(run=run, name="a", file=file)
    assert refusal.value.code == code
    assert str(refusal.value).endswith(".")
    assert not Sample.objects.exists()


@pytest.mark.parametrize(
    "audio", [np.zeros((44_100, 2)), np.full((10, 1), 0.5)], ids=["silent", "ten frames"]
)
def test_silent_and_very_short_clips_are_results_too(run: Run, audio: np.ndarray) -> None:
    sample = samples.receive(run=run, name="a", file=wav(audio))
    assert sample.lufs is None


@pytest.mark.parametrize(
    "said",
    [{"name": ""}, {"name": "a\nb"}, {"name": "x" * 201}, {"prompt": "p" * 20_001},
     {"prompt": "a\x00b"}, {"seed": 2**63}],
)  # fmt: skip
def test_words_and_numbers_out_of_bounds_are_refused(run: Run, said: dict[str, object]) -> None:
    with pytest.raises(samples.BadSample):
        samples.receive(run=run, file=tone(), **{"name": "a", **said})  # type: ignore[arg-type]


def post(client: Client, run: Run, secret: str = "", **meta: object):
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return client.post(
        f"/api/v1/runs/{run.pk}/samples",
        {"meta": json.dumps({"name": "a", **meta}), "file": tone()},
        headers=headers,
    )


def test_api_takes_a_clip_from_its_own_run_and_project_only(
    run: Run, ada: User, ben: User, client: Client
) -> None:
    _, own = tokens.issue(user=ada, label="run", scope=f"run:{run.pk}")
    _, other = tokens.issue(user=ada, label="run", scope="run:00000000-0000-0000-0000-000000000000")
    _, ada_api = tokens.issue(user=ada, label="mine")
    _, ben_api = tokens.issue(user=ben, label="his")
    assert post(client, run, own).status_code == 200
    assert post(client, run, ada_api).status_code == 200
    assert post(client, run, other).status_code == 404
    assert post(client, run, ben_api).status_code == 404
    assert post(client, run).status_code == 401
    Membership.objects.filter(user=ada).update(level=Membership.Level.VIEWER)
    assert post(client, run, ada_api).status_code == 404


def test_api_refuses_in_sentences(run: Run, ada: User, client: Client) -> None:
    _, secret = tokens.issue(user=ada, label="run", scope=f"run:{run.pk}")
    assert post(client, run, secret, step=-1).status_code == 422
    assert post(client, run, secret, prompt="x" * 10_000).status_code == 200
    answer = client.post(
        f"/api/v1/runs/{run.pk}/samples",
        {"meta": '{"name": "a", "take": -1}', "file": tone(frequency=99)},
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("take: ")


def test_who_may_hear_a_clip(run: Run, request: pytest.FixtureRequest) -> None:
    sample = make_sample(run)
    pages = [
        reverse("audio_samples:sample", args=[sample.pk]),
        reverse("audio_samples:audio", args=[sample.pk]),
        reverse("audio_samples:spectrogram", args=[sample.pk]),
        reverse("audio_samples:project", args=[run.project.slug]),
        reverse("audio_samples:run_samples", args=[run.project.slug, run.number]),
    ]
    may = {"ada": 200, "olga": 200, "ben": 404, "rosa": 404, "lou": 404, "noor": 404}
    for name, status in may.items():
        client = as_user(request.getfixturevalue(name))
        for page in pages:
            assert client.get(page).status_code == status, (name, page)
    for page in pages:
        assert Client().get(page).status_code == 302


def test_a_part_of_a_clip_can_be_fetched(run: Run, ada: User) -> None:
    sample = make_sample(run)
    url = reverse("audio_samples:audio", args=[sample.pk])
    answer = as_user(ada).get(url, headers={"Range": "bytes=0-3"})
    assert (answer.status_code, b"".join(answer.streaming_content)) == (206, b"fLaC")


def test_a_permission_that_ends_withholds_at_once(
    run: Run, ada: User, rosa: User, recordings: list[Recording]
) -> None:
    sample = make_sample(run)
    client, url = as_user(ada), reverse("audio_samples:audio", args=[sample.pk])
    etag = client.get(url)["ETag"]
    opt_out(recordings[0], rosa)
    answer = client.get(url)
    assert answer.status_code == 410
    assert answer.content.decode().startswith("Withheld: ")
    # Whoever has heard it before is not told that it is unchanged.
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 410
    assert client.get(reverse("audio_samples:spectrogram", args=[sample.pk])).status_code == 410
    assert not Sample.objects.audible().exists()
    assert list(Sample.objects.withheld()) == [sample]
    for page in (
        sample.get_absolute_url(),
        reverse("audio_samples:project", args=[run.project.slug]),
        reverse("audio_samples:run_samples", args=[run.project.slug, run.number]),
        reverse("audio_samples:grid") + f"?runs={run.pk}",
    ):
        text = client.get(page).content.decode()
        assert "Withheld: " in text
        assert url not in text
        assert "data-peaks" not in text


def test_a_hold_for_another_use_or_recording_withholds_nothing(
    run: Run, rosa: User, recordings: list[Recording]
) -> None:
    make_sample(run)
    stranger = make_allowed(rosa, 1)[0]
    opt_out(stranger, rosa)
    party = recordings[0].splits.get().lines.get().party
    lifecycle.opt_out(
        recording=recordings[0], use=Use.EVAL, party=party, by=rosa, reason="not for tests"
    )
    assert Sample.objects.audible().count() == 1


def test_withholding_one_sample_by_hand_is_audited_and_final(run: Run, ada: User) -> None:
    sample = make_sample(run)
    assert samples.withhold(sample, by=ada, reason="too close to a recording")
    assert not samples.withhold(sample, by=ada, reason="again")
    assert audit.history(sample).first().verb == "sample.withheld"
    url = reverse("audio_samples:audio", args=[sample.pk])
    assert as_user(ada).get(url).status_code == 410


def test_pages_show_hostile_words_as_words(run: Run, ada: User) -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    sample = make_sample(run, hostile, prompt=hostile + "x" * 10_000)
    for page in (
        sample.get_absolute_url(),
        reverse("audio_samples:project", args=[run.project.slug]),
        reverse("audio_samples:run_samples", args=[run.project.slug, run.number]),
        reverse("audio_samples:grid") + f"?runs={run.pk},nonsense",
    ):
        text = as_user(ada).get(page).content.decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "&lt;script&gt;alert(1)" in text


def test_grid_has_prompts_down_and_runs_across(
    run: Run, ada: User, ben: User, recordings: list[Recording], project: Project
) -> None:
    other = make_run(ada, project, recordings)
    for one in (run, other):
        make_sample(one, "mid", final=False, step=5, seed=1)
        make_sample(one, "end", seed=1)
    url = reverse("audio_samples:grid") + f"?runs={other.pk},{run.pk}"
    rows = as_user(ada).get(url).context["rows"]
    assert [[clip.sample.name for clip in row.clips] for row in rows] == [["end", "end"]]
    assert [clip.sample.run for clip in rows[0].clips] == [other, run]
    assert as_user(ben).get(url).context["rows"] == []


def test_project_list_filters_and_pages_with_few_queries(
    run: Run, ada: User, django_assert_max_num_queries: object
) -> None:
    for number in range(30):
        make_sample(run, f"s{number}", prompt="waltz" if number % 2 else "chip", seed=number)
    client = as_user(ada)
    url = reverse("audio_samples:project", args=[run.project.slug])
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        page = client.get(url).context["page"]
    assert (len(page), page.paginator.count) == (24, 30)
    assert client.get(url, {"prompt": "walt"}).context["page"].paginator.count == 15
    assert client.get(url, {"final": "no"}).context["page"].paginator.count == 0
    assert client.get(url, {"run": "999", "page": "x"}).status_code == 200


def test_file_is_decoded_whatever_its_name_says() -> None:
    assert analysis.analyse(tone(format="OGG")).media_type == "audio/ogg"


def test_the_picture_of_a_file_that_is_gone_is_not_there(
    run: Run, ada: User, client: Client
) -> None:
    sample = make_sample(run)
    storage.remove(sample.audio_id)
    client.force_login(ada)
    assert client.get(reverse("audio_samples:spectrogram", args=[sample.pk])).status_code == 404


def test_what_has_ended_since_is_told_in_the_past_with_its_day(
    run: Run, recordings: list[Recording], ada: User, rosa: User, client: Client
) -> None:
    sample = make_sample(run)
    client.force_login(ada)
    address = reverse("audio_samples:sample", args=[sample.pk])
    assert "Was allowed by" not in client.get(address).content.decode()
    party = recordings[0].splits.get().lines.get().party
    for grant in party.grants.filter(use=Use.TRAIN_GENERATIVE):
        lifecycle.withdraw(grant=grant, by=rosa, reason="Not any more.")
    page = client.get(address).content.decode()
    ended = party.grants.filter(use=Use.TRAIN_GENERATIVE).first().ended_at
    # Two rights in each of two recordings.
    assert (page.count("Was allowed by"), page.count("Allowed by")) == (4, 0)
    assert page.count(f", until {date_format(ended, 'j F Y')}") == 4
    assert sample.credit is not None
    for row in crediting.table(sample.credit.read()):
        assert row[7].count(f" until {ended:%Y-%m-%d}") == 2
