"""Generating with a model, and training on from one: programs alone, and through the portal."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from backline.wire import Arithmetic
from experiments import recipes
from experiments.clearance import clearance, permission
from experiments.deliveries import logs
from experiments.models import Checkpoint, Project, Run
from experiments.recipes.generate import GenerateConfig
from experiments.runs import datasets, runs
from listening import trials
from portal.models import User
from rights.grants import lifecycle
from rights.models import Recording, UsageEvent, Use
from tests.catalogue import make_allowed
from tests.patience import LIMIT_SECONDS
from tests.workers.cluster.test_own_programs import cluster, until  # noqa: F401 - a fixture.
from tests.workers.training.recorder import Recorder, record, recorder
from tests.workers.training.test_training import FP32, config
from workers.cluster.local import LocalCluster
from workers.generation import from_checkpoint
from workers.training import checkpoints, flow_matching
from workers.training.trainer import network

State = Run.State
TINY = {
    "prompts": ["techno"], "steps": 4, "batch_size": 2, "warmup_steps": 1, "clip_frames": 16,
    "blocks": 1, "width": 16, "heads": 2, "kernel": 3, "patch": 2, "sample_every": 0,
    "checkpoint_every": 0, "sampling_steps": 2, "griffin_lim_rounds": 2, "threads": 1,
    "final_seeds": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return record(tmp_path_factory.mktemp("music"), each=1, seconds=2.0)


@pytest.fixture(scope="module")
def weights(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a training of a second."""
    run, kept = recorder(files), tmp_path_factory.mktemp("weights") / "last.safetensors"
    keep(run, kept)
    flow_matching.main(run, config())  # type: ignore[arg-type]
    return kept


def keep(run: Recorder, last: Path, **at: Path) -> None:
    """Checkpoints go with the program's folder: copies stay, of step N where `stepN` says."""

    def save(path: Path, *, step: int, meta: dict[str, object]) -> None:
        at.get(f"step{step}", last).write_bytes(path.read_bytes())

    run.save_checkpoint = save  # type: ignore[method-assign]


def generated(weights: Path, files: dict[str, Path] | None = None, **changes: object) -> Recorder:
    run = recorder(files or {}, start_from=weights, step=7)
    asked = recipes.validate(
        "generate",
        {"prompts": ["techno", "free"], "clips": 2, "sampling_steps": 2, "griffin_lim_rounds": 2,
         "threads": 1, "precision": "fp32", **changes},
    )  # fmt: skip
    assert isinstance(asked, GenerateConfig)
    from_checkpoint.main(run, asked)  # type: ignore[arg-type]
    return run


def test_it_makes_every_prompt_with_every_seed_bit_for_bit(weights: Path) -> None:
    run = generated(weights)
    slugs = ("1-techno", "2-free")
    assert sorted(run.audio) == sorted(
        (f"generated/{slug}/{seed}", 7) for slug in slugs for seed in (1, 2)
    )
    assert run.prompts["generated/1-techno/2"] == ("techno", 2, True)
    assert run.usage == []
    assert not run.checkpoints
    again = generated(weights)
    for key, clip in run.audio.items():
        assert np.array_equal(clip, again.audio[key])
    assert not np.array_equal(run.audio["generated/1-techno/1", 7],
                              run.audio["generated/1-techno/2", 7])  # fmt: skip
    assert run.stages[-1] == (1.0, "Done")


def test_the_clips_are_those_of_the_run_that_trained_the_model(
    files: dict[str, Path], weights: Path
) -> None:
    first = recorder(files)
    flow_matching.main(first, config(precision="fp32"))  # type: ignore[arg-type]
    trained = recorder(files)
    kept = weights.with_name("fp32.safetensors")
    keep(trained, kept)
    flow_matching.main(trained, config(precision="fp32"))  # type: ignore[arg-type]
    run = generated(kept, prompts=["techno", "a slow waltz"])
    for slug in ("1-techno", "2-a-slow-waltz"):
        mine, its = run.audio[f"generated/{slug}/1", 7], first.audio[f"final/{slug}/1", 7]
        assert np.array_equal(mine, its)


