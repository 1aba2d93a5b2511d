"""A sweep from its start to its last trial, by reconcile passes alone."""

import math
from typing import Any

import pytest

from experiments.models import Project, Sweep, SweepTrial
from experiments.sweeps.sweeps import Budget
from portal.models import AuditEvent, User
from tests.experiments.sweeps import world
from workers.cluster.fake import RecordingCluster
from workers.reconciling import reconcile

State = Sweep.State
Trial = SweepTrial.State
RANGES = {
    "frequency": {"min": 100.0, "max": 1000.0, "log": True},
    "seconds": {"min": 0.5, "max": 3.0},
}


@pytest.fixture
def cluster() -> RecordingCluster:
    return RecordingCluster(slots=20)


def score(params: dict[str, Any]) -> float:
    """Best at 440 Hz and one second."""
    return math.log(params["frequency"] / 440) ** 2 + (params.get("seconds", 1.0) - 1) ** 2


def states(sweep: Sweep) -> list[str]:
    return list(sweep.trials.order_by("number").values_list("state", flat=True))


def test_a_grid_runs_every_combination_once_as_ordinary_runs_and_ends(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(ada, project, budget=Budget(parallel=2))
    reconcile(cluster)
    assert states(sweep) == [Trial.RUNNING] * 2
    world.finish(cluster, sweep, score)
    assert (sweep.state, sweep.reason) == (State.FINISHED, "All 3 trials have ended.")
    rows = list(sweep.trials.select_related("run"))
    assert [row.run.config["frequency"] for row in rows if row.run] == [220.0, 440.0, 880.0]
    assert [row.values for row in rows] == [[score(row.params)] for row in rows]
    assert {row.run.submitted_by for row in rows if row.run} == {ada}
    verbs = AuditEvent.objects.values_list("verb", flat=True)
    assert list(verbs).count("run.submitted") == 3
    assert {"sweep.started", "sweep.ended"} <= set(verbs)


@pytest.mark.parametrize("method", ["random", "tpe", "cmaes"])
def test_each_method_walks_to_its_last_trial(
    ada: User, project: Project, cluster: RecordingCluster, method: str
) -> None:
    sweep = world.start(
        ada, project, space=RANGES, method=method, budget=Budget(trials=14, parallel=4)
    )
    world.finish(cluster, sweep, score)
    assert (sweep.state, states(sweep)) == (State.FINISHED, [Trial.COMPLETE] * 14)
