"""What a run costs: said before it is queued, written down when it has ended."""

import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import LazySettings
from django.conf import settings as ours
from django.utils import timezone

from experiments.models import Attempt, Project, Run
from experiments.runs import costs, runs
from experiments.runs.costs import Prices
from experiments.runs.resources import Resources
from portal.models import User

LISTED = Prices(
    gpus={"NVIDIA-H100": Decimal("2.50"), "any": Decimal("2.00")},
    core=Decimal("0.01"),
    currency="EUR",
)


@pytest.fixture(autouse=True)
def _prices(settings: LazySettings) -> None:
    settings.GPU_PRICES, settings.CPU_PRICE = LISTED.gpus, LISTED.core


def test_the_estimate_is_the_most_that_it_may_cost() -> None:
    asked = Resources(gpus=1, gpu_type="NVIDIA-H100", cpus=4, memory_gb=32, max_hours=1)
    assert costs.estimate(asked, LISTED) == (
        "At most 2.54 EUR: 1 hour of 1 NVIDIA-H100 GPU, 4 cores and 32 GiB."
    )
    assert LISTED.at_most(Resources(gpus=8, nodes=2, cpus=1, max_hours=10)) == Decimal("320.20")


def test_a_gpu_that_is_not_in_the_list_costs_as_any_and_any_at_most_as_the_dearest() -> None:
    assert LISTED.gpu("NVIDIA-A10") == LISTED.gpu("") == Decimal("2.00")
    without = Prices({"a": Decimal(1), "b": Decimal(3)}, Decimal(0), "EUR")
    assert without.gpu("") == Decimal(3)


def test_a_little_is_not_nothing() -> None:
    assert LISTED.format_amount(Decimal("0.0004")) == "under 0.01 EUR"
    assert LISTED.format_amount(Decimal(0)) == "0.00 EUR"
    assert LISTED.format_amount(Decimal("1234.5")) == "1,234.50 EUR"


def test_without_prices_nobody_speaks_of_money() -> None:
    assert not Prices({}, Decimal(0), "EUR")


def ended(by: User, project: Project, hours: float) -> Run:
    run = runs.submit(
        by=by, project=project, recipe="tone_check", config={}, resources={"gpus": 2, "cpus": 1}
    )
    attempt = runs.claim(run)
    assert attempt is not None
    runs.mark_started(attempt)
    Attempt.objects.filter(pk=attempt.pk).update(started_at=timezone.now() - timedelta(hours=hours))
    attempt.refresh_from_db()
    runs.finish(attempt)
    return run


def test_what_was_paid_stays_when_prices_change(
    ada: User, project: Project, settings: LazySettings
) -> None:
    run = ended(ada, project, hours=3)
    settings.GPU_PRICES = {"any": Decimal(100)}
    assert float(costs.of_runs([run.pk])[run.pk]) == pytest.approx(12.03, abs=0.01)


def test_a_project_is_summed_over_ended_and_running_attempts(ada: User, project: Project) -> None:
    ended(ada, project, hours=1)
    going = runs.submit(
        by=ada, project=project, recipe="tone_check", config={}, resources={"gpus": 1, "cpus": 1}
    )
    attempt = runs.claim(going)
    assert attempt is not None
    assert float(costs.of_project(project)) == pytest.approx(4.01, abs=0.01)
    runs.mark_started(attempt)
    Attempt.objects.filter(pk=attempt.pk).update(started_at=timezone.now() - timedelta(hours=2))
    assert float(costs.of_project(project)) == pytest.approx(8.03, abs=0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GPU_PRICES", "H100"), ("GPU_PRICES", "H100=dear"), ("GPU_PRICES", "=2"),
        ("CPU_PRICE", "-1"), ("IDLE_STOP_MINUTES", "30"),
    ],
)  # fmt: skip
def test_nonsense_refuses_to_start_with_the_name_of_the_variable(name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import portal.settings"],
        cwd=ours.BASE_DIR,
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert name in done.stderr.splitlines()[-1]
