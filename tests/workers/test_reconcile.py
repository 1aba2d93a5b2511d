"""What one round of reconcile does, on a cluster that keeps what it was asked."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from experiments.clearance import permission
from experiments.models import Attempt, Dataset, Project, Run
from experiments.runs import datasets, runs
from portal import endings, tokens
from portal.models import ApiToken, AuditEvent, EndingsPosition, User
from rights.grants import lifecycle
from rights.models import Recording, Use
from tests.catalogue import make_allowed
from workers import tasks
from workers.cluster import Event, Job, Refused, Unavailable, backend
from workers.cluster.fake import RecordingCluster
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
    lifecycle.opt_out(recording, Use.TRAIN_GENERATIVE, party, by, "No more")
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


def test_while_one_round_asks_whether_a_run_may_start_another_stops_what_may_not_go_on(
    trained: Run, recordings: list[Recording], rosa: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = RecordingCluster(slots=2)
    reconcile(cluster)
    reconcile(cluster)
    assert state(trained) == State.RUNNING
    waiting = submit(trained.submitted_by, trained.project)
    really = permission.check_start
    asked = []

    def long_question(run: Run) -> None:
        """So long that a permission ends meanwhile, and that the clock comes again."""
        asked.append(run)
        opt_out(recordings[0], rosa)
        reconcile(cluster)
        assert state(trained) in {State.STOPPING, State.WITHHELD}
        assert state(waiting) == State.QUEUED
        really(run)

    monkeypatch.setattr(permission, "check_start", long_question)
    reconcile(cluster)
    assert asked == [waiting]
    assert state(waiting) == State.STARTING


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


@pytest.mark.parametrize(("phase", "code"), [("lost", None), ("failed", 143)])
def test_lost_attempts_go_on_until_max_attempts(
    run: Run, cluster: RecordingCluster, phase: str, code: int | None
) -> None:
    Run.objects.update(max_attempts=2)
    reconcile(cluster)
    cluster.end(job_of(run), phase, exit_code=code)  # type: ignore[arg-type]
    reconcile(cluster)
    assert cluster.jobs[job_of(run, 2)].env["BACKLINE_SESSION"] == "attempt-2"
    cluster.end(job_of(run, 2), phase, exit_code=code)  # type: ignore[arg-type]
    reconcile(cluster)
    assert state(run) == State.FAILED
    assert "the last" in run.state_reason


@pytest.mark.parametrize(("phase", "code"), [("preempted", None), ("failed", 75)])
def test_making_room_is_no_try_and_the_next_attempt_goes_on(
    run: Run, cluster: RecordingCluster, phase: str, code: int | None
) -> None:
    Run.objects.update(max_attempts=1)
    reconcile(cluster)
    cluster.end(job_of(run), phase, exit_code=code)  # type: ignore[arg-type]
    reconcile(cluster)
    assert state(run) == State.STARTING
    assert job_of(run, 2) in cluster.jobs
    assert Attempt.objects.first().state == Attempt.State.PREEMPTED  # type: ignore[union-attr]


@pytest.mark.parametrize(("phase", "code"), [("preempted", 75), ("failed", 75), ("failed", 143)])
def test_a_cancelled_program_that_saved_and_left_has_stopped_and_not_made_room(
    ada: User, run: Run, cluster: RecordingCluster, phase: str, code: int
) -> None:
    reconcile(cluster)
    cluster.starts(job_of(run))
    reconcile(cluster)
    runs.cancel(run=run, by=ada)
    cluster.end(job_of(run), phase, exit_code=code)  # type: ignore[arg-type]
    reconcile(cluster)
    attempt = run.attempts.get()
    assert (state(run), attempt.state) == (State.CANCELLED, Attempt.State.STOPPED)
    assert attempt.exit_code == code
    assert "made room" not in attempt.reason
    assert "make room" not in attempt.reason


def test_what_the_cluster_says_of_a_waiting_job_stands_on_the_run_until_it_starts(
    run: Run, cluster: RecordingCluster
) -> None:
    reconcile(cluster)
    cluster.waits(job_of(run), "No node has room for it: 0/3 nodes have nvidia.com/gpu.")
    reconcile(cluster)
    assert state(run) == State.STARTING
    assert run.state_reason == "No node has room for it: 0/3 nodes have nvidia.com/gpu."
    cluster.starts(job_of(run))
    reconcile(cluster)
    assert (state(run), run.state_reason) == (State.RUNNING, "")


def test_a_waiting_job_of_a_cancelled_run_is_cancelled_too(
    ada: User, run: Run, cluster: RecordingCluster
) -> None:
    reconcile(cluster)
    cluster.waits(job_of(run), "No node has room for it.")
    reconcile(cluster)
    runs.cancel(run=run, by=ada)
    reconcile(cluster)
    reconcile(cluster)
    assert state(run) == State.CANCELLED


def test_a_job_that_the_cluster_refuses_fails_with_its_sentence(run: Run) -> None:
    reconcile(Refusing())
    assert state(run) == State.FAILED
    assert run.state_reason == "The cluster refuses it: exceeded quota: gpus."


def test_a_cluster_that_falls_silent_while_runs_start_is_asked_once_and_not_for_each(
    ada: User, project: Project
) -> None:
    for _ in range(3):
        submit(ada, project)
    silent = Silent()
    reconcile(silent)
    assert silent.asked == 1
    reconcile(RecordingCluster())
    assert Attempt.objects.filter(state=Attempt.State.CREATED).count() == 3


def test_events_are_kept_once_with_their_count_and_the_last_ones_after_the_end(
    run: Run, cluster: RecordingCluster
) -> None:
    def told(count: int, *more: str) -> list[Event]:
        first = Event("u1", timezone.now(), "Warning", "FailedScheduling", "No GPU.", count)
        return [first, *(Event(m, timezone.now(), "Normal", m, m) for m in more)]

    reconcile(cluster)
    cluster.told[job_of(run)] = told(1)
    reconcile(cluster)
    cluster.told[job_of(run)] = told(4, "Killing")
    cluster.end(job_of(run), "failed", exit_code=1)
    reconcile(cluster)
    events = Attempt.objects.get().events.values_list("reason", "count")
    assert sorted(events) == [("FailedScheduling", 4), ("Killing", 1)]


def test_out_of_memory_names_the_limit_and_the_most_that_was_measured(
    run: Run, cluster: RecordingCluster
) -> None:
    reconcile(cluster)
    run.series.create(name="system/memory_bytes", maximum=1.9 * 2**30)
    reason = "Out of memory: the limit is 2 GiB."
    cluster.end(job_of(run), "failed", exit_code=137, reason=reason)
    reconcile(cluster)
    assert state(run) == State.FAILED
    assert run.state_reason == f"{reason} The most that was measured is 1.90 GiB."


def test_the_end_of_the_longest_duration_is_a_failure_though_it_stopped_politely(
    run: Run, cluster: RecordingCluster
) -> None:
    reconcile(cluster)
    cluster.end(job_of(run), "failed", exit_code=143, reason="It reached its longest duration.")
    reconcile(cluster)
    assert (state(run), run.state_reason) == (State.FAILED, "It reached its longest duration.")


def test_a_round_over_running_jobs_asks_the_database_no_more_for_more_of_them(
    ada: User, project: Project, django_assert_max_num_queries: Any
) -> None:
    cluster = RecordingCluster()
    counts = []
    for _ in range(2):
        for _ in range(5):
            submit(ada, project)
        reconcile(cluster)
        reconcile(cluster)
        with django_assert_max_num_queries(100) as asked:
            reconcile(cluster)
        counts.append(len(asked))
    assert counts[0] == counts[1]


@pytest.mark.django_db(transaction=True)
def test_nothing_starts_on_a_restored_database_that_lacks_what_was_ended(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    run = submit(ada, project)
    token, _ = tokens.issue(ada, "script", by=ada)
    tokens.revoke(token, by=ada)
    # As in the back-up, which was made before that.
    EndingsPosition.objects.all().delete()
    AuditEvent.objects.filter(verb="token.revoked").delete()
    reconcile(cluster)
    assert not run.attempts.exists()
    endings.apply_missing(by=ada)
    reconcile(cluster)
    assert run.attempts.exists()


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
    assert Dataset.objects.get().status == Dataset.Status.AFFECTED
    assert not ApiToken.objects.usable().exists()


def test_another_use_that_ends_stops_nothing(
    rosa: User, trained: Run, recordings: list[Recording], cluster: RecordingCluster
) -> None:
    party = recordings[0].credits.get(role="MainArtist").party
    lifecycle.opt_out(recordings[0], Use.EVAL, party, rosa, "Not this")
    reconcile(cluster)
    assert state(trained) == State.STARTING


class Refusing(RecordingCluster):
    def create(self, job: Job) -> None:  # noqa: ARG002
        raise Refused("The cluster refuses it: exceeded quota: gpus.")


class Silent(RecordingCluster):
    """Answers when it is asked what it has, and no more after that."""

    asked = 0

    def create(self, job: Job) -> None:  # noqa: ARG002
        self.asked += 1
        raise Unavailable("The cluster does not answer.")


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
    assert job_of(run) in backend.recording().jobs
