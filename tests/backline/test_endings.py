"""However a program ends, its run ends the same way, with its own words."""

import contextlib
import errno
import os
import signal
import time

import pytest

import backline
from backline.delivery import spool as spools
from backline.delivery.writer import Gate
from experiments.metrics import metrics
from experiments.models import Run
from tests.backline.script import Scripts, curves
from tests.backline.test_client import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

WITHOUT = """
run = backline.init(os.environ["PROJECT"])
run.log({"loss": 1.0}, step=1)
"""
WITHIN = """
with backline.init(os.environ["PROJECT"]) as run:
    run.log({"loss": 1.0}, step=1)
"""
ARGPARSE = "import argparse; argparse.ArgumentParser().error('no')"
CAUGHT = "try: sys.exit(2)\nexcept SystemExit: pass"
HANDLED = "import contextlib\nwith contextlib.suppress(SystemExit): exit(4)\nsys.exit()"


@pytest.mark.parametrize("around", [WITHOUT, WITHIN], ids=["without", "with"])
@pytest.mark.parametrize(
    ("end", "ends_as"),
    [
        ("pass", (0, "finished", "")),
        ("sys.exit()", (0, "finished", "")),
        ("sys.exit(0)", (0, "finished", "")),
        ("sys.exit(False)", (0, "finished", "")),
        ("exit(0)", (0, "finished", "")),
        ("sys.exit(3)", (3, "failed", "The program exited with code 3.")),
        ("quit(3)", (3, "failed", "The program exited with code 3.")),
        ("sys.exit('no such preset')", (1, "failed", "no such preset")),
        ("1 / 0", (1, "failed", "ZeroDivisionError: division by zero")),
        ("raise KeyboardInterrupt", (130, "cancelled", "Interrupted from the keyboard.")),
        (ARGPARSE, (2, "failed", "The program exited with code 2.")),
        (CAUGHT, (0, "finished", "")),
        (HANDLED, (0, "finished", "")),
    ],
)  # fmt: skip
def test_the_run_ends_as_the_program_does(
    scripts: Scripts, around: str, end: str, ends_as: tuple[int, str, str]
) -> None:
    code, state, reason = ends_as
    indent = "    " if around is WITHIN else ""
    done = scripts.run(around + "".join(f"{indent}{line}\n" for line in end.splitlines()))
    assert done.returncode in {code, -signal.SIGINT if code == 130 else code}, done.stderr
    run = Run.objects.get()
    assert (run.state, run.state_reason) == (state, reason)
    assert curves(run)["loss"] == {1: 1.0}


@pytest.mark.parametrize("around", [WITHOUT, WITHIN], ids=["without", "with"])
def test_ctrl_c_cancels(scripts: Scripts, around: str) -> None:
    indent = "    " if around is WITHIN else ""
    wait = f"{indent}print('ready', flush=True)\n{indent}time.sleep(60)\n"
    with scripts.start(around + wait) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    run = Run.objects.get()
    assert (run.state, run.state_reason) == ("cancelled", "Interrupted from the keyboard.")


def test_an_exit_in_a_thread_or_a_cell_of_a_debugger_ends_nothing(scripts: Scripts) -> None:
    done = scripts.run(
        WITHOUT + "import threading\nt = threading.Thread(target=sys.exit, args=(3,))\n"
        "t.start(); t.join()\n"
        "def inner():\n    try:\n        sys.exit(4)\n    except BaseException as error:\n"
        "        keep.append(error)\nkeep = []\ninner()\n"
    )
    assert done.returncode == 0, done.stderr
    assert Run.objects.get().state == "finished"


# A signal every millisecond or so, at any moment of what the client does; the handler ends the run.
STORM = """
import random
run = backline.init(os.environ["PROJECT"])
def end(*_):
    run.finish("cancelled", "Asked to stop.")
    {then}
signal.signal(signal.SIGALRM, end)
signal.setitimer(signal.ITIMER_REAL, {delay})
try:
    for step in range(10**9):
        run.log({{"loss": float(step), "deep": [1.0]}}, step=step)
        run.flush()
        run.log_audio("a", [[0.1] * 800], sample_rate=8_000, step=step) if step % 5 == 0 else None
        run.progress(step % 100 / 100)
        if {stops} and run._finished: break
finally:
    print("last", step, flush=True)
"""


@pytest.mark.parametrize("then", ["sys.exit(0)", "pass"])
@pytest.mark.parametrize("delay", [0.2, 0.203, 0.3077, 0.4011])
def test_finish_in_a_signal_handler_ends_the_run_and_hangs_never(
    scripts: Scripts, then: str, delay: float
) -> None:
    began = time.monotonic()
    done = scripts.run(STORM.format(then=then, delay=delay, stops=then == "pass"))
    assert time.monotonic() - began < 60
    assert done.returncode == 0, done.stderr
    run = Run.objects.get()
    assert (run.state, run.state_reason) == ("cancelled", "Asked to stop."), done.stderr
    last = int(done.stdout.split("last ")[1])
    steps, _, _ = metrics.points(run, "loss")
    assert steps.tolist() == list(range(len(steps)))
    assert len(steps) in {last, last + 1}
    assert run.undelivered.count() == 0


