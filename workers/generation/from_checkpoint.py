"""Generates clips with a trained model, without training: `main` reads top to bottom."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

import backline
from backline.wire import DatasetItem
from experiments.recipes.flow_matching import FlowMatchingConfig
from experiments.recipes.generate import GenerateConfig
from workers.data import mel, prompts, recordings
from workers.data.prompts import Prompt
from workers.models import euler
from workers.models.dit import DiT
from workers.training import arithmetic, checkpoints, draws, interruption, machine
from workers.training.checkpoints import Meta
from workers.training.trainer import network


class NoModel(ValueError):
    """There is nothing to generate with."""


class Reference(NamedTuple):
    """A recording to start from: its number, the seconds that are used, its scaled log-mel."""

    number: int
    seconds: float
    clean: Tensor


@dataclass(frozen=True)
class Model:
    """Averaged weights of a checkpoint with all that is needed to generate audio."""

    net: DiT
    meta: Meta
    trained: FlowMatchingConfig
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def load(cls, run: backline.Run, config: GenerateConfig, device: torch.device) -> "Model":
        """Load the weights that the run starts from and choose the arithmetic.

        Raises NoModel, checkpoints.Mismatch.
        """
        source = run.spec.start_from
        if source is None:
            raise NoModel("There is no model to generate with: choose a checkpoint.")
        tensors, meta = checkpoints.load(run.fetch(source))
        trained = FlowMatchingConfig.model_validate(meta.config)
        net = network(trained, classes=len(meta.genres)).to(device)
        checkpoints.restore_module("average", net, tensors)
        # With and without the genre, for every prompt: the clips of one pass.
        work = arithmetic.Work.of(trained, clips=2 * len(config.prompts), learns=False)
        chosen = arithmetic.settle(run, config, work=work, device=device)
        return cls(net.eval(), meta, trained, device, arithmetic.DTYPES[chosen.precision])

    def label(self, genre: str | None) -> int:
        return len(self.meta.genres) if genre is None else self.meta.genres.index(genre)


def main(run: backline.Run, config: GenerateConfig) -> None:
    """Generate every prompt with every seed, from noise or from each reference recording.

    The use of references is reported before their clips, so that no clip is stored without it.
    Raises `Interrupted` when asked to end; a later attempt makes the same clips again.
    """
    device = machine.prepare(seed=config.seed, asked_threads=config.threads)
    model = Model.load(run, config, device)
    wanted = prompts.understand(config.prompts, genres=model.meta.genres)
    references = [load(run, item, model=model) for item in run.spec.items]
    print_plan(model, wanted=wanted, references=references)
    starts: list[Reference | None] = [*references] or [None]
    rounds = [(number, prompt) for number in range(config.clips) for prompt in starts]
    for done, (number, reference) in enumerate(rounds):
        interruption.check(run)
        run.progress(0.05 + 0.9 * done / len(rounds), stage=f"Round {done + 1} of {len(rounds)}")
        if reference is not None:
            used = len(wanted), len(wanted) * reference.seconds
            run.log_usage(step=number, usage={reference.number: used})
        clips = generate(model, config, wanted=wanted, seed=config.seed + number, of=reference)
        for prompt, clip in zip(wanted, clips, strict=True):
            log(run, prompt, clip, step=model.meta.step, seed=config.seed + number, of=reference)
    run.progress(1.0, stage="Done")


def load(run: backline.Run, item: DatasetItem, *, model: Model) -> Reference:
    """Load the first seconds of a recording, as long as the model's clips are."""
    interruption.check(run)
    recording = recordings.load(item, fetch=run.fetch)
    frames = model.trained.clip_frames
    scaled = recording.__class__(
        recording.number, recording.genre, model.meta.scale.apply(recording.mel), recording.seconds
    )
    seconds = recordings.used_seconds(recording, frames=frames)
    return Reference(recording.number, seconds, recordings.crop(scaled, frames=frames, place=0.0))


def print_plan(model: Model, *, wanted: list[Prompt], references: list[Reference]) -> None:
    """Print what the clips are generated from, and how each prompt was understood."""
    genres = ", ".join(model.meta.genres) or "none named"
    print(f"Weights of step {model.meta.step:,}; genres that they know: {genres}.")
    if references:
        print(f"{len(references)} recordings as reference audio.")
    for prompt in wanted:
        if prompt.genre is None:
            print(f"No genre of the model in the prompt “{prompt.text}”: the model is free.")


def generate(
    model: Model, config: GenerateConfig, *, wanted: list[Prompt], seed: int, of: Reference | None
) -> Tensor:
    """Generate one clip per prompt, all from the same noise: (clips, samples) at 16 kHz.

    With a reference the path starts at `strength` between its music (0) and the noise (1).
    """
    start = draws.noise(seed=seed, shape=(model.trained.clip_frames, mel.BANDS))
    begin = 1.0
    if of is not None:
        begin = config.strength
        start = (1 - begin) * of.clean + begin * start
    logmels = euler.sample(
        model.net,
        noise=start[None].repeat(len(wanted), 1, 1).to(model.device),
        labels=torch.tensor([model.label(prompt.genre) for prompt in wanted], device=model.device),
        steps=config.sampling_steps,
        shift=model.trained.time_shift,
        guidance=config.guidance,
        dtype=model.dtype,
        begin=begin,
    )
    unscaled = model.meta.scale.undo(logmels.cpu())
    return mel.resound(unscaled, rounds=config.griffin_lim_rounds, seed=seed)


def log(
    run: backline.Run, prompt: Prompt, clip: Tensor, *, step: int, seed: int, of: Reference | None
) -> None:
    """Log one clip. The step is that of the weights; the name has the reference and the seed."""
    place = f"{prompt.slug}/reference-{of.number}" if of else prompt.slug
    run.log_audio(
        f"generated/{place}/{seed}",
        clip[None].numpy(),
        sample_rate=mel.RATE,
        step=step,
        prompt=prompt.text,
        seed=seed,
        final=True,
        references=[of.number] if of else [],
    )
