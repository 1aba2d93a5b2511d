"""Our launcher around torchrun: codes, signals and last words of its processes are kept."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.patience import LIMIT_SECONDS

ROOT = Path(__file__).resolve().parents[2]


def start(folder: Path, code: str, *words: str) -> "subprocess.Popen[str]":
    """Two processes of a script."""
    script = folder / "script.py"
    script.write_text(code)
    options = ["--standalone", "--local-addr=localhost", "--nproc-per-node=2", *words]
    return subprocess.Popen(
        [sys.executable, "-m", "backline", "torchrun", *options, str(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# The second process ends as asked; the first would go on.
ENDS = """
import os, signal, time
if os.environ["RANK"] == "1":
    {end}
elif {waits}:
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("end", "code", "line"),
    [
        ("raise SystemExit(0)", 0, ""),
        ("raise SystemExit(3)", 3, "[rank 1] The process ended with code 3 and no message."),
        (
            "raise SystemExit(75)",
            75,
            "[rank 1] The process ended with code 75 and no message.",
        ),
        (
            "raise SystemExit(143)",
            143,
            "[rank 1] The process ended with code 143 and no message.",
        ),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            137,
            "[rank 1] The process was ended by signal 9 (SIGKILL).",
        ),
    ],
)
def test_the_code_is_that_of_the_process_that_ended_first(
    tmp_path: Path, end: str, code: int, line: str
) -> None:
    launcher = start(tmp_path, ENDS.format(end=end, waits=bool(code)))
    out, err = launcher.communicate(timeout=LIMIT_SECONDS)
    assert (launcher.returncode, out) == (code, "")
    assert err == (f"{line}\n" if line else "")


TELLS = """
import os, pathlib, time
from backline.job import exit_reasons
if os.environ["RANK"] == "0":
    while not pathlib.Path("told").exists():
        time.sleep(0.05)
    exit_reasons.leave_reason("Connection closed by peer.", code=1)
    raise SystemExit(1)
exit_reasons.leave_reason("The disk is full.", code=9)
pathlib.Path("told").touch()
time.sleep(1.5)
raise SystemExit(9)
"""


def test_the_earliest_word_counts_not_the_first_end(tmp_path: Path) -> None:
    launcher = start(tmp_path, TELLS)
    _, err = launcher.communicate(timeout=LIMIT_SECONDS)
    assert (launcher.returncode, err) == (9, "[rank 1] The disk is full.\n")


HEEDS = """
import os, pathlib, signal, time
rank = os.environ["RANK"]
def heed(number, _):
    time.sleep(1)
    pathlib.Path(f"saved-{rank}").touch()
    raise SystemExit(75)
signal.signal(signal.SIGTERM, heed)
pathlib.Path(f"ready-{rank}").touch()
time.sleep(60)
"""


def test_sigterm_is_for_the_processes_and_their_own_end_is_waited_for(tmp_path: Path) -> None:
    launcher = start(tmp_path, HEEDS)
    until(lambda: len(list(tmp_path.glob("ready-*"))) == 2)
    launcher.send_signal(signal.SIGTERM)
    launcher.communicate(timeout=LIMIT_SECONDS)
    assert launcher.returncode == 75
    assert len(list(tmp_path.glob("saved-*"))) == 2


def test_a_machine_that_waits_for_another_can_be_stopped(tmp_path: Path) -> None:
    launcher = start(tmp_path, "", "--nnodes=2", "--rdzv-backend=c10d", "--rdzv-id=never")
    until(lambda: listens(launcher.pid))
    launcher.send_signal(signal.SIGTERM)
    _, err = launcher.communicate(timeout=LIMIT_SECONDS)
    assert (launcher.returncode, err) == (143, "Asked to stop before the program was started.\n")


LIVES = """
import os, pathlib, time
from backline.job import exit_reasons
exit_reasons.end_with_launcher()
pathlib.Path(f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
time.sleep(60)
"""


def test_when_the_launcher_is_killed_no_process_goes_on(tmp_path: Path) -> None:
    launcher = start(tmp_path, LIVES)

    def pids() -> list[int]:
        return [int(path.read_text() or 0) for path in tmp_path.glob("pid-*")]

    until(lambda: len(pids()) == 2 and all(pids()))
    launcher.kill()
    launcher.communicate(timeout=LIMIT_SECONDS)
    until(lambda: not any(map(alive, pids())))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.05)


def listens(pid: int) -> bool:
    """Whether it is there for other machines to be met."""
    found = psutil.Process(pid).net_connections("tcp")
    return any(one.status == psutil.CONN_LISTEN for one in found)


def alive(pid: int) -> bool:
    """Whether it runs: one that only waits to be reaped does not."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
