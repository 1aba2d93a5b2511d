"""Care for money and room: too long, idle, and checkpoints that nobody will miss."""

import hashlib
import io
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.test import TestCase
from django.utils import timezone

from backline import batches, wire
from experiments import policies
from experiments.metrics import metrics
from experiments.models import Attempt, Checkpoint, Project, Run
from experiments.runs import checkpoints, runs
from portal import audit, storage
from portal.models import Blob, User

State = Run.State
Atomic = TestCase.captureOnCommitCallbacks


@pytest.fixture(autouse=True)
def _settings(settings: LazySettings) -> None:
    settings.IDLE_WARN_MINUTES, settings.IDLE_STOP_MINUTES = 10, 30
    settings.CHECKPOINTS_KEPT = 2
    cache.clear()


def going(by: User, project: Project, hours: float = 1, **resources: object) -> Run:
    run = runs.submit(by=by, project=project, recipe="tone_check", config={}, resources=resources)
    attempt = runs.claim(run)
    assert attempt is not None
    runs.mark_started(attempt)
    began = timezone.now() - timedelta(hours=hours)
    Run.objects.filter(pk=run.pk).update(queued_at=began)
    Attempt.objects.filter(pk=attempt.pk).update(claimed_at=began, started_at=began)
    run.refresh_from_db()
    return run


def told(run: Run, name: str, values: Sequence[float], end: datetime) -> None:
    """A value each minute, the last one at `end`."""
    count = len(values)
    times = [end.timestamp() - 60 * (count - 1 - n) for n in range(count)]
    table = batches.Table(
        names=[name],
        steps=np.arange(count, dtype=np.int64),
        times=np.array(times),
        values=np.array([values], dtype=np.float64).T,
    )
    metrics.ingest(run, "attempt-1", run.series.count() + 1, batches.encode([table]))


# --- Too long -------------------------------------------------------------------------------


def test_a_run_that_has_had_its_hours_is_stopped_and_ends_as_failed(
    ada: User, project: Project
) -> None:
    run = going(ada, project, hours=2.5, max_hours=2)
    policies.apply_policies(timezone.now())
    run.refresh_from_db()
    assert (run.state, run.stop_as) == (State.STOPPING, "failed")
    assert run.state_reason.startswith("It took longer than the 2 hours that it was given.")
    line = audit.history(run).first()
    assert line is not None
    assert line.verb == "run.overdue"
    runs.mark_stopped(run.attempts.get(), reason="It stopped when asked.", exit_code=143)
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert run.state_reason.startswith("It took longer")


def test_hours_count_over_all_attempts(ada: User, project: Project) -> None:
    run = going(ada, project, hours=1.5, max_hours=2)
    first = run.attempts.get()
    runs.mark_preempted(first, reason="Others came first.")
    run.refresh_from_db()
    second = runs.claim(run)
    assert second is not None
    runs.mark_started(second)
    policies.apply_policies(timezone.now())
    run.refresh_from_db()
    assert run.state == State.RUNNING
    policies.apply_policies(timezone.now() + timedelta(hours=0.6))
    run.refresh_from_db()
    assert run.state == State.STOPPING


def test_trying_again_by_hand_gives_a_run_its_hours_anew(ada: User, project: Project) -> None:
    run = going(ada, project, hours=3, max_hours=2)
    policies.apply_policies(timezone.now())
    runs.mark_stopped(run.attempts.get(), reason="It stopped when asked.", exit_code=143)
    run.refresh_from_db()
    runs.retry(run=run, by=ada)
    second = runs.claim(run)
    assert second is not None
    runs.mark_started(second)
    policies.apply_policies(timezone.now() + timedelta(hours=1))
    run.refresh_from_db()
    assert run.state == State.RUNNING


def test_what_took_too_long_and_lost_its_permission_is_withheld(
    ada: User, project: Project
) -> None:
    run = going(ada, project, hours=3, max_hours=2)
    policies.apply_policies(timezone.now())
    assert runs.withhold(run, "A permission ended.")
    runs.mark_stopped(run.attempts.get(), reason="It stopped.", exit_code=143)
    run.refresh_from_db()
    assert run.state == State.WITHHELD


# --- Idle -----------------------------------------------------------------------------------


def test_idle_is_what_has_been_low_to_the_end() -> None:
    assert policies.idle_since([1, 2, 3], [50, 1, 2], 5) == 2
    assert policies.idle_since([1, 2, 3], [1, 2, 50], 5) is None
    assert policies.idle_since([], [], 5) is None


def test_one_busy_gpu_is_enough_and_silence_proves_nothing() -> None:
    low, busy = ([0.0, 60, 120], [1.0, 1, 1]), ([0.0, 60, 120], [1.0, 1, 90])
    assert policies.idle_for([low, low], below=5, after=0) == 120
    assert policies.idle_for([low, busy], below=5, after=0) == 0
    assert policies.idle_for([low], below=5, after=60) == 60
    assert policies.idle_for([], below=5, after=0) == 0


def test_an_idle_run_is_warned_then_stopped_and_both_are_written_down(
    ada: User, project: Project
) -> None:
    run = going(ada, project, gpus=1)
    now = timezone.now()
    told(run, "system/gpu0_percent", [1.0] * 40, now)
    told(run, "system/cpu_percent", [90.0] * 40, now)
    policies.watch_idle(run, now)
    assert run.state == State.RUNNING
    assert run.warning == (
        "Its GPUs were busy under 5 % for 39 min. If it stays so it is stopped in 20 min."
    )
    # However long it has idled: the warning has its time.
    policies.watch_idle(run, now + timedelta(minutes=5))
    assert run.state == State.RUNNING
    policies.watch_idle(run, now + timedelta(minutes=20))
    assert (run.state, run.stop_as) == (State.STOPPING, "failed")
    assert run.state_reason == (
        "Its GPUs were busy under 5 % for 39 min. It was warned before it was stopped."
    )
    verbs = [line.verb for line in audit.history(run)]
    assert verbs[:2] == ["run.idle_stopped", "run.idle_warned"]


