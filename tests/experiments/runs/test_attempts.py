"""How attempts are lost, make room and are told of, and when the run gives up."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from experiments.models import Attempt, Checkpoint, Project, Run
from experiments.runs import runs
from portal import audit
from portal.models import Blob, User

State = Run.State


@dataclass(frozen=True)
class Told:
    uid: str = "1"
    at: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)
    kind: str = "Warning"
    reason: str = "FailedScheduling"
    message: str = "0/3 nodes have nvidia.com/gpu."
    count: int = 1


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.submit(by=ada, project=project, recipe="tone_check", config={})


def begun(run: Run, *, started: bool = True) -> Attempt:
    run.refresh_from_db()
    attempt = runs.claim(run)
    assert attempt is not None, run.state_reason
    if started:
        runs.mark_started(attempt)
    return attempt


def test_making_room_is_no_try(run: Run) -> None:
    run.max_attempts = 2
    run.save()
    for _ in range(2):
        runs.mark_preempted(begun(run, started=False), reason="Others came first.")
    runs.lose(begun(run), reason="The node is gone.")
    run.refresh_from_db()
    assert run.state == State.QUEUED
    runs.lose(begun(run), reason="Its disk was full.")
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert run.state_reason == "Attempt 4, the last: Its disk was full."
    assert [attempt.get_state_display() for attempt in run.attempts.all()] == [
        "Made room", "Made room", "Lost", "Lost",
    ]  # fmt: skip


def test_making_room_says_so_and_goes_on_from_the_checkpoint(run: Run) -> None:
    runs.mark_preempted(begun(run), reason="A run of higher priority took its place.", exit_code=75)
    run.refresh_from_db()
    assert run.state == State.QUEUED
    assert run.state_reason == (
        "Attempt 1 made room: A run of higher priority took its place. "
        "The next goes on from the last checkpoint."
    )
    line = audit.history(run).first()
    assert line is not None
    assert line.verb == "run.requeued"


def test_three_losses_in_a_row_for_the_same_reason_end_the_run_and_say_so(run: Run) -> None:
    for number in range(3):
        if number:
            runs.mark_preempted(begun(run, started=False), reason="Others came first.")
        runs.lose(begun(run), reason=f"The node gpu-{number} is gone.")
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert run.state_reason == (
        "Lost 3 times in a row for the same reason: The node gpu-2 is gone."
    )


def test_losses_for_different_reasons_use_up_the_attempts(run: Run) -> None:
    for reason in ("Gone.", "Gone.", "Evicted.", "Gone."):
        runs.lose(begun(run), reason=reason)
    run.refresh_from_db()
    assert run.state == State.QUEUED


def test_trying_again_by_hand_begins_a_new_row(ada: User, run: Run) -> None:
    for _ in range(3):
        runs.lose(begun(run), reason="Gone.")
    run.refresh_from_db()
    runs.retry(run=run, by=ada)
    runs.mark_preempted(begun(run), reason="Others came first.")
    run.refresh_from_db()
    assert run.state == State.QUEUED
    runs.lose(begun(run), reason="Gone.")
    run.refresh_from_db()
    assert run.state_reason == "Attempt 5, the last: Gone."


def test_a_run_that_never_gets_to_save_anything_stops_making_room(run: Run) -> None:
    for _ in range(3):
        runs.mark_preempted(begun(run), reason="Others came first.")
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert run.state_reason == (
        "Made room 3 times in a row before it had saved anything new: Others came first."
    )


def test_a_run_that_saves_before_it_goes_makes_room_as_often_as_it_must(run: Run) -> None:
    blob = Blob.objects.create(sha256="cd" * 32, size=1, media_type="application/octet-stream")
    for step in range(5):
        attempt = begun(run)
        Checkpoint.objects.create(run=run, step=step, blob=blob)
        runs.mark_preempted(attempt, reason="Others came first.")
    run.refresh_from_db()
    assert run.state == State.QUEUED


def test_making_room_after_a_request_to_stop_ends_the_run_as_asked(ada: User, run: Run) -> None:
    attempt = begun(run)
    runs.cancel(run=run, by=ada)
    runs.mark_preempted(attempt, reason="Others came first.")
    run.refresh_from_db()
    assert run.state == State.CANCELLED


def test_what_the_cluster_says_is_on_the_run_while_it_waits(run: Run) -> None:
    attempt = begun(run, started=False)
    runs.store_wait_reasons([(attempt, "0/3 nodes have nvidia.com/gpu.")])
    run.refresh_from_db()
    assert (run.state, run.state_reason) == (State.STARTING, "0/3 nodes have nvidia.com/gpu.")
    runs.mark_started(attempt)
    run.refresh_from_db()
    assert (run.state, run.state_reason) == (State.RUNNING, "")
    runs.store_wait_reasons([(attempt, "An old word.")])
    run.refresh_from_db()
    assert run.state_reason == ""


def test_events_are_kept_once_and_their_count_grows(run: Run) -> None:
    attempt = begun(run)
    first = Told()
    runs.store_events([(attempt, [first, Told(uid="2", reason="Pulling")])])
    later = replace(first, count=7, at=datetime(2026, 11, 21, 13, tzinfo=UTC))
    runs.store_events([(attempt, [later])])
    runs.store_events([(attempt, [later])])
    assert [(event.uid, event.count) for event in attempt.events.all()] == [("2", 1), ("1", 7)]


def test_where_it_runs_and_how_to_look_may_be_told_later(run: Run) -> None:
    attempt = begun(run, started=False)
    assert runs.mark_created(attempt, look="kubectl describe job x")
    assert not runs.mark_created(attempt, node="gpu-3")
    attempt.refresh_from_db()
    assert (attempt.node, attempt.look) == ("gpu-3", "kubectl describe job x")
    runs.finish(attempt)
    assert not runs.mark_created(attempt, node="elsewhere")
    attempt.refresh_from_db()
    assert attempt.node == "gpu-3"


def test_sessions_of_other_ranks_belong_to_the_attempt_but_do_not_speak_for_the_run(
    run: Run,
) -> None:
    begun(run)
    assert runs.attempt_and_rank("attempt-2-rank-3") == (2, 3)
    assert runs.attempt_and_rank("somebody") == (0, 0)
    runs.beat(run, "attempt-1", "Training", 0.5)
    before = timezone.now()
    run = runs.beat(run, "attempt-1-rank-3", "Waiting", 0.1)
    assert (run.stage, run.progress) == ("Training", 0.5)
    assert run.heartbeat_at
    assert run.heartbeat_at >= before
