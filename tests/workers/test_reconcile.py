"""What one round of reconcile does, on a cluster that keeps what it was asked."""

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from experiments import datasets, runs
from experiments.models import Attempt, Dataset, Project, Run
from portal.models import ApiToken, User
from rights import agreements
from rights.models import Recording, Use
from tests.catalogue import make_allowed
from workers import tasks
from workers.cluster import Job, Unavailable, choice
from workers.cluster.recording import RecordingCluster
from workers.reconciling import local_job, reconcile

State = Run.State


@pytest.fixture
def cluster() -> RecordingCluster:
    return RecordingCluster(slots=1)


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return submit(ada, project)


def submit(by: User, project: Project) -> Run:
    return runs.submit(by=by, project=project, recipe="tone_check", config={})


@pytest.fixture
def recordings(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 2)


@pytest.fixture
def trained(ada: User, project: Project, recordings: list[Recording]) -> Run:
    dataset = datasets.freeze(
        by=ada, project=project, name="d", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )
    return runs.submit(by=ada, project=project, recipe="flow_matching", config={}, dataset=dataset)


def opt_out(recording: Recording, by: User) -> str:
    party = recording.credits.get(role="MainArtist").party
    agreements.opt_out(recording, Use.TRAIN_GENERATIVE, party, by, "No more")
    return party.name


def state(run: Run) -> str:
    run.refresh_from_db()
    return run.state


def job_of(run: Run, number: int = 1) -> str:
    return f"run-{run.id.hex[:12]}-{number}"


def test_a_waiting_run_is_started_with_a_token_for_itself_alone(
    run: Run, cluster: RecordingCluster
) -> None:
    reconcile(cluster)
    job = cluster.jobs[job_of(run)]
    token = ApiToken.objects.usable().get(digest=ApiToken.digest_of(job.env["BACKLINE_TOKEN"]))
    assert (token.scope, token.user) == (f"run:{run.id}", run.submitted_by)
    assert job.env["BACKLINE_RUN"] == str(run.id)
    assert state(run) == State.STARTING
    reconcile(cluster)
    assert state(run) == State.RUNNING