def test_what_a_handler_asks_in_the_gate_is_done_when_it_is_left() -> None:
    gate = Gate()
    order = []
    with gate:
        with gate:
            assert gate.is_mine()
            gate.later(lambda: order.append(gate.is_mine()))
        order.append("inner")
    assert order == ["inner", False]
    with contextlib.suppress(ValueError), gate:
        gate.later(lambda: order.append("after"))
        raise ValueError("broken off")
    assert order[-1] == "after"


def test_after_its_end_every_call_says_so_once_and_touches_nothing(
    scripts: Scripts,
) -> None:
    done = scripts.run("""
run = backline.init(os.environ["PROJECT"], system_figures=False)
run.finish()
for step in range(3):
    run.log({"loss": 1.0}, step=step)
    run.log_audio("a", [[0.1] * 800], sample_rate=8_000)
    run.save_checkpoint(__file__, step=1)
    run.log_usage(step=1, usage={})
    run.log_arithmetic(backline.wire.Arithmetic(precision="fp32", threads=1))
    run.progress(0.5)
    run.flush()
    run.finish("failed")
for call in (lambda: run.dataset("x"), lambda: run.fetch(None)):
    try: call()
    except RuntimeError as error: print(error)
print(os.path.exists("x"))
""")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line]
    calls = "log log_audio save_checkpoint log_usage log_arithmetic progress flush".split()  # noqa: SIM905
    assert said == [f"backline: The run has ended: {call} does nothing any more." for call in calls]
    assert done.stdout.splitlines() == [
        "The run has ended: dataset fetches nothing any more.",
        "The run has ended: fetch fetches nothing any more.",
        "False",
    ]
    run = Run.objects.get()
    assert run.state == "finished"
    assert curves(run) == {}
    assert run.samples.count() == 0


# --- Places ---------------------------------------------------------------------------------


def test_a_home_that_cannot_be_written_is_no_hindrance(scripts: Scripts) -> None:
    home = scripts.folder / "home"
    home.mkdir(parents=True)
    (home / ".local").write_text("a file, where a folder would be")
    scripts.extra = {"HOME": str(home), "XDG_STATE_HOME": "", "TMPDIR": str(scripts.folder)}
    scripts.extra["BACKLINE_SPOOL"] = ""
    done = scripts.run(WITHOUT)
    assert done.returncode == 0, done.stderr
    assert "cannot be written, so what is logged waits in" in done.stderr
    assert curves()["loss"] == {1: 1.0}
    assert Run.objects.get().state == "finished"


def test_no_place_at_all_opens_no_run(scripts: Scripts) -> None:
    scripts.folder.mkdir()
    file = scripts.folder / "file"
    file.write_text("")
    scripts.extra = {"BACKLINE_SPOOL": str(file / "spools")}
    done = scripts.run(WITHOUT)
    assert "(BACKLINE_SPOOL) cannot be written" in done.stderr.splitlines()[-1]
    assert not Run.objects.exists()


