"""Several processes in one run, and several runs in one process: nothing is lost or mixed up."""

import subprocess
import sys
from pathlib import Path

import pytest

from backline.console import Console
from experiments.deliveries import logs
from experiments.models import Run
from tests.backline.script import Scripts, curves
from tests.backline.test_client import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
def work(run, number):
    for step in range(50):
        run.log({f"child/{number}": float(step)}, step=step)
    run.log_audio(f"clip {number}", [[0.1 * number] * 800], sample_rate=8_000)
    # In one piece: several processes share the pipe.
    sys.stdout.write(f"child {number}\\n")
    if number == 1:
        run.flush()
"""

FORKS = {
    "multiprocessing": WORK + """
import multiprocessing
def main():
    run = backline.init(os.environ["PROJECT"])
    run.log({"loss": 0.5}, step=0)
    with_method = multiprocessing.get_context(sys.argv[1] if sys.argv[1:] else METHOD)
    run.log({"loss": 0.4}, step=1)
    children = [with_method.Process(target=work, args=(run, number)) for number in (1, 2)]
    for child in children: child.start()
    for step in range(2, 60): run.log({"loss": 1 / step}, step=step)
    for child in children: child.join(); assert child.exitcode == 0, child.exitcode
    run.log({"loss": 9.0}, step=60)
    run.finish()
if __name__ == "__main__": main()
""",
    "os.fork": WORK + """
run = backline.init(os.environ["PROJECT"])
run.log({"loss": 0.5}, step=0)
children = []
for number in (1, 2):
    child = os.fork()
    if not child:
        work(run, number)
        # As programs leave: by the end of the interpreter, or at once after what they had to say.
        if number == 1: sys.exit(0)
        run.finish()
        os._exit(0)
    children.append(child)
for step in range(1, 60): run.log({"loss": 1 / step}, step=step)
for child in children: assert os.waitpid(child, 0)[1] == 0
run.log({"loss": 9.0}, step=60)
""",
    "a pool": WORK + """
import concurrent.futures, multiprocessing
run = backline.init(os.environ["PROJECT"])
def task(number): work(run, number)
run.log({"loss": 0.5}, step=0)
with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    list(pool.map(task, (1, 2)))
for step in range(1, 61): run.log({"loss": 1 / step}, step=step)
run.finish()
""",
    "a loader of torch": WORK + """
import torch
class Numbers(torch.utils.data.Dataset):
    def __init__(self, run): self.run = run
    def __len__(self): return 2
    def __getitem__(self, index):
        work(self.run, index + 1)
        return index
def main():
    run = backline.init(os.environ["PROJECT"])
    run.log({"loss": 0.5}, step=0)
    loader = torch.utils.data.DataLoader(
        Numbers(run), num_workers=2, multiprocessing_context=METHOD)
    assert len(list(loader)) == 2
    for step in range(1, 61): run.log({"loss": 1 / step}, step=step)
    run.finish()
if __name__ == "__main__": main()
""",
}  # fmt: skip


@pytest.mark.parametrize(
    ("way", "method"),
    [
        ("multiprocessing", "fork"),
        ("multiprocessing", "spawn"),
        ("multiprocessing", "forkserver"),
        ("os.fork", ""),
        ("a pool", ""),
        ("a loader of torch", "fork"),
        ("a loader of torch", "spawn"),
    ],
)
def test_a_process_that_was_started_by_a_run_delivers_beside_it(
    scripts: Scripts, way: str, method: str
) -> None:
    done = scripts.run(f"METHOD = {method!r}\n" + FORKS[way])
    assert done.returncode == 0, done.stderr
    run = Run.objects.get()
    assert (run.state, run.state_reason) == (Run.State.FINISHED, "")
    found = curves(run)
    assert list(found["loss"]) == list(range(61))
    for number in (1, 2):
        assert found[f"child/{number}"] == {step: float(step) for step in range(50)}
    assert sorted(run.samples.values_list("name", flat=True)) == ["clip 1", "clip 2"]
    assert sorted(line for line in done.stdout.splitlines() if line) == ["child 1", "child 2"]
    assert "backline" not in done.stderr
    assert run.undelivered.count() == 0


def test_a_process_that_only_has_the_run_costs_nothing(scripts: Scripts) -> None:
    done = scripts.run("""
