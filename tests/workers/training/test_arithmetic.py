"""In what a run computes: chosen by the machine, said, kept, and the same for whoever repeats."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backline.wire import Arithmetic
from experiments import recipes
from experiments.recipes.flow_matching import FlowMatchingConfig
from tests.workers.training.recorder import Recorder, record, recorder
from tests.workers.training.test_training import config
from workers.training import arithmetic, checkpoints, flow_matching, machine
from workers.training.arithmetic import Trial, Work
from workers.training.group import ALONE, Group

ROOT = Path(__file__).resolve().parents[3]
CPU = torch.device("cpu")
# As most laptops are, and many cloud machines.
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
SMALL = Work(batch=3, tokens=8, width=16, heads=2, kernel=3, learns=True)
HERE = Arithmetic(precision="fp32", threads=1, reason="Chosen before.")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return record(tmp_path_factory.mktemp("music"), each=1, seconds=1.0)


def cpu_info(folder: Path, line: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: bf16 maker\n{line}\n")
    return path


def settled(run: Recorder, asked: FlowMatchingConfig | None = None, **how: object) -> Arithmetic:
    machine.prepare(seed=1)
    asked = asked or config(precision="auto")
    return arithmetic.settle(run, asked, work=SMALL, device=CPU, **how)  # type: ignore[arg-type]


# --- What the processor has -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 amx_tile", True),
        ("flags\t\t: fpu avx2 amx_bf16", True),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("flags\t\t: fpu sse2 avx avx2 fma", False),
        ("flags\t\t: fpu avx2 avx512f avx512bw avx512vl", False),
        ("", False),
    ],
)
def test_a_processor_has_bf16_if_its_flags_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, has: bool
) -> None:
    # What torch says of this machine is another question.
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert arithmetic.has_bf16(CPU, cpu_info(tmp_path, line)) is has


def test_a_processor_that_torch_may_not_use_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = cpu_info(tmp_path, "flags\t: avx512_bf16")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not arithmetic.has_bf16(CPU, info)


def test_a_machine_that_does_not_say_what_it_has_has_none(tmp_path: Path) -> None:
    assert not arithmetic.has_bf16(CPU, tmp_path / "there is none")


# --- The choice -----------------------------------------------------------------------------


class Timed(Trial):
    """Rounds that take what the test says."""

    seconds: dict[tuple[str, int], float]
    # From this round on, if that is ever.
    later: dict[tuple[str, int], float] = {}
    asked: list[tuple[str, int]]

    def round(self, precision: arithmetic.Precision, threads: int) -> float:
        self.asked.append((precision, threads))
        if self.later and self.asked.count((precision, threads)) > 2 + arithmetic.ROUNDS:
            return self.later[precision, threads]
        return self.seconds[precision, threads]


@pytest.mark.parametrize(
    ("seconds", "bf16", "chosen"),
    [
        # The cores are free: all of them, and bf16 if it is worth its eight bits.
        ({("fp32", 2): 4.0, ("fp32", 1): 7.0, ("bf16", 2): 2.0}, True, ("bf16", 2)),
        ({("fp32", 2): 4.0, ("fp32", 1): 7.0, ("bf16", 2): 3.8}, True, ("fp32", 2)),
        ({("fp32", 2): 4.0, ("fp32", 1): 7.0, ("bf16", 2): 50.0}, True, ("fp32", 2)),
        # A neighbour has the other one.
        ({("fp32", 2): 9.0, ("fp32", 1): 7.0, ("bf16", 1): 12.0}, True, ("fp32", 1)),
        ({("fp32", 2): 9.0, ("fp32", 1): 7.0, ("bf16", 1): 4.0}, True, ("bf16", 1)),
        # Hardly faster is not worth a core.
        ({("fp32", 2): 7.2, ("fp32", 1): 7.0}, False, ("fp32", 2)),
        # Without bf16 nobody asks how slow it is.
        ({("fp32", 2): 4.0, ("fp32", 1): 7.0}, False, ("fp32", 2)),
    ],
)
def test_what_is_faster_here_and_now_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
    seconds: dict[tuple[str, int], float],
    bf16: bool,
    chosen: tuple[str, int],
) -> None:
    Timed.seconds, Timed.asked = seconds, []
    monkeypatch.setattr(arithmetic, "Trial", Timed)
    monkeypatch.setattr(arithmetic, "PAUSE_SECONDS", 0.0)
    found = arithmetic.decide(SMALL, device=CPU, bf16=bf16, counts=[2, 1])
    assert (found.precision, found.threads) == chosen
    assert set(Timed.asked) == set(seconds)
    for name, threads in seconds:
        assert f"{name} on {threads} thread" in found.reason
    assert ("has no bf16" in found.reason) is not bf16


def test_a_neighbour_that_is_gone_a_second_later_takes_no_core_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Timed.seconds, Timed.asked = {("fp32", 2): 9.0, ("fp32", 1): 7.0}, []
    monkeypatch.setattr(Timed, "later", {("fp32", 2): 4.0, ("fp32", 1): 7.0})
    monkeypatch.setattr(arithmetic, "Trial", Timed)
    monkeypatch.setattr(arithmetic, "PAUSE_SECONDS", 0.0)
    found = arithmetic.decide(SMALL, device=CPU, bf16=False, counts=[2, 1])
    assert found.threads == 2
    assert "fp32 on 2 threads 4,000.0 ms" in found.reason


def test_with_one_core_and_no_bf16_there_is_nothing_to_measure() -> None:
    found = arithmetic.decide(SMALL, device=CPU, bf16=False, counts=[1])
    assert (found.precision, found.threads) == ("fp32", 1)
    assert found.reason == "This processor has no bf16."


def test_a_real_measurement_says_what_it_measured() -> None:
    machine.prepare(seed=1)
    found = arithmetic.decide(SMALL, device=CPU, bf16=True, counts=[2, 1])
    assert found.threads in (1, 2)
    assert "fp32 on 2 threads" in found.reason
    assert "bf16 on" in found.reason
    assert found.reason.endswith(" ms.")


def test_measuring_leaves_the_seeds_as_they_were() -> None:
    """Who repeats a run measures nothing, and is to draw the same weights."""
    machine.prepare(seed=1)
    untouched = torch.randn(4)
    machine.prepare(seed=1)
    Trial(SMALL, CPU).round("fp32", 1)
    assert torch.equal(torch.randn(4), untouched)


@pytest.mark.parametrize(
    "work",
    [
        Work(batch=256, tokens=512, width=1536, heads=24, kernel=9, learns=True),
        Work(batch=1, tokens=512, width=1536, heads=1, kernel=63, learns=False),
        Work(batch=16, tokens=64, width=192, heads=4, kernel=9, learns=True),
        Work(batch=2, tokens=1, width=17, heads=1, kernel=1, learns=True),
    ],
)
def test_however_large_the_run_the_trial_of_it_is_small(work: Work) -> None:
    small = work.miniature(rows=1_024, width=192)
    assert small.batch * small.tokens <= 1_024
    assert small.width <= 192
    assert small.width % small.heads == 0
    if (work.batch, work.width) == (16, 192):
        assert small == work


def test_half_and_half_again_down_to_one_thread() -> None:
    assert arithmetic.halves(1) == [1]
    assert arithmetic.halves(2) == [2, 1]
    assert arithmetic.halves(12) == [12, 6, 3, 1]


# --- Threads --------------------------------------------------------------------------------


def test_no_more_threads_than_cores_unless_the_config_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BACKLINE_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert machine.threads() == 2
    assert machine.threads(64) == 64
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert machine.threads() == 1


@pytest.mark.parametrize(
    ("limit", "cores"), [("150000 100000", 1.5), ("max 100000", None), ("", None)]
)
def test_a_quota_of_processor_time_is_known(
    tmp_path: Path, limit: str, cores: float | None
) -> None:
    (tmp_path / "own").write_text("0::/kube/pod\n")
    (tmp_path / "kube" / "pod").mkdir(parents=True)
    (tmp_path / "kube" / "pod" / "cpu.max").write_text(limit)
    assert machine.quota(tmp_path, tmp_path / "own") == cores
    assert machine.quota(tmp_path / "elsewhere", tmp_path / "own") is None


# --- What is kept ---------------------------------------------------------------------------


def test_what_the_config_says_is_done_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    run = recorder({})
    chosen = settled(run, config(precision="bf16"))
    assert (chosen.precision, chosen.threads) == ("bf16", 1)
    assert run.arithmetic == chosen
    assert torch.get_num_threads() == 1
    assert "Arithmetic: bf16 on 1 thread. So the config says." in capsys.readouterr().out


def test_a_repeat_takes_what_was_chosen_then(capsys: pytest.CaptureFixture[str]) -> None:
    run = recorder({})
    run.spec = run.spec.model_copy(update={"arithmetic": HERE})
    assert settled(run) == HERE
    assert run.arithmetic == HERE
    said = capsys.readouterr().out
    assert "fp32 on 1 thread, as it was when this was first computed. Chosen before." in said


@pytest.mark.parametrize("asked", [{"precision": "bf16"}, {"precision": "fp32", "threads": 2}])
def test_what_the_config_says_is_stronger_than_any_report(asked: dict[str, object]) -> None:
    run = recorder({})
    run.spec = run.spec.model_copy(update={"arithmetic": HERE})
    chosen = settled(run, config(**asked))
    assert chosen.precision == asked["precision"]
    assert chosen.threads == asked.get("threads", 1)
    assert chosen.reason == "So the config says."
    torch.set_num_threads(1)


def test_the_checkpoints_choice_comes_before_the_runs() -> None:
    run = recorder({})
    run.spec = run.spec.model_copy(update={"arithmetic": HERE})
    other = Arithmetic(precision="bf16", threads=2, reason="In the checkpoint.")
    assert settled(run, config(precision="auto", threads=0), stored=other) == other
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_bf16_where_the_processor_has_none_is_done_and_warned_of() -> None:
    kept = Arithmetic(precision="bf16", threads=2, reason="Chosen elsewhere.")
    assert "fp32 is faster here" in arithmetic.in_words(kept, before=True, bf16=False)
    assert "faster here" not in arithmetic.in_words(kept, before=True, bf16=True)
    assert "faster here" not in arithmetic.in_words(HERE, before=True, bf16=False)


def test_a_resumed_run_computes_as_its_checkpoint_says(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that chose by itself; the second attempt would choose otherwise."""
    kept = tmp_path / "kept.safetensors"
    answers = iter(
        [
            Arithmetic(precision="bf16", threads=1, reason="Faster."),
            Arithmetic(precision="fp32", threads=2, reason="Faster now."),
        ]
    )
    monkeypatch.setattr(arithmetic, "decide", lambda *_, **__: next(answers))

    class Keeping(Recorder):
        def save_checkpoint(self, path: Path, *, step: int, meta: dict[str, object]) -> None:
            super().save_checkpoint(path, step=step, meta=meta)
            if step == 4:
                kept.write_bytes(path.read_bytes())

    whole = recorder(files)
    whole.__class__ = Keeping
    flow_matching.main(whole, config(precision="auto"))
    _, meta = checkpoints.load(kept)
    assert meta.arithmetic is not None
    assert (meta.arithmetic.precision, meta.arithmetic.threads) == ("bf16", 1)
    rest = recorder(files, resume=kept, step=4)
    flow_matching.main(rest, config(precision="auto"))
    assert rest.arithmetic == meta.arithmetic
    assert rest.series("loss") == {
        step: loss for step, loss in whole.series("loss").items() if step > 4
    }


