"""A script goes on with its run after a crash, and the processes of one launch are one run."""

import os
import signal
import subprocess
import sys

import pytest

from experiments.metrics import metrics
from experiments.models import Project, Run, Series
from experiments.runs import outside, runs
from portal.models import User
from tests.backline.script import BEGIN, Scripts, curves
from tests.backline.test_client import wait_for
from tests.patience import LIMIT_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)

TRAIN = """
run = backline.init(
    os.environ["PROJECT"], "long", {{"lr": {lr}}}, resume=True, system_figures=False)
print(run.step, run.id, flush=True)
for step in range({first}, {last}):
    run.log({{"loss": float(step)}}, step=step)
run.flush()
{end}
"""


def test_a_script_that_crashed_goes_on_with_its_run(scripts: Scripts) -> None:
    crash = "os.kill(os.getpid(), signal.SIGKILL)"
    first = scripts.run(TRAIN.format(lr=0.1, first=0, last=452, end=crash))
    assert first.returncode == -signal.SIGKILL
    second = scripts.run(TRAIN.format(lr=0.2, first=400, last=700, end=""))
    assert second.returncode == 0, second.stderr
    run = Run.objects.get()
    assert first.stdout.split() == ["-1", str(run.pk)]
    assert second.stdout.split()[1] == str(run.pk)
    wait_for(lambda: Series.objects.get(run=run).count == 700)
    assert (run.state, run.state_reason, run.config) == ("finished", "", {"lr": 0.2})
    assert curves(run)["loss"] == {step: float(step) for step in range(700)}
    ((attempt, replaced),) = metrics.replaced(run, "loss", 1_000)
    assert (attempt, replaced.steps.tolist()) == (1, list(range(400, 452)))
    assert sorted(run.sessions.values_list("name", flat=True)) == ["attempt-1", "attempt-2"]
    assert [(start.number, start.processes) for start in outside.starts(run)] == [(1, 1), (2, 1)]
    # A third time, without steps: they go on.
    third = scripts.run(f"""
run = backline.init(os.environ["PROJECT"], resume="{run.number}", system_figures=False)
assert (run.step, run.config.lr) == (699, 0.2)
for _ in range(3): run.log({{"loss": 1.0}})
""")
    assert third.returncode == 0, third.stderr
    assert list(curves(run)["loss"]) == list(range(703))


def test_what_can_not_be_resumed_is_said(scripts: Scripts) -> None:
    code = """
for resume in ("77", "00000000-0000-0000-0000-000000000000", {queued!r}):
    try: backline.init(os.environ["PROJECT"], resume=resume)
    except backline.Refused as error: print(error.status, error)
"""
    ada = User.objects.get(username="ada")
    queued = runs.submit(
        by=ada, project=Project.objects.get(slug=scripts.project), recipe="tone_check", config={}
    )
    done = scripts.run(code.format(queued=str(queued.number)))
    assert done.stdout.splitlines() == [
        f"404 The project {scripts.project} has no run 77.",
        f"404 The project {scripts.project} has no run 00000000-0000-0000-0000-000000000000.",
        f"409 Run {queued.number} was queued in the portal: try it again there.",
    ], done.stderr
    assert Run.objects.count() == 1


def test_an_older_program_is_asked_to_stop_when_another_resumes_its_run(scripts: Scripts) -> None:
    wait = """
run = backline.init(os.environ["PROJECT"], "same", resume=True)
print("ready", flush=True)
while not run.stop_requested: time.sleep(0.05)
print(run.stop_requested.reason)
run.finish("failed", "late")
"""
    with scripts.start(wait) as older:
        assert older.stdout
        older.stdout.readline()
        newer = scripts.run("""
run = backline.init(os.environ["PROJECT"], "same", resume=True)
time.sleep(2)
run.log({"loss": 1.0}, step=1)
""")
        out, err = older.communicate(timeout=LIMIT_SECONDS)
    assert (newer.returncode, older.returncode) == (0, 0), err
    assert out == "The run was resumed by another program.\n"
    run = Run.objects.get()
    assert (run.state, run.state_reason) == ("finished", "")


