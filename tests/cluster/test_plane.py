"""What the test cluster itself promises, without a control plane."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cluster import control_plane, lab
from tests.cluster.control_plane import tied, until
from workers.cluster.supervise import start_time

SAYS = ["sh", "-c", "echo $$; exec sleep 600"]


def begun(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout
    return int(process.stdout.readline())


def test_a_program_that_was_started_from_a_thread_outlives_it() -> None:
    life, held = os.pipe()
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        started.append(tied(SAYS, life, stdout=subprocess.PIPE))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    process = started[0]
    try:
        pid = begun(process)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert start_time(pid)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
        assert not start_time(pid)
    finally:
        os.close(held)
        os.close(life)
        process.wait(60)
        assert process.stdout
        process.stdout.close()


def test_a_program_ends_with_the_process_that_started_it_however_that_ends() -> None:
    code = (
        "import os, subprocess, sys\n"
        "from tests.cluster.control_plane import tied\n"
        "life, held = os.pipe()\n"
        f"tied({SAYS!r}, life).wait()\n"
    )
    root = Path(control_plane.__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE
    ) as process:
        pid = begun(process)
        process.kill()
    until("the program has ended", lambda: not start_time(pid))


@pytest.mark.parametrize(
    "pod",
    ["run-0123456789ab-12-x7k2p", "run-0123456789ab-12-0-x7k2p", "run-0123456789ab-12-3-42424"],
)
def test_the_job_of_a_pod_is_known_by_its_name_with_an_index_and_without(pod: str) -> None:
    assert lab.job_of(pod) == "run-0123456789ab-12"
