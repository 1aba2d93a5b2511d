"""The portal on PostgreSQL, as production has it: whole, and killed in mid-run."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client

from tests.cluster import database as databases
from tests.cluster.conftest import WORKER
from tests.cluster.control_plane import ControlPlane
from tests.cluster.database import Database
from tests.cluster.lab import SMALL, Lab, Web
from tests.cluster.process_node import ProcessNode

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

STEPS = 120


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    programs = databases.programs()
    if programs is None:
        pytest.skip("No PostgreSQL server found (Debian, Ubuntu: apt-get install postgresql).")
    with databases.running(programs) as made:
        yield made


@pytest.fixture(scope="module")
def web_on_postgres(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    made = Web(tmp_path_factory.mktemp("web-on-postgres"), DATABASE_URL=database.url)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def lab_on_postgres(
    plane: ControlPlane, core: client.CoreV1Api, node: ProcessNode, web_on_postgres: Web, space: str
) -> Iterator[Lab]:
    access: Path = plane.kubeconfig(WORKER, namespace=space)
    lab = Lab(web_on_postgres, core, kubeconfig=access, namespace=space)
    lab.nodes.append(node)
    try:
        yield lab
    finally:
        lab.close()


def test_a_training_run_goes_its_whole_way_on_postgresql(lab_on_postgres: Lab) -> None:
    lab = lab_on_postgres
    run = lab.submit("flow_matching", dataset=lab.web.dataset, **SMALL)
    found = lab.becomes(run, "finished", seconds=90)
    losses = next(one for one in found["metrics"] if one["name"] == "loss")
    assert losses["count"] == SMALL["steps"]
    lab.settles()


def test_a_database_killed_in_mid_run_loses_nothing(
    lab_on_postgres: Lab, database: Database
) -> None:
    lab = lab_on_postgres
    run = lab.submit("tone_check", steps=STEPS, step_seconds=0.05)
    lab.becomes(run, "running")
    database.kill()
    # The round finds no database and says so; the program goes on and keeps what it logs.
    lab.world.send("reconcile")
    lab.world.receive_anything()
    time.sleep(2)
    database.start()
    found = lab.becomes(run, "finished", seconds=60)
    losses = next(one for one in found["metrics"] if one["name"] == "loss")
    assert (losses["count"], losses["last_step"]) == (STEPS, STEPS)
    (attempt,) = lab.attempts(run)
    assert lab.starts(run) == [attempt["job_name"]]
    lab.settles()
