"""A sweep on a cluster that runs nothing: a test says how each job goes and what it logs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from backline import batches
from experiments.metrics import metrics
from experiments.models import Project, Run, Sweep, SweepTrial
from experiments.sweeps import sweeps
from experiments.sweeps.sweeps import Budget, Wanted
from portal.models import User
from workers.cluster.fake import RecordingCluster
from workers.reconciling import reconcile

THREE = {"frequency": [220.0, 440.0, 880.0]}


def wanted(**kwargs: Any) -> Wanted:
    """A sweep of three tones, in a grid, two at once; what is given is put in its place."""
    budget = kwargs.pop("budget", Budget())
    fields: dict[str, Any] = {
        "recipe": "tone_check", "config": {}, "space": THREE, "objective": "loss",
        "budget": budget,
    }  # fmt: skip
    return Wanted(**{**fields, **kwargs})


def start(by: User, project: Project, **kwargs: Any) -> Sweep:
    return sweeps.start(by=by, project=project, wanted=wanted(**kwargs))


def trial(sweep: Sweep, number: int) -> SweepTrial:
    return sweep.trials.select_related("run").get(number=number)


def job(row: SweepTrial) -> str:
    assert row.run is not None
    return f"run-{row.run.id.hex[:12]}-1"


def log(run: Run, name: str, values: dict[int, float], number: int = 1) -> None:
    """Deliver these points by step, as the run's program does."""
    steps = np.array(list(values), np.int64)
    table = batches.Table(
        names=(name,), steps=steps, times=1.7e9 + steps.astype(np.float64),
        values=np.array([list(values.values())], np.float64),
    )  # fmt: skip
    metrics.ingest(run, "attempt-1", number, batches.encode([table]))


def end(
    cluster: RecordingCluster, row: SweepTrial, value: float | None, phase: str = "succeeded"
) -> None:
    """Let a trial's program log its loss, if it has one, and end."""
    assert row.run is not None
    if value is not None:
        log(row.run, "loss", {1: value})
    code = 0 if phase == "succeeded" else 1
    cluster.end(job(row), phase, exit_code=code)  # type: ignore[arg-type]


def finish(
    cluster: RecordingCluster, sweep: Sweep, score: Callable[[dict[str, Any]], float]
) -> None:
    """Pass after pass, let every running trial log its score and end, until the sweep has."""
    for _ in range(4 * sweep.max_trials + 8):
        reconcile(cluster)
        sweep.refresh_from_db()
        if not sweep.is_active:
            return
        for row in sweep.trials.filter(state=SweepTrial.State.RUNNING).select_related("run"):
            if row.run is not None and row.run.state == Run.State.RUNNING:
                end(cluster, row, score(row.params))
    raise AssertionError(f"The sweep has no end: {sweep.state} {sweep.reason}")