RANKS = (
    BEGIN
    + """
run = backline.init(os.environ["PROJECT"], "ranks", {"lr": 0.1}, system_figures=False)
print("rank", run.rank, flush=True)
restart = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
for step in range(10 * restart, 20):
    run.log({"loss": float(step + 100 * restart)}, step=step)
run.flush()
if FAILS and restart == 0 and run.rank == 1:
    time.sleep(2)
    sys.exit(3)
if FAILS and restart == 0:
    time.sleep(60)
run.finish()
"""
)


@pytest.mark.parametrize("fails", [False, True])
def test_the_processes_of_torchrun_are_one_run(scripts: Scripts, fails: bool) -> None:
    scripts.folder.mkdir()
    (scripts.folder / "ranks.py").write_text(f"FAILS = {fails}\n" + RANKS)
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         "--max-restarts=1", "ranks.py"],
        cwd=scripts.folder, env=scripts.environment(), capture_output=True, text=True,
        timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = Run.objects.get()
    wait_for(lambda: Run.objects.get().state == "finished")
    found = curves(run)
    if fails:
        assert found["loss"] == {s: float(s) if s < 10 else s + 100.0 for s in range(20)}
        assert found["rank/1/loss"] == found["loss"]
        names = ["attempt-1", "attempt-1-rank-1", "attempt-2", "attempt-2-rank-1"]
    else:
        assert found["loss"] == found["rank/1/loss"] == {s: float(s) for s in range(20)}
        names = ["attempt-1", "attempt-1-rank-1"]
    assert sorted(run.sessions.values_list("name", flat=True)) == names


def test_two_launches_are_two_runs_and_a_group_of_ones_own_is_one(scripts: Scripts) -> None:
    scripts.folder.mkdir()
    (scripts.folder / "ranks.py").write_text("FAILS = False\n" + RANKS)

    def launch(**extra: str) -> None:
        processes = [
            subprocess.Popen(
                [sys.executable, "ranks.py"],
                cwd=scripts.folder,
                env=scripts.environment() | {"RANK": str(rank), "WORLD_SIZE": "2"} | extra,
            )
            for rank in range(2)
        ]
        assert [process.wait(LIMIT_SECONDS) for process in processes] == [0, 0]

    launch(BACKLINE_GROUP="mine")
    assert Run.objects.count() == 1
    launch(BACKLINE_GROUP="other")
    assert Run.objects.count() == 2
    assert {run.sessions.count() for run in Run.objects.all()} == {2}
    assert os.environ.get("BACKLINE_GROUP") is None


FORK = """
with backline.init(os.environ["PROJECT"], "first", {"lr": 0.1, "seed": 1}) as run:
    for step in range(10):
        run.log({"loss": float(step)}, step=step)
with backline.init(os.environ["PROJECT"], config={"lr": 0.2}, fork_from="first", step=4) as run:
    print(run.step, run.config["seed"], run.config["lr"])
    run.log({"loss": -1.0})
for wrong in ({"fork_from": "first", "resume": "first"}, {"step": 3}):
    try:
        backline.init(os.environ["PROJECT"], **wrong)
    except ValueError as error:
        print(error)
try:
    backline.init(os.environ["PROJECT"], fork_from="first", step=40)
except backline.Refused as error:
    print(error)
"""


def test_a_script_forks_a_run_at_a_step_and_counts_on(scripts: Scripts) -> None:
    done = scripts.run(FORK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "4 1 0.2",
        "A run is resumed or forked from another one, not both.",
        "step= says where to fork: it needs fork_from=.",
        "Run 1 has logged up to step 9, not to 40.",
    ]
    first, fork = Run.objects.order_by("number")
    assert (fork.forked_from, fork.fork_step) == (first, 4)
    wait_for(lambda: Series.objects.filter(run=fork, name="loss").exists())
    assert curves(fork)["loss"] == {5: -1.0}
