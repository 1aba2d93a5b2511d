"""The shortest run that goes through every stage: a loss curve and one clip, from no recordings."""

import time

import numpy as np
import numpy.typing as npt

import backline
from experiments.recipes.tone_check import ToneCheckConfig
from workers.training import interruption

RATE = 44_100
# Of a mean square: less is rounding.
QUIETEST = 1e-20
# How often the wave is drawn in a run, and of what size, in pixels.
PICTURES = 6
HEIGHT, WIDTH = 96, 256


def main(run: backline.Run, config: ToneCheckConfig) -> None:
    """Fit the amplitude and phase of a sine to the asked tone by gradient descent, and play it."""
    angle = 2 * np.pi * config.frequency * np.arange(4_096) / RATE
    basis = np.stack([np.sin(angle), np.cos(angle)])
    target = 0.5 * basis[0]
    draws = np.random.default_rng(config.seed)
    weights = draws.normal(size=2)
    every = max(1, config.steps // PICTURES)
    for step in range(1, config.steps + 1):
        interruption.check(run)
        clean = weights[0] * basis[0] + weights[1] * basis[1] - target
        error = clean - config.noise * draws.normal(size=clean.size) if config.noise else clean
        gradient = 2 * (basis * error).mean(axis=1)
        weights = weights - config.learning_rate * gradient
        # Of the tone with its noise, which is what is learned from, and of the tone itself.
        left = float((clean**2).mean())
        level = 10 * np.log10(max(left, QUIETEST) / float((target**2).mean()))
        values: dict[str, float | backline.Media] = {
            "loss": float((error**2).mean()), "eval/loss": left, "eval/error_db": float(level),
        }  # fmt: skip
        if step % every == 0:
            values["eval/wave"] = backline.Image(drawn(clean + target, target), "Fit and tone")
            values["eval/left"] = backline.Histogram(error)
        run.log(values, step=step)
        run.progress(0.95 * step / config.steps, stage=f"Fitting, step {step:,}")
        time.sleep(config.step_seconds)
    angle = 2 * np.pi * config.frequency * np.arange(round(config.seconds * RATE)) / RATE
    fade = np.clip(np.minimum(angle, angle[::-1]) / (2 * np.pi * config.frequency * 0.02), 0, 1)
    # The peak stays within full scale, however far from the tone the fit ended.
    level = weights / max(1.0, float(np.abs(weights).sum()))
    wave = (level[0] * np.sin(angle) + level[1] * np.cos(angle)) * fade
    run.log_audio(
        "final/tone",
        wave[None].astype(np.float32),
        sample_rate=RATE,
        step=config.steps,
        prompt=f"a tone of {config.frequency:g} Hz",
        seed=config.seed,
        final=True,
    )
    run.progress(1.0, stage="Done")


def drawn(fit: npt.NDArray[np.float64], tone: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return a picture (height, width, 3) of the first samples: the tone grey, the fit above it."""
    picture = np.full((HEIGHT, WIDTH, 3), 24, np.uint8)
    columns = np.arange(WIDTH)
    for wave, colour in ((tone, (140, 140, 140)), (fit, (99, 202, 191))):
        # Full scale fills the height; a fit that diverges stays at its edges.
        rows = np.clip(np.nan_to_num((1 - wave[:WIDTH]) / 2), 0, 1) * (HEIGHT - 2)
        for thick in (0, 1):
            picture[rows.astype(int) + thick, columns] = colour
    return picture