def test_references_are_declared_counted_first_and_steer_by_their_distance(
    files: dict[str, Path], weights: Path
) -> None:
    one = dict([next(iter(files.items()))])
    near = generated(weights, one, strength=0.05, clips=1)
    far = generated(weights, one, strength=0.99, clips=1)
    free = generated(weights, clips=1)
    name = "generated/1-techno/reference-100/1"
    assert near.references[name] == [100]
    assert free.references["generated/1-techno/1"] == []
    examples, seconds = near.usage[0][1][100]
    assert examples == 2
    assert seconds == pytest.approx(2 * 16 * 512 / 16_000)
    away = [np.abs(run.audio[name, 7] - free.audio["generated/1-techno/1", 7]).mean()
            for run in (near, far)]  # fmt: skip
    assert away[1] < away[0]


def test_without_a_model_or_with_another_file_it_says_so(
    files: dict[str, Path], tmp_path: Path
) -> None:
    run = recorder(files)
    with pytest.raises(from_checkpoint.NoModel, match="choose a checkpoint"):
        from_checkpoint.main(run, GenerateConfig())  # type: ignore[arg-type]
    other = tmp_path / "other"
    other.write_bytes(b"not weights")
    with pytest.raises(checkpoints.Mismatch, match="cannot be read"):
        generated(other)


def test_training_on_begins_with_the_average_and_keeps_what_it_knows_of_a_genre(
    files: dict[str, Path], weights: Path
) -> None:
    """The new dataset has two of the old genres; the scale stays that of the weights."""
    tensors, meta = checkpoints.load(weights)
    some = {
        url: path for url, path in files.items() if "techno" in path.stem or "chip" in path.stem
    }
    run = recorder(some, start_from=weights, step=7)
    trainer = flow_matching.Trainer(
        config(), data=list(flow_matching.load(run)), device=torch.device("cpu"),  # type: ignore[arg-type]
        arithmetic=FP32, scale=meta.scale,
    )  # fmt: skip
    trainer.begin(tensors, meta)
    assert trainer.genres == ["chip", "techno"]
    for model in (trainer.model, trainer.average):
        assert torch.equal(model.enter.weight, tensors["average.enter.weight"])
        for place, genre in enumerate([*trainer.genres, None]):
            old = meta.genres.index(genre) if genre else -1
            assert torch.equal(model.label.weight[place], tensors["average.label.weight"][old])
    flow_matching.main(run, config())  # type: ignore[arg-type]
    assert trainer.scale == meta.scale


def test_a_resumed_fine_tuning_equals_an_uninterrupted_one(
    files: dict[str, Path], weights: Path, tmp_path: Path
) -> None:
    some = dict(list(files.items())[:2])
    whole, middle, end = recorder(some, start_from=weights), tmp_path / "4", tmp_path / "end"
    keep(whole, end, step4=middle)
    flow_matching.main(whole, config())  # type: ignore[arg-type]
    later = recorder(some, start_from=weights)
    spec = recorder(some, resume=middle, step=4)
    later.spec = later.spec.model_copy(update={"resume": spec.spec.resume})
    later.files = {**spec.files, **later.files}
    again = tmp_path / "again"
    keep(later, again)
    flow_matching.main(later, config())  # type: ignore[arg-type]
    assert end.read_bytes() == again.read_bytes()


def test_weights_of_another_shape_end_the_program_with_a_sentence(
    files: dict[str, Path], weights: Path
) -> None:
    run = recorder(files, start_from=weights)
    with pytest.raises(checkpoints.Mismatch, match="another blocks"):
        flow_matching.main(run, config(blocks=2))  # type: ignore[arg-type]


def test_the_network_is_that_of_the_checkpoint(weights: Path) -> None:
    tensors, meta = checkpoints.load(weights)
    net = network(config(), classes=len(meta.genres))  # type: ignore[arg-type]
    checkpoints.restore_module("average", net, tensors)


