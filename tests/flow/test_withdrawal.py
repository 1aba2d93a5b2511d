"""What a withdrawal does at once and within a round: stop, taint, refuse, withhold."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from experiments import recipes
from experiments.clearance import permission
from experiments.models import Attempt, Checkpoint, Dataset, DatasetHold, Project, Run
from experiments.runs import datasets, runs
from listening import trials
from portal import tokens
from portal.models import User
from rights.grants import lifecycle
from rights.models import Grant, Party, Recording, Use, WithdrawalPolicy
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import allow, make_party, make_recording
from tests.rights.withdrawal.affected import Line, go_on_from, make_checkpoint, make_line
from workers.cluster.fake import RecordingCluster
from workers.reconciling import reconcile

pytestmark = pytest.mark.django_db

TRAIN = Use.TRAIN_GENERATIVE


@pytest.fixture
def party(rosa: User) -> Party:
    return make_party(rosa)


@pytest.fixture
def songs(rosa: User, party: Party) -> list[Recording]:
    return [make_recording(rosa, party) for _ in range(2)]


@pytest.fixture
def grant(rosa: User, party: Party, songs: list[Recording]) -> Grant:
    # The samples are heard in a listening test.
    allow(rosa, party, Use.EVAL)
    return allow(rosa, party, TRAIN)[0]


@pytest.fixture
def line(ada: User, project: Project, songs: list[Recording], grant: Grant) -> Line:
    return make_line(ada, project, songs)


def withdraw(grant: Grant, by: User) -> None:
    lifecycle.withdraw(grant, by, "Changed my mind.")


def state(run: Run) -> str:
    run.refresh_from_db()
    return run.state


def with_token(run: Run) -> dict[str, Any]:
    _, secret = tokens.issue(run.submitted_by, "run", scope=f"run:{run.pk}")
    return {"headers": {"Authorization": f"Bearer {secret}"}}


def checkpoint_url(checkpoint: Checkpoint) -> str:
    return reverse("api:checkpoint", args=[checkpoint.run_id, checkpoint.step])


def test_addresses_that_were_handed_out_answer_410_at_once_for_everybody(
    client: Client, rosa: User, lou: User, grant: Grant, line: Line
) -> None:
    ada = line.run.submitted_by
    item = line.test.items.get()
    heard = {
        ada: [
            reverse("audio_samples:audio", args=[line.sample.pk]),
            reverse("audio_samples:spectrogram", args=[line.sample.pk]),
        ],
        lou: [reverse("listening:audio", args=[item.code])],
    }
    for user, urls in heard.items():
        client.force_login(user)
        assert {client.get(url).status_code for url in urls} == {200}
    withdraw(grant, rosa)
    for user, urls in heard.items():
        client.force_login(user)
        for url in urls:
            response = client.get(url, headers={"Range": "bytes=0-9"})
            assert (response.status_code, response["Cache-Control"]) == (410, "private, no-store")
    client.force_login(ada)
    page = client.get(line.sample.get_absolute_url()).content.decode()
    assert "Changed my mind" in page
    assert reverse("audio_samples:audio", args=[line.sample.pk]) not in page


def test_weights_are_neither_handed_out_nor_gone_on_from_nor_begun_with(
    client: Client, rosa: User, grant: Grant, line: Line
) -> None:
    ada, project = line.run.submitted_by, line.run.project
    second = go_on_from(line.checkpoint, by=ada, project=project)
    derived = make_checkpoint(second)
    Run.objects.update(state=Run.State.RUNNING)
    for one in (line.checkpoint, derived):
        assert client.get(checkpoint_url(one), **with_token(one.run)).status_code == 200
    withdraw(grant, rosa)
    for one in (line.checkpoint, derived):
        response = client.get(checkpoint_url(one), **with_token(one.run))
        assert response.status_code == 410
        assert "Changed my mind" in response.json()["detail"]
        spec = client.get(reverse("api:spec", args=[one.run_id]), **with_token(one.run))
        assert spec.json()["resume"] is None
        with pytest.raises(recipes.ConfigInvalid, match="permission behind"):
            go_on_from(one, by=ada, project=project)
    Run.objects.update(state=Run.State.FAILED)
    with pytest.raises(runs.NotPossible, match="permission behind"):
        runs.retry(run=second, by=ada)
    assert not Checkpoint.objects.usable().exists()


def test_a_retired_checkpoint_is_closed_also_where_nothing_is_on_hold(
    client: Client, ada: User, project: Project, line: Line
) -> None:
    Checkpoint.objects.update(retired_at=timezone.now(), retired_reason="Replaced.")
    response = client.get(checkpoint_url(line.checkpoint), **with_token(line.run))
    assert (response.status_code, response.json()["detail"]) == (
        410,
        "This checkpoint was retired: Replaced.",
    )
    with pytest.raises(recipes.ConfigInvalid, match="retired"):
        go_on_from(line.checkpoint, by=ada, project=project)


def test_the_weights_of_a_project_that_one_cannot_see_are_none_to_begin_with(
    ben: User, line: Line
) -> None:
    apart = Project.objects.create(slug="apart", name="Apart")
    apart.memberships.create(user=ben)
    with pytest.raises(recipes.ConfigInvalid, match="no such checkpoint"):
        go_on_from(line.checkpoint, by=ben, project=apart)


def test_one_round_stops_what_learns_from_it_and_what_began_with_its_weights(
    rosa: User, songs: list[Recording], grant: Grant, line: Line
) -> None:
    ada, project = line.run.submitted_by, line.run.project
    cluster = RecordingCluster(slots=4)
    direct = make_run(ada, project, songs)
    derived = go_on_from(line.checkpoint, by=ada, project=project)
    apart = runs.submit(by=ada, project=project, recipe="tone_check", config={})
    reconcile(cluster)
    reconcile(cluster)
    assert {state(direct), state(derived), state(apart)} == {"running"}
    withdraw(grant, rosa)
    reconcile(cluster)
    reconcile(cluster)
    assert (state(direct), state(derived), state(apart)) == ("withheld", "withheld", "running")
    assert songs[0].title in derived.state_reason
    assert set(Dataset.objects.values_list("status", flat=True)) == {"tainted"}


def test_the_clock_looks_often_enough_for_thirty_seconds(settings: LazySettings) -> None:
    beat = settings.CELERY_BEAT_SCHEDULE["reconcile"]
    assert beat["schedule"] + settings.STOP_GRACE_SECONDS <= 30


def test_new_runs_and_freezes_are_refused_at_once(
    rosa: User, songs: list[Recording], grant: Grant, line: Line
) -> None:
    ada, project = line.run.submitted_by, line.run.project
    withdraw(grant, rosa)
    assert line.run.dataset is not None
    with pytest.raises(runs.NotAllowed):
        runs.submit(
            by=ada, project=project, recipe="flow_matching", config={}, dataset=line.run.dataset
        )
    with pytest.raises(datasets.EmptyDataset):
        datasets.freeze(by=ada, project=project, name="new", recordings=songs, use=TRAIN)
    with pytest.raises(trials.BadTest, match="withheld"):
        trials.open_test(by=ada, project=project, title="T", question="Q", samples=[line.sample])


def test_a_hold_is_noted_once_for_each_dataset_and_use_by_the_transaction_that_places_it(
    rosa: User, party: Party, songs: list[Recording], grant: Grant, line: Line
) -> None:
    withdraw(grant, rosa)
    row = DatasetHold.objects.get()
    assert (row.dataset, row.use) == (line.run.dataset, TRAIN)
    for other in allow(rosa, party, TRAIN):
        withdraw(other, rosa)
    assert DatasetHold.objects.get().hold_id == row.hold_id


def test_audible_costs_the_same_however_much_was_learned_from(
    line: Line, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        assert list(line.run.samples.audible()) == [line.sample]


def test_where_the_next_version_excludes_it_what_runs_goes_on_and_new_use_is_refused(
    rosa: User, songs: list[Recording], grant: Grant, line: Line
) -> None:
    ada, project = line.run.submitted_by, line.run.project
    cluster = RecordingCluster(slots=1)
    going, waiting = make_run(ada, project, songs), make_run(ada, project, songs)
    reconcile(cluster)
    reconcile(cluster)
    Grant.objects.update(withdrawal_policy=WithdrawalPolicy.NEXT_VERSION)
    grant.refresh_from_db()
    withdraw(grant, rosa)
    # It loses its place and comes back: the same run of the same version.
    cluster.end(going.attempts.get().job_name, "lost", exit_code=None)
    reconcile(cluster)
    reconcile(cluster)
    assert state(going) == "running"
    assert going.attempts.count() == 2
    cluster.end(going.attempts.get(number=2).job_name, "succeeded", exit_code=0)
    reconcile(cluster)
    assert (state(going), state(waiting)) == ("finished", "withheld")
    with pytest.raises(runs.NotAllowed):
        make_run_of(ada, line.run)
    assert list(line.run.samples.audible()) == [line.sample]
    assert permission.why_not_loadable(line.checkpoint) == ""


def make_run_of(by: User, run: Run) -> Run:
    return runs.submit(
        by=by, project=run.project, recipe="flow_matching", config={}, dataset=run.dataset
    )


def test_a_run_that_comes_back_is_refused_where_the_policy_is_to_recall(
    rosa: User, ada: User, project: Project, songs: list[Recording], grant: Grant
) -> None:
    run = make_run(ada, project, songs)
    Attempt.objects.create(run=run, number=1, job_name="one", state=Attempt.State.LOST)
    withdraw(grant, rosa)
    with pytest.raises(runs.NotAllowed):
        permission.check_start(run)


def test_the_clock_takes_a_late_sample_into_the_case(rosa: User, grant: Grant, line: Line) -> None:
    cluster = RecordingCluster()
    withdraw(grant, rosa)
    reconcile(cluster)
    late = make_sample(line.run, "final/late/0")
    reconcile(cluster)
    case = grant.cases.get()
    assert case.items.filter(kind="sample", key=str(late.pk)).exists()
    assert case.due_at - case.opened_at == timedelta(days=90)