run = backline.init(os.environ["PROJECT"])
for _ in range(3):
    child = os.fork()
    if not child:
        assert run.stop_requested is None and run.id
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
run.log({"loss": 1.0}, step=1)
run.finish()
print(len(os.listdir(os.environ["BACKLINE_SPOOL"])))
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in {"0", "1"}
    run = Run.objects.get()
    assert (run.state, curves(run)["loss"]) == (Run.State.FINISHED, {1: 1.0})
    assert run.sessions.count() == 1


def test_a_child_that_is_killed_or_outlives_the_run_loses_nothing(scripts: Scripts) -> None:
    done = scripts.run("""
run = backline.init(os.environ["PROJECT"])
killed = os.fork()
if not killed:
    run.log({"killed": 1.0}, step=1)
    run.flush()
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(killed, 0)
ready, write = os.pipe()
if not os.fork():
    run.log({"late": 1.0}, step=1)
    run.flush()
    os.write(write, b"x")
    time.sleep(3)
    run.log({"late": 2.0}, step=2)
    run.finish()
    os._exit(0)
os.read(ready, 1)
run.log({"loss": 1.0}, step=1)
""")
    assert done.returncode == 0, done.stderr
    run = Run.objects.get()
    assert (run.state, run.state_reason) == (Run.State.FINISHED, "")
    # Its sender goes on alone.
    wait_for(lambda: len(curves(run)["late"]) == 2)
    found = curves(run)
    assert (found["loss"], found["killed"], found["late"]) == ({1: 1.0}, {1: 1.0}, {1: 1.0, 2: 2.0})


def test_a_run_is_given_to_a_starting_process_alone(scripts: Scripts) -> None:
    done = scripts.run("""
import pickle
run = backline.init(os.environ["PROJECT"])
try:
    pickle.dumps(run)
except RuntimeError as error:
    print(error)
run.finish()
""")
    assert "should only be shared between processes through inheritance" in done.stdout


def test_a_spool_belongs_to_its_process(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from backline.delivery.spool import Session, Spool
spool = Spool.create(Path(sys.argv[1]), Session(url="", token="", run="r", session="s", pid=1, pid_started=1.0))
spool.put("log", b"{}")
child = os.fork()
if not child:
    try:
        spool.put("log", b"{}")
    except RuntimeError:
        os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""  # noqa: E501
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "7"
    assert len(list(tmp_path.glob("*/outbox/*"))) == 1


@pytest.mark.parametrize("first", [0, 1])
def test_two_runs_in_one_process_end_in_any_order(scripts: Scripts, first: int) -> None:
    done = scripts.run(f"""
before = sys.stdout, sys.stderr, sys.excepthook, sys.exit
print("before")
runs = [backline.init(os.environ["PROJECT"], name=name) for name in "ab"]
print("both")
runs[{first}].finish()
print("one")
runs[{1 - first}].finish()
print("none")
assert before == (sys.stdout, sys.stderr, sys.excepthook, sys.exit)
""")
    assert (done.returncode, done.stdout) == (0, "before\nboth\none\nnone\n"), done.stderr
    printed = {
        run.name: logs.text(run, "stdout", run.sessions.get().name) for run in Run.objects.all()
    }
    ended = "ab"[first]
    assert printed[ended] == "both\n"
    assert printed["ab"[1 - first]] == "both\none\n"


def test_streams_that_somebody_else_replaced_stay(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = sys.stdout, sys.stderr
    first, second = Console(), Console()
    first.release()
    print("seen")
    assert "".join(piece.text for piece in second.take("s")) == "seen\n"
    assert first.take("s") == []
    second.release()
    assert (sys.stdout, sys.stderr) == (out, err)