def test_a_run_that_gets_to_work_again_is_warned_no_longer(ada: User, project: Project) -> None:
    run = going(ada, project)
    now = timezone.now()
    told(run, "system/cpu_percent", [0.5] * 20, now)
    policies.watch_idle(run, now)
    assert "Its program was busy under 5 %" in run.warning
    table_end = now + timedelta(minutes=1)
    steps = np.array([20], dtype=np.int64)
    table = batches.Table(
        names=["system/cpu_percent"],
        steps=steps,
        times=np.array([table_end.timestamp()]),
        values=np.array([[80.0]]),
    )
    metrics.ingest(run, "attempt-1", 9, batches.encode([table]))
    policies.watch_idle(run, table_end)
    assert (run.warning, run.warned_at) == ("", None)


def test_a_run_without_figures_is_left_alone(ada: User, project: Project) -> None:
    run = going(ada, project)
    policies.apply_policies(timezone.now())
    run.refresh_from_db()
    assert (run.state, run.warning) == (State.RUNNING, "")


def test_off_is_off(ada: User, project: Project, settings: LazySettings) -> None:
    settings.IDLE_WARN_MINUTES = settings.IDLE_STOP_MINUTES = 0
    run = going(ada, project)
    told(run, "system/cpu_percent", [0.0] * 100, timezone.now())
    policies.apply_policies(timezone.now())
    run.refresh_from_db()
    assert run.warning == ""


# --- Checkpoints ----------------------------------------------------------------------------


def test_the_newest_the_best_and_the_needed_are_kept() -> None:
    steps = [100, 200, 300, 400, 500]
    assert policies.superfluous(steps, kept=2, best=[210], needed=[]) == [100, 300]
    assert policies.superfluous(steps, kept=2, best=[], needed=[100]) == [200, 300]
    assert policies.superfluous(steps[:2], kept=2, best=[], needed=[]) == []


def save(run: Run, step: int, content: bytes | None = None) -> Checkpoint:
    content = content or f"{run.pk} {step}".encode()
    said = wire.CheckpointMeta(step=step, sha256=hashlib.sha256(content).hexdigest(), meta={})
    row, _ = checkpoints.receive(run=run, file=io.BytesIO(content), meta=said)
    Checkpoint.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(hours=1))
    return row


def steps_of(run: Run) -> list[int]:
    return sorted(run.checkpoints.values_list("step", flat=True))


def test_checkpoints_go_with_their_bytes_and_an_audit_line(ada: User, project: Project) -> None:
    run = going(ada, project)
    rows = [save(run, step) for step in (1, 2, 3, 4)]
    with Atomic(execute=True):
        policies.apply_policies(timezone.now())
    assert steps_of(run) == [3, 4]
    assert not Blob.objects.filter(sha256__in=[rows[0].blob_id, rows[1].blob_id]).exists()
    assert not storage.exists(rows[0].blob_id)
    assert storage.exists(rows[3].blob_id)
    line = audit.history(run).first()
    assert line is not None
    assert (line.verb, line.body) == (
        "run.checkpoint_removed",
        {"step": 2, "sha256": rows[1].blob_id},
    )


def test_bytes_that_another_row_names_stay(ada: User, project: Project) -> None:
    run, other = going(ada, project), going(ada, project)
    shared = save(run, 1, b"the same weights")
    save(other, 1, b"the same weights")
    for step in (2, 3):
        save(run, step)
    with Atomic(execute=True):
        policies.clean_up(run, timezone.now())
    assert steps_of(run) == [2, 3]
    assert storage.exists(shared.blob_id)


def test_the_best_by_the_loss_is_kept(ada: User, project: Project) -> None:
    run = going(ada, project)
    for step in (0, 1, 2, 3, 4):
        save(run, step)
    told(run, "loss", [3.0, 1.0, 2.0, 2.0, 2.0], timezone.now())
    policies.clean_up(run, timezone.now())
    assert steps_of(run) == [1, 3, 4]


def test_what_a_sample_was_made_at_and_what_is_young_stays(ada: User, project: Project) -> None:
    run = going(ada, project)
    for step in (1, 2, 3, 4):
        save(run, step)
    Checkpoint.objects.filter(step=2).update(created_at=timezone.now())
    blob = Blob.objects.create(sha256="ab" * 32, size=1, media_type="audio/flac")
    run.samples.create(  # type: ignore[attr-defined]
        name="a", step=1, audio=blob, duration=1, sample_rate=44_100, channels=1
    )
    policies.clean_up(run, timezone.now())
    assert steps_of(run) == [1, 2, 3, 4]
    policies.clean_up(run, timezone.now() + timedelta(hours=1))
    assert steps_of(run) == [1, 3, 4]


def test_a_run_whose_copy_has_not_ended_keeps_all(ada: User, project: Project) -> None:
    run = going(ada, project)
    for step in (1, 2, 3):
        save(run, step)
    copy = runs.rerun(run=run, by=ada)
    assert policies.clean_up(run, timezone.now()) == []
    runs.cancel(run=copy, by=ada)
    assert policies.clean_up(run, timezone.now()) == [1]
