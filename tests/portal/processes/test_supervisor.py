"""The supervisor: ready, restarted, stopped by pid, leftovers ended."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from portal.management.commands.up import single_instance_lock
from portal.processes import embedded
from portal.processes.supervisor import Child, NotReady, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path, report=print)
    yield made
    made.stop()


def pid(child: Child) -> int:
    assert child.process is not None
    return child.process.pid


def test_stop_ends_every_child(supervisor: Supervisor) -> None:
    children = [Child(name, SLEEP, lambda: True) for name in ("one", "two")]
    for child in children:
        supervisor.start(child)
        supervisor.wait_ready(child, seconds=60)
    supervisor.stop()
    assert not any(child.alive for child in children)
    assert not supervisor.pids_file.exists()


def test_a_killed_child_starts_again(supervisor: Supervisor) -> None:
    child = Child("one", SLEEP, lambda: True)
    supervisor.start(child)
    first = pid(child)
    watcher = threading.Thread(target=supervisor.watch)
    watcher.start()
    psutil.Process(first).send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (child.alive and pid(child) != first):
        time.sleep(0.05)
    supervisor.stopping.set()
    watcher.join(timeout=60)
    assert child.alive
    assert pid(child) != first


def test_a_child_that_ends_at_once_says_where_its_log_is(supervisor: Supervisor) -> None:
    child = Child("one", [sys.executable, "-c", "print('no such file'); exit(3)"], lambda: False)
    supervisor.start(child)
    with pytest.raises(NotReady, match="no such file"):
        supervisor.wait_ready(child, seconds=60)


def test_leftovers_of_a_killed_supervisor_are_ended(supervisor: Supervisor) -> None:
    child = Child("one", SLEEP, lambda: True)
    supervisor.start(child)
    assert Supervisor(supervisor.folder, report=print).end_leftovers() == 1
    assert not child.alive


def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(supervisor: Supervisor) -> None:
    with subprocess.Popen(SLEEP) as other:
        supervisor.pids_file.write_text(f"[[{other.pid}, 1.0]]", encoding="utf-8")
        assert supervisor.end_leftovers() == 0
        assert other.poll() is None
        other.terminate()


def test_a_command_tells_its_lines(tmp_path: Path) -> None:
    told: list[str] = []
    supervisor = Supervisor(tmp_path, report=told.append)
    code, lines = supervisor.run("demo", [sys.executable, "-c", "print('a'); print(); print('b')"])
    assert (code, lines) == (0, ["a", "", "b"])
    assert told == lines


def test_a_taken_port_names_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(embedded.Refused, match="PORT="):
            embedded.check_port("127.0.0.1", taken.getsockname()[1])


def test_a_second_supervisor_in_one_folder_is_refused(tmp_path: Path) -> None:
    with (
        single_instance_lock(tmp_path),
        pytest.raises(embedded.Refused, match="already runs"),
        single_instance_lock(tmp_path),
    ):
        pass
