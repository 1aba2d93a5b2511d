"""Reconcile passes, people and the end of a permission at one sweep at the same moment."""

import pytest
from django.utils import timezone

from experiments.models import Project, Run, Sweep, SweepTrial
from experiments.sweeps import passes, sweeps
from experiments.sweeps.sweeps import Budget
from portal import audit
from portal.models import User
from tests.experiments.sweeps import world
from tests.races.together import together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = 4


def one_pass() -> None:
    passes.advance(timezone.now())


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_passes_at_once_give_each_trial_one_run(
    ada: User, project: Project, round_number: int
) -> None:
    space = {"seed": [1, 2, 3, 4, 5, 6]}
    sweep = world.start(ada, project, space=space, budget=Budget(parallel=4))
    together(*[one_pass] * 3, refusals=())
    one_pass()
    rows = list(sweep.trials.order_by("number"))
    assert [row.number for row in rows] == [1, 2, 3, 4]
    assert [row.params["seed"] for row in rows] == [1, 2, 3, 4]
    assert {row.state for row in rows} == {SweepTrial.State.RUNNING}
    assert len({row.run_id for row in rows}) == Run.objects.count() == 4
    assert list(audit.broken_lines()) == []


@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_a_stop_during_a_pass_leaves_nothing_that_runs(
    ada: User, project: Project, round_number: int
) -> None:
    sweep = world.start(ada, project, budget=Budget(parallel=3))
    results = together(
        one_pass,
        lambda: sweeps.stop(sweep=Sweep.objects.get(pk=sweep.pk), by=ada),
        one_pass,
        refusals=(sweeps.NotPossible,),
    )
    assert not any(isinstance(result, sweeps.NotPossible) for result in results)
    one_pass()
    sweep.refresh_from_db()
    assert sweep.state == Sweep.State.STOPPED
    assert not sweep.trials.filter(state__in=SweepTrial.OPEN_STATES).exists()
    assert set(Run.objects.values_list("state", flat=True)) <= {Run.State.CANCELLED}
    assert list(audit.broken_lines()) == []
