"""The portal on PostgreSQL, as production has it: whole, and killed in mid-run."""

import time
from collections.abc import Iterator

import pytest

from tests import migrated
from tests.cluster import database as databases
from tests.cluster.control_plane import until
from tests.cluster.database import Database
from tests.cluster.lab import SMALL, Lab, Web, serving
from tests.nursery import Nursery

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

STEPS = 120


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    programs = databases.programs()
    if programs is None:
        pytest.skip("No PostgreSQL server found (Debian, Ubuntu: apt-get install postgresql).")
    with databases.running(programs) as made:
        migrated.fill(made)
        yield made


@pytest.fixture(scope="module")
def web(
    database: Database, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    """In place of the one of all other tests: the portal of `lab` keeps its rows there."""
    folder = tmp_path_factory.mktemp("web-on-postgres")
    with serving(folder, nursery, DATABASE_URL=database.url) as made:
        yield made


def test_a_training_run_goes_its_whole_way_on_postgresql(lab: Lab) -> None:
    run = lab.submit("flow_matching", dataset=lab.web.dataset, **SMALL)
    found = lab.becomes(run, "finished")
    losses = next(one for one in found["metrics"] if one["name"] == "loss")
    assert losses["count"] == SMALL["steps"]
    lab.settles()


def test_a_database_killed_in_mid_run_loses_nothing(lab: Lab, database: Database) -> None:
    run = lab.submit("tone_check", steps=STEPS, step_seconds=0.05)
    lab.becomes(run, "running")
    database.kill()
    # The round finds no database and says so; the program goes on and keeps what it logs.
    lab.world.send("reconcile")
    lab.world.receive_anything()
    time.sleep(2)
    database.start()
    lab.becomes(run, "finished")

    def losses() -> tuple[int, int]:
        found = (one for one in lab.run(run)["metrics"] if one["name"] == "loss")
        return next(((one["count"], one["last_step"]) for one in found), (0, 0))

    # On a busy machine its sender may still be at work when the run has ended.
    until("its losses have arrived", lambda: losses() == (STEPS, STEPS))
    (attempt,) = lab.attempts(run)
    assert lab.starts(run) == [attempt["job_name"]]
    lab.settles()
