"""Does the default recipe learn rhythm? Periods heard in its clips, beside those of recordings.

The figure: autocorrelation of the growth of loudness at the beat (for the waltz the bar), less its
median over all lags: 0 without a period, and what the recordings themselves have as the goal. Low
bands tell of the kick. Trained twice on the same synthesised music: with the time shift of the
recipe and without.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # before torch, as workers/run.py does

import numpy as np
import torch
from torch import Tensor

from backline.wire import Arithmetic
from experiments.recipes.flow_matching import FlowMatchingConfig
from workers.data import mel, synth
from workers.data.recordings import Recording
from workers.models import euler
from workers.models.torchaudio_door import functional
from workers.training import draws, machine
from workers.training.trainer import Trainer

PIECES = {"ambient": 11, "techno": 9, "chip": 9, "waltz": 9}
SECONDS = 20.0
FRAMES_PER_SECOND = mel.RATE / mel.HOP
# Seconds after which the music comes again: one, two and four beats, or a bar of three.
PERIODS = {
    "techno": [60 / 128 * beats for beats in (1, 2, 4)],
    "chip": [60 / 147 * beats for beats in (1, 2, 4)],
    "waltz": [60 / 161 * 3],
}
LOW_BANDS = 4
CLIPS = 8


def recordings() -> list[Recording]:
    made = []
    for genre, count in PIECES.items():
        for seed in range(count):
            audio = synth.synthesise(genre=genre, seed=100 + seed, seconds=SECONDS).audio
            mono = functional.resample(torch.from_numpy(audio).mean(0), synth.RATE, mel.RATE)
            made.append(Recording(len(made), genre, mel.analyse(mono), SECONDS))
    return made


def period(logmel: Tensor, genre: str, *, low: bool = False) -> float:
    """How much of the growth of loudness comes again with the genre's periods."""
    levels = torch.exp(logmel[:, :LOW_BANDS]) if low else logmel
    growth = (levels[1:] - levels[:-1]).clamp_min(0).sum(1)
    growth = growth - growth.mean()
    power = float((growth * growth).sum()) + 1e-9
    again = [float((growth[:-lag] * growth[lag:]).sum()) / power for lag in range(1, 64)]
    # A period falls between frames: the best of the nearest three lags counts.
    places = [round(seconds * FRAMES_PER_SECOND) for seconds in PERIODS[genre]]
    return float(np.mean([max(again[lag - 2 : lag + 1]) for lag in places]) - np.median(again))


def clips(data: list[Recording], config: FlowMatchingConfig) -> dict[str, list[Tensor]]:
    device = machine.prepare(seed=config.seed)
    arithmetic = Arithmetic(precision="fp32", threads=torch.get_num_threads())
    trainer = Trainer(config, data=data, device=device, arithmetic=arithmetic)
    for step in range(1, config.steps + 1):
        trainer.step(step)
    trainer.average.eval()
    shape = (config.clip_frames, mel.BANDS)
    noise = torch.stack([draws.noise(seed=seed, shape=shape) for seed in range(CLIPS)])
    return {
        genre: list(
            trainer.scale.undo(
                euler.sample(
                    trainer.average,
                    noise=noise.to(device),
                    labels=torch.full((CLIPS,), trainer.genres.index(genre), device=device),
                    steps=config.sampling_steps,
                    shift=config.time_shift,
                    guidance=config.guidance,
                    dtype=trainer.dtype,
                ).cpu()
            )
        )
        for genre in PERIODS
    }


def main() -> None:
    data = recordings()
    frames = FlowMatchingConfig().clip_frames
    rows = {
        "recordings": {
            genre: [example.mel[100 : 100 + frames] for example in data if example.genre == genre]
            for genre in PERIODS
        },
        "the recipe": clips(data, FlowMatchingConfig()),
        "without time shift": clips(data, FlowMatchingConfig(time_shift=1.0)),
    }
    print("| Period heard | techno | its low bands | chip | waltz |")
    print("|---|--:|--:|--:|--:|")
    for title, found in rows.items():
        figures = [
            np.mean([period(mel, genre, low=low) for mel in found[genre]])
            for genre, low in (
                ("techno", False),
                ("techno", True),
                ("chip", False),
                ("waltz", False),
            )
        ]
        print(f"| {title} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")


if __name__ == "__main__":
    main()