def test_the_weights_of_another_run_do_not_say_how_this_one_computes(
    files: dict[str, Path], tmp_path: Path
) -> None:
    kept = tmp_path / "kept.safetensors"
    first = recorder(files)
    first.save_checkpoint = lambda path, **_: kept.write_bytes(path.read_bytes())  # type: ignore[method-assign, assignment]
    flow_matching.main(first, config(precision="bf16"))
    after = recorder(files, start_from=kept, step=7)
    flow_matching.main(after, config(precision="fp32"))
    assert after.arithmetic is not None
    assert after.arithmetic.precision == "fp32"


def test_a_checkpoint_from_before_it_was_kept_is_still_read(
    files: dict[str, Path], tmp_path: Path
) -> None:
    kept = tmp_path / "kept.safetensors"
    first = recorder(files)
    first.save_checkpoint = lambda path, **_: kept.write_bytes(path.read_bytes())  # type: ignore[method-assign, assignment]
    flow_matching.main(first, config(steps=4, sample_every=0))
    tensors, meta = checkpoints.load(kept)
    old = meta.model_dump(exclude={"arithmetic"})
    checkpoints.save(kept, tensors=tensors, meta=checkpoints.Meta.model_validate(old))
    again = recorder(files, resume=kept, step=4)
    flow_matching.main(again, config(steps=4, sample_every=0))
    assert again.arithmetic == Arithmetic(precision="fp32", threads=1, reason="So the config says.")


