"""Training: the same again bit for bit, resumed or not, and every crop accounted for."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from backline.wire import Arithmetic
from experiments import recipes
from experiments.recipes.flow_matching import FlowMatchingConfig
from tests.workers.training.recorder import Recorder, record, recorder
from workers.data import recordings
from workers.models.dit import DiT
from workers.training import checkpoints, draws, flow_matching, interruption, machine, schedule
from workers.training.trainer import Trainer, draw, flow_loss, follow

STEPS = 7
PROMPTS = ["techno", "a slow waltz"]
FP32 = Arithmetic(precision="fp32", threads=1)


def config(**changes: object) -> FlowMatchingConfig:
    """A training run of a second."""
    made = recipes.validate(
        "flow_matching",
        {
            "prompts": PROMPTS,
            "steps": STEPS,
            "batch_size": 3,
            "warmup_steps": 2,
            "clip_frames": 16,
            "blocks": 1,
            "width": 16,
            "heads": 2,
            "kernel": 3,
            "patch": 2,
            "sample_every": 3,
            "checkpoint_every": 4,
            "sampling_steps": 2,
            "griffin_lim_rounds": 2,
            "threads": 1,
            "precision": "fp32",
            **changes,
        },
    )
    assert isinstance(made, FlowMatchingConfig)
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return record(tmp_path_factory.mktemp("music"), each=2, seconds=2.0)


def trained(files: dict[str, Path], **changes: object) -> Recorder:
    run = recorder(files)
    flow_matching.main(run, config(**changes))
    return run


def losses(run: Recorder) -> dict[int, float]:
    return run.series("loss")


def test_a_run_reports_everything_a_person_watches(files: dict[str, Path]) -> None:
    run = trained(files)
    for name in ("loss", "learning_rate", "grad_norm"):
        assert list(run.series(name)) == list(range(1, STEPS + 1)), name
    assert set(run.series("control/genre_accuracy")) == {3, 6, STEPS}
    assert 0.5 <= run.series("classifier/held_out_accuracy")[0] <= 1.0
    assert sorted(run.audio) == sorted(
        [(f"training/{slug}", step) for slug in ("1-techno", "2-a-slow-waltz") for step in (3, 6)]
        + [(f"final/{slug}/{n}", STEPS) for slug in ("1-techno", "2-a-slow-waltz") for n in (1, 2)]
    )
    assert run.prompts["final/2-a-slow-waltz/2"] == ("a slow waltz", 2, True)
    assert run.prompts["training/1-techno"] == ("techno", 1, False)
    for clip in run.audio.values():
        assert clip.shape[0] == 1
        assert clip.dtype == np.float32
        assert 0 < np.abs(clip).max() <= 0.951
    fractions = [fraction for fraction, _ in run.stages]
    assert fractions == sorted(fractions)
    assert run.stages[-1] == (1.0, "Done")


def test_same_seed_config_and_data_give_the_same_bits(files: dict[str, Path]) -> None:
    first, again = trained(files), trained(files)
    assert losses(first) == losses(again)
    assert first.audio.keys() == again.audio.keys()
    for key, clip in first.audio.items():
        assert np.array_equal(clip, again.audio[key]), key


def test_another_seed_gives_another_run(files: dict[str, Path]) -> None:
    assert losses(trained(files)) != losses(trained(files, seed=2))


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    files: dict[str, Path], tmp_path: Path, precision: str
) -> None:
    whole = trained(files, precision=precision)

    kept = tmp_path / "kept.safetensors"

    class Keeping(Recorder):
        def save_checkpoint(self, path: Path, *, step: int, meta: dict[str, object]) -> None:
            super().save_checkpoint(path, step=step, meta=meta)
            kept.write_bytes(path.read_bytes())

    cut = recorder(files)
    cut.__class__ = Keeping
    cut.stop_at = 5
    with pytest.raises(interruption.Interrupted) as stopped:
        flow_matching.main(cut, config(precision=precision))
    assert stopped.value.exit_code == 143
    # Heard of while step 5 was told: step 6 is the last.
    assert list(cut.checkpoints) == [4, 6]

    rest = recorder(files, resume=kept, step=6)
    flow_matching.main(rest, config(precision=precision))
    assert losses(cut) | losses(rest) == losses(whole)
    for key, clip in rest.audio.items():
        assert np.array_equal(clip, whole.audio[key]), key
    assert ("final/1-techno/1", STEPS) in rest.audio
    together = {(step, n): u for step, report in cut.usage + rest.usage for n, u in report.items()}
    assert total(together.values()) == total(
        [u for _, report in whole.usage for u in report.values()]
    )


def total(lines: object) -> tuple[int, float]:
    rows = list(lines)  # type: ignore[call-overload]
    return sum(e for e, _ in rows), round(sum(s for _, s in rows), 6)


def test_usage_counts_exactly_the_crops_that_were_drawn(files: dict[str, Path]) -> None:
    run = trained(files, clip_frames=32)
    expected: dict[int, int] = {}
    for counter in range(STEPS * 3):
        one = draws.example(seed=1, counter=counter, count=8, drop=0.1, shape=(32, 64))
        expected[100 + one.recording] = expected.get(100 + one.recording, 0) + 1
    counted: dict[int, int] = {}
    for _, report in run.usage:
        for number, (examples, seconds) in report.items():
            counted[number] = counted.get(number, 0) + examples
            assert seconds == pytest.approx(examples * 32 * 512 / 16_000)
    assert counted == expected
    assert max(counted.values()) - min(counted.values()) <= 1
    # A report at each checkpoint: no checkpoint knows more than the ledger.
    assert [step for step, _ in run.usage] == list(run.checkpoints) == [4, STEPS]


def test_every_parameter_gets_a_gradient_at_once_and_one_that_counts_soon(
    files: dict[str, Path],
) -> None:
    machine.prepare(seed=1, asked_threads=1)
    run = recorder(files)
    data = list(flow_matching.load(run))
    trainer = Trainer(
        config(condition_drop=0.5), data=data, device=torch.device("cpu"), arithmetic=FP32
    )
    for step in range(1, 4):
        trainer.step(step)
        for name, parameter in trainer.model.named_parameters():
            assert parameter.grad is not None, name
    for name, parameter in trainer.model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0, name


def test_sigterm_leads_to_a_checkpoint_and_the_preempted_code(files: dict[str, Path]) -> None:
    run = recorder(files)
    interruption.BELL.ring(15, None)
    try:
        with pytest.raises(interruption.Interrupted) as before_data:
            flow_matching.main(run, config())
        assert before_data.value.exit_code == 75
        assert not run.checkpoints
        assert interruption.interruption_asked(run) is not None
    finally:
        interruption.BELL.rung = False


def test_a_checkpoint_of_another_config_or_dataset_is_refused(
    files: dict[str, Path], tmp_path: Path
) -> None:
    machine.prepare(seed=1, asked_threads=1)
    trainer = Trainer(
        config(),
        data=list(flow_matching.load(recorder(files))),
        device=torch.device("cpu"),
        arithmetic=FP32,
    )
    path = tmp_path / "c.safetensors"
    tensors, meta = trainer.checkpoint(step=3, data=recordings.digest(recorder(files).spec.items))
    checkpoints.save(path, tensors=tensors, meta=meta)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(checkpoints.Mismatch, match="another seed"):
        flow_matching.main(recorder(files, resume=path, step=3), config(seed=9))
    fewer = dict(list(files.items())[:4])
    with pytest.raises(checkpoints.Mismatch, match="other recordings"):
        flow_matching.main(recorder(fewer, resume=path, step=3), config())
    path.write_bytes(b"not weights at all")
    with pytest.raises(checkpoints.Mismatch, match="cannot be read"):
        flow_matching.main(recorder(files, resume=path, step=3), config())


def test_a_finished_training_only_generates_again(files: dict[str, Path], tmp_path: Path) -> None:
    kept = tmp_path / "kept.safetensors"

    class Keeping(Recorder):
        def save_checkpoint(self, path: Path, *, step: int, meta: dict[str, object]) -> None:
            super().save_checkpoint(path, step=step, meta=meta)
            kept.write_bytes(path.read_bytes())

    whole = recorder(files)
    whole.__class__ = Keeping
    flow_matching.main(whole, config())
    again = recorder(files, resume=kept, step=STEPS)
    flow_matching.main(again, config())
    assert not losses(again)
    assert not again.usage
    for key, clip in again.audio.items():
        assert np.array_equal(clip, whole.audio[key]), key


def test_an_empty_dataset_and_an_unreadable_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(flow_matching.EmptyDataset, match="no recordings"):
        flow_matching.main(recorder({}), config())
    bad = record(tmp_path, each=1, seconds=1.0)
    run = recorder(bad)
    next(iter(bad.values())).write_bytes(b"noise")
    with pytest.raises(recordings.Unreadable, match="“0-ambient” cannot be decoded"):
        flow_matching.main(run, config())


def test_untagged_recordings_train_without_genre(tmp_path: Path) -> None:
    files = record(tmp_path, each=1, seconds=1.0)
    run = recorder(files)
    items = [item.model_copy(update={"tags": {}}) for item in run.spec.items]
    run.spec = run.spec.model_copy(update={"items": items})
    flow_matching.main(run, config(sample_every=0))
    assert not run.series("control/genre_accuracy")
    assert len(run.audio) == 4


def test_the_learning_rate_rises_and_falls_by_step() -> None:
    rates = [
        schedule.learning_rate(step=step, steps=100, peak=1.0, warmup=10) for step in range(1, 101)
    ]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001
    assert schedule.learning_rate(step=1, steps=1, peak=1.0, warmup=50) > 0
    assert schedule.averaging(step=1, longest=0.995) < 0.2
    assert schedule.averaging(step=100_000, longest=0.995) == 0.995


def test_draws_depend_on_seed_and_counter_alone() -> None:
    def one(seed: int, counter: int) -> draws.Example:
        return draws.example(seed=seed, counter=counter, count=5, drop=0.5, shape=(2, 3))

    late = one(1, 999)
    assert torch.equal(late.noise, one(1, 999).noise)
    assert not torch.equal(late.noise, one(1, 998).noise)
    assert not torch.equal(late.noise, one(2, 999).noise)
    assert sorted(one(1, counter).recording for counter in range(995, 1_000)) == list(range(5))
    times = [one(3, counter).time for counter in range(2_000)]
    assert np.mean(times) == pytest.approx(0.5, abs=0.02)
    assert np.mean([one(3, c).dropped for c in range(2_000)]) == pytest.approx(0.5, abs=0.05)


def test_the_loss_of_a_silent_model_is_the_mean_square_of_the_velocity() -> None:
    machine.prepare(seed=1, asked_threads=1)
    data = [recordings.Recording(1, "techno", torch.randn(40, 64), 1.3)]
    small = config()
    batch = draw(small, step=1, examples=data, genres=["techno"])
    model = DiT(bands=64, frames=16, classes=1, width=16, heads=2, blocks=1, kernel=3)
    loss = flow_loss(model, batch=batch, device=torch.device("cpu"), dtype=torch.float32)
    # AdaLN-zero: an untrained model answers zero.
    assert loss.item() == pytest.approx(
        float((batch.noise - batch.clean).square().mean()), rel=1e-5
    )
    other = DiT(bands=64, frames=16, classes=1, width=16, heads=2, blocks=1, kernel=3)
    follow(other, model, stay=0.0)
    for left, right in zip(other.parameters(), model.parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(files: dict[str, Path]) -> None:
    machine.prepare(seed=1, asked_threads=1)
    run = recorder(files)
    data = list(flow_matching.load(run))
    trainer = Trainer(config(), data=data, device=torch.device("cpu"), arithmetic=FP32)
    with torch.no_grad():
        trainer.model.leave.bias.fill_(float("nan"))
    with pytest.raises(flow_matching.Diverged, match="not a number at step 1"):
        flow_matching.train(
            run,
            trainer=trainer,
            listener=None,
            first=1,
            folder=Path(),  # type: ignore[arg-type]
        )
    assert math.isnan(losses(run)[1])
