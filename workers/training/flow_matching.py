"""Flow matching on log-mels, from recordings to logged clips: `main` reads top to bottom."""

import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

import backline
from backline.wire import Arithmetic
from experiments.recipes.flow_matching import FlowMatchingConfig
from workers.data import prompts, recordings
from workers.data.recordings import Recording
from workers.evaluation import control
from workers.training import arithmetic, checkpoints, group, interruption, machine
from workers.training.checkpoints import Meta
from workers.training.sampling import Listener
from workers.training.trainer import Trainer
from workers.training.usage import Usage

# Steps between usage reports. Fixed, so that a resumed run reports at the same steps again.
REPORT_EVERY = 50
SPEED_EVERY = 10


class EmptyDataset(ValueError):
    """There is nothing to learn from."""


class Diverged(ArithmeticError):
    """The loss is no longer a number."""


def main(run: backline.Run, config: FlowMatchingConfig) -> None:
    """Train, sample, measure. Raises `Interrupted` after a checkpoint when asked to end.

    Of several processes, all train and the first does everything else.
    """
    device = machine.prepare(seed=config.seed, asked_threads=config.threads)
    with group.joined(device) as team:
        team.demand_shares(config.batch_size)
        checkpoint = weights(run)
        chosen = choose_arithmetic(run, config, device=device, team=team, known=checkpoint)
        scale = checkpoint[1].scale if checkpoint else None
        data = list(load(run))
        trainer = Trainer(
            config, data=data, device=device, arithmetic=chosen, group=team, scale=scale
        )
        done = resume(run, trainer=trainer, known=checkpoint)
        if team.leads:
            lead(run, trainer=trainer, data=data, done=done)
        else:
            follow(run, trainer=trainer, done=done)


