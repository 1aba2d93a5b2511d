"""A small classifier of our own: does a clip sound like what was asked for?

A falling loss does not show whether a model follows its prompt: models with a good loss have
ignored it. So this metric is shown beside the loss.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from workers.data import mel
from workers.data.recordings import Recording, crop


@dataclass(frozen=True)
class Classifier:
    """Linear in statistics of a clip's log-mel: weights (features + 1, genres)."""

    genres: list[str]
    centre: Tensor
    spread: Tensor
    weights: Tensor

    def name(self, logmels: Tensor) -> list[str]:
        """Return the genre of each clip, from log-mels (batch, frames, bands)."""
        scores = _with_one((features(logmels) - self.centre) / self.spread) @ self.weights
        return [self.genres[int(index)] for index in scores.argmax(dim=1)]


def features(logmels: Tensor) -> Tensor:
    """Per band: mean, deviation and how much it changes from frame to frame: (batch, 192)."""
    clips = logmels.double()
    change = clips.diff(dim=1).abs().mean(dim=1)
    return torch.cat([clips.mean(dim=1), clips.std(dim=1), change], dim=1)


def fit(recordings: list[Recording], *, frames: int, crops: int = 6) -> Classifier:
    """Fit a ridge regression onto one-hot genres from evenly spaced crops of tagged recordings."""
    tagged = [recording for recording in recordings if recording.genre]
    genres = sorted({recording.genre for recording in tagged})
    clips = [
        crop(recording, frames=frames, place=number / crops)
        for recording in tagged
        for number in range(crops)
    ]
    labels = [genres.index(recording.genre) for recording in tagged for _ in range(crops)]
    raw = features(torch.stack(clips))
    centre, spread = raw.mean(dim=0), raw.std(dim=0).clamp_min(1e-3)
    inputs = _with_one((raw - centre) / spread)
    targets = torch.nn.functional.one_hot(torch.tensor(labels), len(genres)).double()
    ridge = 3.0 * torch.eye(inputs.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets)
    return Classifier(genres=genres, centre=centre, spread=spread, weights=weights)


def trust(recordings: list[Recording], *, frames: int) -> float:
    """Return the held-out accuracy: fitted on half of the recordings, tested on the others.

    NaN where a genre has no recording in one of the halves.
    """
    tagged = sorted((r for r in recordings if r.genre), key=lambda r: (r.genre, r.number))
    training, held_out = tagged[::2], tagged[1::2]
    if {r.genre for r in training} != {r.genre for r in held_out}:
        return float("nan")
    classifier = fit(training, frames=frames)
    predicted = classifier.name(torch.stack([crop(r, frames=frames, place=0.5) for r in held_out]))
    return sum(n == r.genre for n, r in zip(predicted, held_out, strict=True)) / len(held_out)


def accuracy(classifier: Classifier, *, audio: Tensor, asked: list[str]) -> float:
    """Return the share of decoded clips, (batch, samples) at 16 kHz, that are named as asked."""
    predicted = classifier.name(mel.analyse(audio))
    return sum(n == a for n, a in zip(predicted, asked, strict=True)) / len(asked)


def _with_one(inputs: Tensor) -> Tensor:
    return torch.cat([inputs, inputs.new_ones(len(inputs), 1)], dim=1)