def test_a_full_disk_raises_nothing_and_the_run_ends(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From some moment on nothing can be written to the spool any more."""
    for name, value in scripts.environment().items():
        if name.startswith("BACKLINE"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("BACKLINE_DRAIN_SECONDS", "1")
    run = backline.init(scripts.project, capture_console=True, system_figures=False)
    run.log({"loss": 1.0}, step=1)
    run.flush()
    wait_for(lambda: "loss" in curves())

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(spools, "_replace", full)
    monkeypatch.setattr("shutil.copyfile", full)
    for step in (2, 3):
        run.log({"loss": 2.0}, step=step)
        run.progress(0.1 * step)
        run.flush()
        run.log_audio("clip", [[0.1] * 800], sample_rate=8_000)
        run.save_checkpoint(__file__, step=step)
    run.finish()
    said = capsys.readouterr().err
    row = Run.objects.get()
    assert row.state == "finished"
    assert curves(row)["loss"] == {1: 1.0}
    for words in ("what is logged waits in memory", "Progress cannot be reported",
                  "The clip 'clip' was not stored and is lost", "The checkpoint of step 2 was not",
                  "deliveries could not be written to"):  # fmt: skip
        assert said.count(words) == 1, (words, said)
    assert row.undelivered.get().reason == "The disk of its spool was full."


def test_a_disk_that_has_room_again_at_the_end_loses_nothing(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in scripts.environment().items():
        if name.startswith("BACKLINE"):
            monkeypatch.setenv(name, value)
    run = backline.init(scripts.project, capture_console=False, system_figures=False)
    replace, end = spools._replace, time.monotonic() + 2

    def full_for_a_while(*args: object, **options: object) -> None:
        if time.monotonic() < end:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(spools, "_replace", full_for_a_while)
    run.log({"loss": 1.0}, step=1)
    run.log_usage(step=1, usage={})
    run.finish()
    assert Run.objects.get().state == "finished"
    assert curves()["loss"] == {1: 1.0}


# --- What a stranger has tried -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "state", "reason"),
    [
        ("run.finish(0)", "finished", ""),
        ("run.finish(None)", "finished", ""),
        ("run.finish(1)", "failed", "The program exited with code 1."),
        ("run.finish(2, 'out of memory')", "failed", "out of memory"),
        ("run.finish('banana')", "finished", ""),
        ("run.finish('failed', None)", "failed", ""),
        ("import atexit; atexit.register(lambda: sys.exit(6))", "finished", ""),
        ("os.kill(os.getpid(), signal.SIGTERM)", "failed", "The program was ended by SIGTERM."),
        ("os.kill(os.getpid(), signal.SIGHUP)", "failed", "The program was ended by SIGHUP."),
    ],
)
def test_a_run_ends_with_what_it_has_whatever_finish_is_told(
    scripts: Scripts, call: str, state: str, reason: str
) -> None:
    done = scripts.run(WITHOUT + call + "\n")
    assert "pydantic" not in done.stderr
    wait_for(lambda: not Run.objects.get().is_open)
    run = Run.objects.get()
    assert (run.state, run.state_reason) == (state, reason), done.stderr
    wait_for(lambda: "loss" in curves(run))
    assert curves(run)["loss"] == {1: 1.0}


def test_a_pool_that_is_terminated_has_delivered_what_its_workers_logged(scripts: Scripts) -> None:
    done = scripts.run("""
import multiprocessing
run = backline.init(os.environ["PROJECT"], system_figures=False)
def work(i): run.log({"pool": float(i)}, step=i)
with multiprocessing.get_context("fork").Pool(2) as pool: pool.map(work, range(30))
run.finish()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
""")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: len(curves().get("pool", {})) == 30)
    assert Run.objects.get().state == "finished"


def test_nothing_raises_into_the_loop(scripts: Scripts) -> None:
    done = scripts.run("""
import numpy as np, torch, threading
run = backline.init(os.environ["PROJECT"], system_figures=False)
class Name:
    def __repr__(self): raise RuntimeError("repr")
class Odd(dict):
    def values(self): raise RuntimeError("values")
for thing in (None, [1], "text", 5, Odd(a=1), {Name(): 2.0}, {"good": 1.0}):
    run.log(thing, step=1)
    run.flush()
shared = {"a": 1.0}
def change():
    for n in range(20_000): shared[f"k{n % 50}"] = 1.0; shared.pop(f"k{(n + 25) % 50}", None)
thread = threading.Thread(target=change); thread.start()
for step in range(300): run.log(shared, step=step)
thread.join()
for fraction, stage in ((None, ""), ("x", ""), (np.array([1, 2]), ""), (0.5, None), (0.5, 5)):
    run.progress(fraction, stage=stage)
live = torch.zeros(1, 800, requires_grad=True)
for audio, rate in ((live, 8_000), (live.to(torch.bfloat16), 8_000), ([[0.1] * 800], 8_000.0),
                    ([[0.1] * 800], "8000"), ([], 8_000), (None, 8_000), (b"x", 8_000),
                    ("nowhere.wav", None), ([[0.1] * 800], 10**9)):
    run.log_audio("clip", audio, sample_rate=rate)
run.save_checkpoint(None, step=1)
run.config.attr = 2
run.config.update({f"k{n}": "v" * 100 for n in range(20_000)})
print("through")
""")
    assert (done.returncode, done.stdout) == (0, "through\n"), done.stderr
    run = Run.objects.get()
    assert run.state == "finished"
    assert curves(run)["good"] == {1: 1.0}
    assert len(curves(run)["a"]) > 200
    assert run.samples.count() == 4
    assert run.config["attr"] == 2
    assert run.config["k0"] == "v" * 100


def test_equal_clips_of_two_processes_are_two(scripts: Scripts) -> None:
    done = scripts.run("""
run = backline.init(os.environ["PROJECT"], system_figures=False)
for _ in range(2):
    child = os.fork()
    if not child:
        for _ in range(3): run.log_audio("same", [[0.1] * 800], sample_rate=8_000, seed=1)
        run.finish()
        os._exit(0)
    os.waitpid(child, 0)
""")
    assert done.returncode == 0, done.stderr
    assert Run.objects.get().samples.count() == 6