# --- Through the portal ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_from_training_to_a_clip_with_a_reference_and_what_ends_it(
    cluster: LocalCluster,  # noqa: F811 - the fixture.
    ada: User, rosa: User, project: Project,
) -> None:  # fmt: skip
    def queue(recipe: str, config: dict[str, object], **said: object) -> Run:
        run = runs.submit(by=ada, project=project, recipe=recipe, config=config, **said)  # type: ignore[arg-type]
        until(cluster, run, State.FINISHED, State.FAILED, State.WITHHELD)
        assert (run.state, run.state_reason) == (State.FINISHED, "")
        return run

    def freeze(recordings: list[Recording], use: Use) -> datasets.Dataset:
        return datasets.freeze(
            by=ada, project=project, name=str(use), recordings=recordings, use=use
        )

    songs, heard = make_allowed(rosa, 2), make_allowed(rosa, 1, use=Use.CONDITION)
    first = queue("flow_matching", TINY, dataset=freeze(songs, Use.TRAIN_GENERATIVE))
    wait(first.checkpoints.exists)
    checkpoint = Checkpoint.objects.get(run=first)
    assert first.cleared_scope.digest

    quick = {"clips": 1, "sampling_steps": 2, "griffin_lim_rounds": 2, "threads": 1}
    plain = queue("generate", {"prompts": ["techno"], **quick}, start_from=checkpoint)
    wait(lambda: plain.samples.count() == 1)
    statement = plain.samples.get().credit.read()  # type: ignore[union-attr]
    assert {line.recording for line in statement.lines} == {song.pk for song in songs}
    assert f"of run {first.number}, whose weights made it" in statement.basis
    assert statement.references == []

    steered = queue(
        "generate", {"prompts": ["techno", "ambient"], **quick}, start_from=checkpoint,
        dataset=freeze(heard, Use.CONDITION),
    )  # fmt: skip
    wait(lambda: steered.samples.count() == 2)
    sample = steered.samples.first()
    assert sample is not None
    assert sample.references == [heard[0].pk]
    references = sample.credit.read().references  # type: ignore[union-attr]
    assert [line.recording for line in references] == [heard[0].pk]
    assert references[0].grants
    wait(lambda: UsageEvent.objects.filter(source=f"run:{steered.pk}").exists())
    event = UsageEvent.objects.get(source=f"run:{steered.pk}")
    assert (event.use, event.examples) == (Use.CONDITION, 2)

    test = trials.open_test(by=ada, project=project, title="t", question="q", samples=[sample])
    assert test.items.count() == 1
    party = heard[0].credits.get(role="MainArtist").party
    lifecycle.opt_out(heard[0], Use.CONDITION, party, rosa, "Not as a reference")
    assert not type(sample).objects.audible().filter(pk=sample.pk).exists()
    assert type(sample).objects.audible().filter(run=plain).exists()
    assert clearance.allows(clearance.current_scope(steered), "", permission.context_of(project))
    first_party = songs[0].credits.get(role="MainArtist").party
    lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, first_party, rosa, "No more")
    assert not type(sample).objects.audible().exists()
    with pytest.raises(recipes.ConfigInvalid):
        runs.submit(by=ada, project=project, recipe="generate", config={}, start_from=checkpoint)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_rerun_computes_in_what_the_first_chose_and_sounds_the_same(
    cluster: LocalCluster, ada: User, rosa: User, project: Project  # noqa: F811
) -> None:  # fmt: skip
    dataset = datasets.freeze(
        by=ada, project=project, name="ours", recordings=make_allowed(rosa, 2),
        use=Use.TRAIN_GENERATIVE,
    )  # fmt: skip
    chosen = Arithmetic(precision="bf16", threads=2, reason="Nobody would choose this here.")

    def finished(run: Run) -> Run:
        until(cluster, run, State.FINISHED, State.FAILED)
        assert (run.state, run.state_reason) == (State.FINISHED, "")
        wait(lambda: run.samples.count() == 1 and run.checkpoints.exists())
        return Run.objects.get(pk=run.pk)

    config = {name: value for name, value in TINY.items() if name != "threads"}
    first = finished(
        runs.submit(by=ada, project=project, recipe="flow_matching", config=config, dataset=dataset)
    )
    assert first.config["precision"] == "auto"
    assert first.arithmetic is not None
    assert first.checkpoints.get().meta["arithmetic"] == first.arithmetic
    assert f"Arithmetic: {first.arithmetic['precision']} on" in logs.text(
        first, "stdout", "attempt-1"
    )
    again = finished(runs.rerun(run=first, by=ada))
    assert again.arithmetic == first.arithmetic
    assert again.samples.get().audio_id == first.samples.get().audio_id
    # Also where this machine, asked anew, would say something else.
    Run.objects.filter(pk=first.pk).update(arithmetic=chosen.model_dump())
    other = finished(runs.rerun(run=Run.objects.get(pk=first.pk), by=ada))
    assert other.arithmetic == chosen.model_dump()
    assert other.samples.get().audio_id != first.samples.get().audio_id


def wait(holds: object, seconds: float = LIMIT_SECONDS) -> None:
    """What a program sent last arrives after its end."""
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.1)
