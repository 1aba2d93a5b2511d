"""What the cluster has begun since the back-up is written down, so that no name is used twice."""

import io

import pytest
from django.core.management import CommandError, call_command

from experiments.models import Attempt, Project, Run
from experiments.runs import runs
from experiments.runs.attempts import job_name
from portal.models import AuditEvent, User
from workers import restoring
from workers.cluster import Job, backend
from workers.cluster.fake import RecordingCluster
from workers.reconciling import reconcile

State = Attempt.State


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.submit(by=ada, project=project, recipe="tone_check", config={})


def begun(cluster: RecordingCluster, *names: str) -> None:
    for name in names:
        cluster.create(Job(name=name, command=("true",)))


def states(run: Run) -> list[tuple[int, str]]:
    return list(run.attempts.values_list("number", "state"))


def test_later_attempts_are_lost_at_no_cost_of_a_try_and_the_next_has_a_fresh_name(
    run: Run, olga: User
) -> None:
    cluster = RecordingCluster()
    begun(cluster, job_name(run, 1), job_name(run, 2), "run-0123456789ab-1")
    cluster.end(job_name(run, 1), "failed", exit_code=1)
    cluster.forget(job_name(run, 1))
    tries = run.max_attempts
    found = restoring.add_lost_attempts(cluster, by=olga)
    assert [attempt.number for attempt in found] == [1, 2]
    assert states(run) == [(1, State.LOST), (2, State.LOST)]
    run.refresh_from_db()
    assert run.max_attempts == tries + 2
    lines = AuditEvent.objects.order_by("-seq")[:2]
    assert [(line.verb, line.actor) for line in lines] == [
        ("portal.restored", olga), ("run.attempts_found", olga),
    ]  # fmt: skip
    reconcile(cluster)
    assert states(run)[2:] == [(3, State.CREATED)]
    # What still ran of them, and of runs without a row, was asked to end.
    assert {name for name, _ in cluster.cancelled} == {job_name(run, 2), "run-0123456789ab-1"}


def test_taken_in_once_there_is_nothing_more(run: Run, olga: User) -> None:
    cluster = RecordingCluster()
    begun(cluster, job_name(run, 1))
    assert len(restoring.add_lost_attempts(cluster, by=olga)) == 1
    assert restoring.add_lost_attempts(cluster, by=olga) == []


def test_an_attempt_that_has_its_row_is_left_as_it_is(run: Run, olga: User) -> None:
    cluster = RecordingCluster()
    reconcile(cluster)
    reconcile(cluster)
    assert restoring.add_lost_attempts(cluster, by=olga) == []
    assert states(run) == [(1, State.RUNNING)]


def test_the_command_says_what_becomes_of_each(
    run: Run, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = RecordingCluster()
    reconcile(cluster)
    cluster.vanish(job_name(run, 1))
    begun(cluster, job_name(run, 2))
    monkeypatch.setattr(backend, "recording", lambda: cluster)
    told = io.StringIO()
    call_command("restored", by="olga", stdout=told)
    journal, first, second, last = told.getvalue().splitlines()
    assert journal == "The journal has no ending that the database lacks."
    assert first.endswith("attempt 2 began after the back-up.")
    assert second.endswith("attempt 1 is gone: the next one starts.")
    assert last == "The portal may be started."
    with pytest.raises(CommandError, match="Nobody is called"):
        call_command("restored", by="nobody")