class Second(Group):
    """The second of two, to whom the first says fp32 on 3 threads, and that not all have bf16."""

    def all_true(self, fact: bool) -> bool:
        assert isinstance(fact, bool)
        return False

    def broadcast(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        assert len(numbers) == 2
        return list(arithmetic.DTYPES).index("fp32"), 3


def test_of_several_processes_all_do_as_the_first_says() -> None:
    run = recorder({})
    chosen = settled(run, config(precision="bf16"), team=Second(rank=1, count=2))
    assert (chosen.precision, chosen.threads) == ("fp32", 3)
    assert torch.get_num_threads() == 3
    torch.set_num_threads(1)
    # The first one speaks.
    assert run.arithmetic is None
    assert ALONE.broadcast((1, 2)) == (1, 2)
    assert ALONE.all_true(True)


# --- A processor without bf16 and AVX-512 ---------------------------------------------------

PROGRAM = """
import pathlib, sys
from tests.workers.training.recorder import recorder
from workers import run as program

folder = pathlib.Path(sys.argv[1])
files = {f"/audio/{path.name}": path for path in sorted(folder.glob("*.flac"))}
run = recorder(files)
config = {"steps": 3, "batch_size": 2, "sample_every": 2, "sampling_steps": 2,
          "griffin_lim_rounds": 2, "blocks": 1, "final_seeds": 1, "prompts": ["techno"]}
run.spec = run.spec.model_copy(update={"config": config})
code = program.perform(run)
print("losses", run.series("loss"))
print("chosen", run.arithmetic.precision, run.arithmetic.threads)
sys.exit(code)
"""


def test_a_training_under_avx2_chooses_fp32_and_ends_well(
    files: dict[str, Path], tmp_path: Path
) -> None:
    """The recipe's own width, length and precision, in a process that may use no more than AVX2."""
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py", str(next(iter(files.values())).parent)],
        env=os.environ | AVX2 | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "This processor has no bf16." in done.stdout
    assert "chosen fp32" in done.stdout
    losses = next(line for line in done.stdout.splitlines() if line.startswith("losses"))
    assert "nan" not in losses
    assert "inf" not in losses
    assert losses.count(":") == 3


def test_the_default_is_auto_and_what_older_runs_say_is_still_good() -> None:
    for recipe in ("flow_matching", "generate"):
        made = recipes.validate(recipe, {})
        assert made.model_dump()["precision"] == "auto"
        for precision in ("bf16", "fp32"):
            known = recipes.validate(recipe, {"precision": precision})
            assert known.model_dump()["precision"] == precision