def choose_arithmetic(
    run: backline.Run,
    config: FlowMatchingConfig,
    *,
    device: torch.device,
    team: group.Group,
    known: tuple[dict[str, Tensor], Meta] | None,
) -> Arithmetic:
    """Choose the arithmetic before anything is computed; when resuming, the checkpoint's stays."""
    clips = -(-config.batch_size // team.count)
    work = arithmetic.Work.of(config, clips=clips, learns=True)
    stored = known[1].arithmetic if known and run.spec.resume else None
    return arithmetic.settle(run, config, work=work, device=device, team=team, stored=stored)


def follow(run: backline.Run, *, trainer: Trainer, done: int) -> None:
    """Run a process that only trains."""
    with tempfile.TemporaryDirectory(prefix="backline-") as folder:
        train(run, trainer=trainer, listener=None, first=done + 1, folder=Path(folder))
    group.leave()
    trainer.group.wait_until_done(run)


def lead(run: backline.Run, *, trainer: Trainer, data: list[Recording], done: int) -> None:
    """Run the process that reports for the run, the only or first one; `done` steps are done."""
    config = trainer.config
    wanted = prompts.understand(config.prompts, genres=trainer.genres)
    print_plan(data=data, trainer=trainer, wanted=wanted)
    classifier = judge(run, data=data, frames=config.clip_frames)
    if done:
        print(f"Going on from the checkpoint of step {done:,}.")
    elif run.spec.start_from:
        print(f"Starting from the weights of step {run.spec.start_from.step:,} of another run.")
    listener = Listener(
        run=run,
        config=config,
        model=trainer.average,
        scale=trainer.scale,
        genres=trainer.genres,
        dtype=trainer.dtype,
        prompts=wanted,
        classifier=classifier,
    )
    with tempfile.TemporaryDirectory(prefix="backline-") as folder:
        train(run, trainer=trainer, listener=listener, first=done + 1, folder=Path(folder))
    group.leave()
    listener.after(step=config.steps)
    trainer.group.mark_done()
    run.progress(1.0, stage="Done")


def load(run: backline.Run) -> Iterator[Recording]:
    """Yield the dataset's recordings; report progress and check for stop requests between them."""
    items = run.spec.items
    if not items:
        raise EmptyDataset("The dataset holds no recordings to learn from.")
    for number, item in enumerate(items, start=1):
        interruption.check(run)
        run.progress(0.02 * number / len(items), stage=f"Reading {number} of {len(items)}")
        yield recordings.load(item, fetch=run.fetch)


def print_plan(*, data: list[Recording], trainer: Trainer, wanted: list[prompts.Prompt]) -> None:
    """Print the data, the model and the device, and how each prompt was understood."""
    minutes = sum(recording.seconds for recording in data) / 60
    genres = ", ".join(trainer.genres) or "none named"
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    print(f"{len(data)} recordings, {minutes:.1f} minutes; genres: {genres}.")
    print(
        f"{parameters:,} parameters, {torch.get_num_threads()} threads, "
        f"{trainer.device}, {trainer.dtype}."
    )
    for prompt in wanted:
        if prompt.genre is None:
            print(f"No genre of the dataset in the prompt “{prompt.text}”: the model is free.")


def judge(run: backline.Run, *, data: list[Recording], frames: int) -> control.Classifier | None:
    """Fit the control classifier and log its trust; return None for fewer than two genres."""
    if len({recording.genre for recording in data if recording.genre}) < 2:
        return None
    trust = control.trust(data, frames=frames)
    run.log({"classifier/held_out_accuracy": trust}, step=0)
    print(f"The control classifier names {trust:.0%} of recordings that it was not fitted on.")
    return control.fit(data, frames=frames)


def weights(run: backline.Run) -> tuple[dict[str, Tensor], Meta] | None:
    """Load what to start from: the run's own last checkpoint, else another run's, else None."""
    source = run.spec.resume or run.spec.start_from
    return checkpoints.load(run.fetch(source)) if source else None


def resume(
    run: backline.Run, *, trainer: Trainer, known: tuple[dict[str, Tensor], Meta] | None
) -> int:
    """Load those weights into the trainer; return the step of this run they are from, or 0."""
    if known is None:
        return 0
    tensors, meta = known
    if run.spec.resume is None:
        trainer.begin(tensors, meta)
        return 0
    checkpoints.demand(
        meta,
        config=trainer.config.model_dump(mode="json"),
        data=recordings.digest(run.spec.items),
    )
    trainer.restore(tensors, meta)
    return meta.step


def train(
    run: backline.Run, *, trainer: Trainer, listener: Listener | None, first: int, folder: Path
) -> None:
    """Train every step from `first` to the last; a `listener` logs samples in between."""
    config, team = trainer.config, trainer.group
    usage = Usage(recordings=trainer.examples, frames=config.clip_frames)
    data = recordings.digest(run.spec.items)

    def save(step: int) -> None:
        """Save a checkpoint. Usage is reported first: no checkpoint is ahead of the ledger."""
        run.log_usage(step=step, usage=usage.take())
        tensors, meta = trainer.checkpoint(step=step, data=data)
        path = folder / "checkpoint.safetensors"
        checkpoints.save(path, tensors=tensors, meta=meta)
        run.save_checkpoint(path, step=step, meta=meta.model_dump(mode="json"))

    def between(step: int) -> None:
        """Do what the process that reports for the run does after a step."""
        if step == config.steps or _due(step, config.checkpoint_every):
            save(step)
        elif step % REPORT_EVERY == 0:
            run.log_usage(step=step, usage=usage.take())
        if listener and step < config.steps and _due(step, config.sample_every):
            listener.during(step=step)

    busy = 0.0
    for step in range(first, config.steps + 1):
        began = time.monotonic()
        with team.peer_errors():
            points, drawn = trainer.step(step)
            points["loss"], interrupted = team.agree(
                points["loss"], interruption.interruption_asked(run)
            )
        busy += time.monotonic() - began
        usage.count(drawn)
        if (step - first + 1) % SPEED_EVERY == 0:
            points["steps_per_second"], busy = SPEED_EVERY / max(busy, 1e-9), 0.0
        run.progress(0.02 + 0.92 * step / config.steps, stage=f"Training, step {step:,}")
        # The other processes report only that the step is done.
        run.log(points if team.leads else {}, step=step)
        if math.isnan(points["loss"]):
            raise Diverged(f"The loss is not a number at step {step:,}. Try a lower learning rate.")
        if interrupted:
            if team.leads:
                save(step)
            # All end after the save: torchrun ends the remaining processes once one has ended.
            team.wait()
            raise interrupted
        if team.leads:
            between(step)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
