"""Researchers' own programs on the local cluster: from the queue to the reason of their end."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from experiments.deliveries import logs
from experiments.models import Project, Run
from experiments.runs import runs
from portal.machine import separation
from portal.models import User
from tests.backline.test_client import Server
from tests.patience import LIMIT_SECONDS
from workers.cluster.local import LocalCluster
from workers.reconciling import reconcile

pytestmark = pytest.mark.django_db(transaction=True)

State = Run.State


@pytest.fixture
def cluster(settings: LazySettings, live_server: Server, tmp_path: Path) -> Iterator[LocalCluster]:
    settings.CLUSTER = "local"
    settings.LOCAL_PROGRAMS = "trusted"
    settings.RUN_PORTAL_URL = live_server.url
    made = LocalCluster(settings.LOCAL_JOBS_DIR, slots=2, programs=separation.current)
    yield made
    end = time.monotonic() + LIMIT_SECONDS
    while any((settings.LOCAL_JOBS_DIR / "spool").glob("*/session.json")):
        assert time.monotonic() < end, "a sender goes on"
        time.sleep(0.05)


def queue(ada: User, project: Project, code: str, **config: Any) -> Run:
    wanted = {"command": ["python", "-c", code], **config}
    return runs.submit(by=ada, project=project, recipe="program", config=wanted)


def until(cluster: LocalCluster, run: Run, *states: str) -> Run:
    end = time.monotonic() + LIMIT_SECONDS
    while run.state not in states:
        assert time.monotonic() < end, (run.state, run.state_reason)
        reconcile(cluster)
        time.sleep(0.1)
        run.refresh_from_db()
    return run


def test_a_program_runs_with_this_python_and_its_own_environment(
    cluster: LocalCluster, ada: User, project: Project
) -> None:
    code = "import os, sys, backline; print(sys.prefix, os.environ['LR'])"
    run = until(cluster, queue(ada, project, code, env={"LR": 0.1}), State.FINISHED, State.FAILED)
    assert (run.state, run.state_reason) == (State.FINISHED, "")
    assert logs.text(run, "stdout", "attempt-1") == f"{sys.prefix} 0.1\n"


def test_a_program_that_fails_before_it_knows_us_leaves_its_last_line(
    cluster: LocalCluster, ada: User, project: Project
) -> None:
    run = queue(ada, project, "import a_module_that_nobody_has")
    until(cluster, run, State.FINISHED, State.FAILED)
    words = "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"
    assert (run.state, run.state_reason) == (State.FAILED, words)
    assert run.attempts.get().exit_code == 1
    other = runs.submit(
        by=ada, project=project, recipe="program", config={"command": "no-such-program"}
    )
    until(cluster, other, State.FINISHED, State.FAILED)
    assert other.state_reason == "There is no program “no-such-program” here."


def test_a_cancelled_program_is_stopped_with_its_grace(
    cluster: LocalCluster, ada: User, project: Project, settings: LazySettings
) -> None:
    code = "import time; print('up', flush=True); time.sleep(600)"
    run = until(cluster, queue(ada, project, code), State.RUNNING)
    runs.cancel(run=run, by=ada)
    until(cluster, run, State.CANCELLED, State.FAILED)
    assert run.state == State.CANCELLED
