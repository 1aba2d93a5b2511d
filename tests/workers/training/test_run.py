"""The program of a job: what it runs, how it ends, and the sentence it leaves behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backline.wire import RunSpec
from experiments import recipes
from tests.patience import LIMIT_SECONDS
from tests.workers.training.recorder import Recorder, recorder
from workers import run as program
from workers.training import interruption


def asked(recipe: str, **config: object) -> Recorder:
    run = recorder({})
    spec = run.spec.model_dump() | {"recipe": recipe, "config": config}
    run.spec = RunSpec.model_validate(spec)
    return run


def test_every_recipe_has_a_program() -> None:
    # The recipe `program` is started by `backline exec` instead.
    assert {*program.PROGRAMS, "program"} == set(recipes.RECIPES)


def test_the_tone_check_passes_every_station() -> None:
    run = asked("tone_check", steps=30, step_seconds=0.0, seconds=0.5)
    assert program.perform(run) == 0
    losses = list(run.series("loss").values())
    assert len(losses) == 30
    assert losses[-1] < losses[0] / 100
    assert run.audio["final/tone", 30].shape == (1, 22_050)
    assert run.stages[-1] == (1.0, "Done")


def test_a_tone_check_diverges_beyond_a_rate_of_two_and_its_noise_follows_the_seed() -> None:
    def last(**config: object) -> float:
        run = asked("tone_check", steps=20, step_seconds=0.0, seconds=0.5, **config)
        assert program.perform(run) == 0
        return run.series("eval/loss")[20]

    assert last(learning_rate=2.1) > 10 > last(learning_rate=1.9)
    assert last(learning_rate=1.0) < 1e-5 < last(learning_rate=1.0, noise=1.0)
    assert last(noise=1.0, seed=1) == last(noise=1.0, seed=1) != last(noise=1.0, seed=2)


def test_a_stop_request_ends_with_143(capsys: pytest.CaptureFixture[str]) -> None:
    run = asked("tone_check", steps=30, step_seconds=0.0)
    run.stop_at = 3
    assert program.perform(run) == 143
    assert len(run.series("loss")) == 3
    assert capsys.readouterr().err == "Stopped on request.\n"


def test_a_failure_leaves_its_reason_as_the_last_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert program.perform(asked("tone_check", frequency=1e9)) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "Frequency must be at most 8,000.0."
    assert program.perform(asked("lost_recipe")) == 1
    assert "no recipe “lost_recipe”" in capsys.readouterr().err.splitlines()[-1]
    assert program.perform(asked("flow_matching")) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "The dataset holds no recordings to learn from."


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("A sentence to act on."), "A sentence to act on."),
        (KeyError("steps"), "KeyError: 'steps'"),
        (RuntimeError("first\nsecond"), "RuntimeError: first"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_reason_is_one_line(error: Exception, line: str) -> None:
    assert program.reason(error) == line


def test_without_a_token_it_says_so_and_fails(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BACKLINE_")}
    done = subprocess.run(
        [sys.executable, "-m", "workers.run"],
        env=environment | {"BACKLINE_SPOOL": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("A token is needed")


def test_sigterm_rings_and_the_next_look_raises_preempted() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    bell, run = interruption.BELL, asked("tone_check")
    try:
        bell.listen()
        assert interruption.interruption_asked(run) is None
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        with pytest.raises(interruption.Interrupted) as raised:
            interruption.check(run)
        assert raised.value.exit_code == 75
        run.stop_requested = object()
        stopped = interruption.interruption_asked(run)
        assert stopped is not None
        assert stopped.exit_code == 143
    finally:
        bell.rung = False
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
