"""Samples of a model in training, for people to hear and for the control classifier."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import backline
from experiments.recipes.flow_matching import FlowMatchingConfig
from workers.data import mel
from workers.data.prompts import Prompt
from workers.evaluation import control
from workers.models import euler
from workers.models.dit import DiT
from workers.training import draws, interruption

CONTROL_CLIPS = 16
# Seeds of the control clips begin here, away from those of the samples.
CONTROL_SEEDS = 1_000_003


@dataclass(frozen=True)
class Listener:
    """Generates with the averaged weights, logs the clips, measures control."""

    run: backline.Run
    config: FlowMatchingConfig
    model: DiT
    scale: mel.Scale
    genres: list[str]
    dtype: torch.dtype
    prompts: list[Prompt]
    classifier: control.Classifier | None

    def during(self, *, step: int) -> None:
        """Log a clip of every prompt, all with the run's seed."""
        self.run.progress(
            0.02 + 0.92 * step / self.config.steps, stage=f"Sampling at step {step:,}"
        )
        audio = self.generate([prompt.genre for prompt in self.prompts], seed=self.config.seed)
        for prompt, clip in zip(self.prompts, audio, strict=True):
            self.log(prompt, clip, name=f"training/{prompt.slug}", seed=self.config.seed, step=step)
        self.measure(audio=list(audio), asked=[prompt.genre for prompt in self.prompts], step=step)

    def after(self, *, step: int) -> None:
        """Log every prompt with every seed, then measure control. Bit-identical each time."""
        for number in range(self.config.final_seeds):
            interruption.check(self.run)
            self.run.progress(
                0.95 + 0.03 * number / self.config.final_seeds, stage="Generating the final clips"
            )
            seed = self.config.seed + number
            audio = self.generate([prompt.genre for prompt in self.prompts], seed=seed)
            for prompt, clip in zip(self.prompts, audio, strict=True):
                name = f"final/{prompt.slug}/{number + 1}"
                self.log(prompt, clip, name=name, seed=seed, step=step, final=True)
        if self.classifier is None:
            print("Control is not measured: the dataset names fewer than two genres.")
            return
        self.run.progress(0.98, stage="Measuring control")
        clips: list[Tensor] = []
        asked: list[str | None] = []
        rounds = math.ceil(CONTROL_CLIPS / len(self.genres))
        for number in range(rounds):
            interruption.check(self.run)
            clips += self.generate(
                list(self.genres), seed=CONTROL_SEEDS + self.config.seed + number
            )
            asked += self.genres
        self.measure(audio=clips[:CONTROL_CLIPS], asked=asked[:CONTROL_CLIPS], step=step)

    def generate(self, genres: list[str | None] | list[str], *, seed: int) -> Tensor:
        """One clip per genre (None: free), all from the same noise: (clips, samples) at 16 kHz."""
        shape = (self.config.clip_frames, mel.BANDS)
        device = self.model.position.device
        labels = [len(self.genres) if g is None else self.genres.index(g) for g in genres]
        start = draws.noise(seed=seed, shape=shape)[None].repeat(len(labels), 1, 1)
        self.model.eval()
        logmels = euler.sample(
            self.model,
            noise=start.to(device),
            labels=torch.tensor(labels, device=device),
            steps=self.config.sampling_steps,
            shift=self.config.time_shift,
            guidance=self.config.guidance,
            dtype=self.dtype,
        )
        return mel.resound(
            self.scale.undo(logmels.cpu()), rounds=self.config.griffin_lim_rounds, seed=seed
        )

    def log(
        self, prompt: Prompt, clip: Tensor, *, name: str, seed: int, step: int, final: bool = False
    ) -> None:
        self.run.log_audio(
            name,
            clip[None].numpy(),
            sample_rate=mel.RATE,
            step=step,
            prompt=prompt.text,
            seed=seed,
            final=final,
        )

    def measure(self, *, audio: list[Tensor], asked: list[str | None], step: int) -> None:
        """Log the share of clips with a known genre that are named as asked."""
        labelled = [(clip, genre) for clip, genre in zip(audio, asked, strict=True) if genre]
        if self.classifier is None or not labelled:
            return
        share = control.accuracy(
            self.classifier,
            audio=torch.stack([clip for clip, _ in labelled]),
            asked=[genre for _, genre in labelled],
        )
        self.run.log({"control/genre_accuracy": share}, step=step)
        correct = round(share * len(labelled))
        print(
            f"Step {step:,}: {correct} of {len(labelled)} clips are heard as the genre asked for."
        )