def test_slots_are_kept_and_the_queue_is_first_come_first_served(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    made = [submit(ada, project) for _ in range(3)]
    for turn, run in enumerate(made):
        reconcile(cluster)
        reconcile(cluster)
        assert list(cluster.jobs) == [job_of(one) for one in made[: turn + 1]]
        cluster.end(job_of(run), "succeeded", exit_code=0)
    reconcile(cluster)
    assert [state(run) for run in made] == [State.FINISHED] * 3
    assert cluster.observe() == {}


def test_a_hundred_rounds_start_one_job_and_write_nothing_more(
    run: Run, cluster: RecordingCluster
) -> None:
    for _ in range(100):
        reconcile(cluster)
    assert len(cluster.jobs) == 1
    assert Attempt.objects.count() == 1
    assert ApiToken.objects.count() == 1


def test_the_last_printed_line_of_a_failed_program_is_the_reason(
    run: Run, cluster: RecordingCluster
) -> None:
    reconcile(cluster)
    cluster.lines[job_of(run)] = ["Traceback …", "ValueError: batch_size must divide", ""]
    cluster.end(job_of(run), "failed", exit_code=1)
    reconcile(cluster)
    assert state(run) == State.FAILED
    assert run.state_reason == "ValueError: batch_size must divide"


@pytest.mark.parametrize(("phase", "code"), [("lost", None), ("failed", 75), ("failed", 143)])
def test_lost_and_preempted_attempts_go_on_until_max_attempts(
    run: Run, cluster: RecordingCluster, phase: str, code: int | None
) -> None:
    reconcile(cluster)
    cluster.end(job_of(run), phase, exit_code=code)  # type: ignore[arg-type]
    reconcile(cluster)
    assert cluster.jobs[job_of(run, 2)].env["BACKLINE_SESSION"] == "attempt-2"
    cluster.end(job_of(run, 2), phase, exit_code=code)  # type: ignore[arg-type]
    reconcile(cluster)
    assert state(run) == State.FAILED
    assert "the last" in run.state_reason


def test_a_job_gone_without_a_trace_is_lost_after_its_silence(
    run: Run, cluster: RecordingCluster, settings: LazySettings
) -> None:
    reconcile(cluster)
    cluster.vanish(job_of(run))
    reconcile(cluster)
    assert Attempt.objects.get().state == Attempt.State.CREATED
    long_ago = timezone.now() - timedelta(seconds=settings.LOST_AFTER_SECONDS + 1)
    Attempt.objects.update(claimed_at=long_ago)
    reconcile(cluster)
    assert [a.state for a in Attempt.objects.all()] == [Attempt.State.LOST, Attempt.State.CREATED]


def test_a_cancelled_run_is_asked_with_grace_and_ends_cancelled(
    ada: User, run: Run, cluster: RecordingCluster, settings: LazySettings
) -> None:
    reconcile(cluster)
    runs.cancel(run=run, by=ada)
    reconcile(cluster)
    assert cluster.cancelled == [(job_of(run), settings.STOP_GRACE_SECONDS)]
    reconcile(cluster)
    assert state(run) == State.CANCELLED
    token = ApiToken.objects.get()
    assert token.expires_at is not None
    assert token.expires_at <= timezone.now() + timedelta(days=1)


def test_a_run_cancelled_between_claim_and_create_is_never_created(
    ada: User, run: Run, cluster: RecordingCluster
) -> None:
    runs.claim(run)
    runs.cancel(run=run, by=ada)
    reconcile(cluster)
    assert cluster.jobs == {}
    assert state(run) == State.CANCELLED


def test_a_withdrawn_grant_stops_a_waiting_run_before_it_starts(
    rosa: User, trained: Run, recordings: list[Recording], cluster: RecordingCluster
) -> None:
    holder = opt_out(recordings[0], rosa)
    reconcile(cluster)
    assert state(trained) == State.WITHHELD
    assert recordings[0].title in trained.state_reason
    assert holder in trained.state_reason
    assert cluster.jobs == {}


def test_a_withdrawn_grant_stops_a_running_run_and_taints_its_dataset(
    rosa: User, trained: Run, recordings: list[Recording], cluster: RecordingCluster
) -> None:
    reconcile(cluster)
    opt_out(recordings[1], rosa)
    reconcile(cluster)
    assert state(trained) == State.STOPPING
    assert [name for name, _ in cluster.cancelled] == [job_of(trained)]
    reconcile(cluster)
    assert state(trained) == State.WITHHELD
    assert recordings[1].title in trained.state_reason
    assert Dataset.objects.get().status == Dataset.Status.TAINTED
    assert not ApiToken.objects.usable().exists()


def test_another_use_that_ends_stops_nothing(
    rosa: User, trained: Run, recordings: list[Recording], cluster: RecordingCluster
) -> None:
    party = recordings[0].credits.get(role="MainArtist").party
    agreements.opt_out(recordings[0], Use.EVAL, party, rosa, "Not this")
    reconcile(cluster)
    assert state(trained) == State.STARTING


class Broken(RecordingCluster):
    """Refuses one name."""

    def __init__(self, bad: str) -> None:
        super().__init__()
        self.bad = bad

    def create(self, job: Job) -> None:
        if job.name == self.bad:
            raise OSError("The disk is full.")
        super().create(job)


def test_one_run_that_cannot_start_does_not_stop_the_others(ada: User, project: Project) -> None:
    first, second = submit(ada, project), submit(ada, project)
    cluster = Broken(job_of(first))
    reconcile(cluster)
    assert list(cluster.jobs) == [job_of(second)]
    cluster.bad = ""
    reconcile(cluster)
    assert job_of(first) in cluster.jobs
    assert Attempt.objects.count() == 2


def test_a_job_whose_attempt_ended_meanwhile_is_cancelled(
    run: Run, cluster: RecordingCluster
) -> None:
    attempt = runs.claim(run)
    assert attempt is not None
    runs.lose(attempt, reason="Gone.")
    cluster.create(local_job(run, attempt, "late"))
    reconcile(cluster)
    assert attempt.job_name in [name for name, _ in cluster.cancelled]


class Away(RecordingCluster):
    def observe(self) -> dict:  # type: ignore[type-arg]
        raise Unavailable("The cluster does not answer.")


def test_a_cluster_that_does_not_answer_keeps_runs_waiting_and_says_so(run: Run) -> None:
    reconcile(Away())
    assert state(run) == State.QUEUED
    assert run.state_reason == "The cluster does not answer."
    reconcile(RecordingCluster())
    assert state(run) == State.STARTING
    assert run.state_reason == ""


def test_an_outside_run_silent_for_an_hour_is_closed_in_words(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    run = runs.open_client_run(by=ada, project=project)
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=59))
    reconcile(cluster)
    assert state(run) == State.RUNNING
    Run.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=61))
    reconcile(cluster)
    assert state(run) == State.FAILED
    assert run.state_reason.startswith("Nothing was heard of the program since")


def test_the_clock_runs_the_task_on_the_cluster_of_the_settings(
    run: Run, settings: LazySettings
) -> None:
    assert settings.CELERY_BEAT_SCHEDULE["reconcile"]["task"] == tasks.reconcile.name
    tasks.reconcile()
    assert job_of(run) in choice.recording().jobs
