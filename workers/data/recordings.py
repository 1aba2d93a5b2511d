"""The recordings of a dataset, in the form a model learns from."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audio import decoding
from backline.wire import DatasetItem
from workers.data import mel
from workers.models.torchaudio_door import functional


class Unreadable(ValueError):
    """A recording cannot be used; the message names it."""


@dataclass(frozen=True)
class Recording:
    """One recording: its number in the portal, its genre ("" if untagged), its log-mel (T, 64)."""

    number: int
    genre: str
    mel: Tensor
    seconds: float


def load(item: DatasetItem, *, fetch: Callable[[DatasetItem], Path]) -> Recording:
    """Fetch, decode, mix to mono, resample to 16 kHz, analyse. Raises `Unreadable`."""
    try:
        with fetch(item).open("rb") as file:
            data, rate, _ = decoding.decode(file, decoding.RECORDING)
    except (decoding.BadAudio, OSError) as error:
        raise Unreadable(f"The recording “{item.title}” cannot be decoded: {error}") from error
    if data.shape[1] < mel.WINDOW:
        raise Unreadable(f"The recording “{item.title}” is too short or not sound.")
    audio = torch.from_numpy(data).mean(dim=0)
    if rate != mel.RATE:
        audio = functional.resample(audio, rate, mel.RATE)
    genre = str(item.tags.get("genre", "")).strip().casefold()
    return Recording(
        number=item.recording, genre=genre, mel=mel.analyse(audio), seconds=data.shape[1] / rate
    )


def digest(items: list[DatasetItem]) -> str:
    """Return what identifies the data: SHA-256 over the sorted numbers and audio digests."""
    lines = sorted(f"{item.recording} {item.sha256}" for item in items)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def crop(recording: Recording, *, frames: int, place: float) -> Tensor:
    """Return `frames` frames; `place` in [0, 1) selects the start among those possible.

    A recording that is too short is repeated from its start.
    """
    length = recording.mel.shape[0]
    if length < frames:
        return recording.mel.repeat(-(-frames // length), 1)[:frames]
    start = int(place * (length - frames + 1))
    return recording.mel[start : start + frames]


def used_seconds(recording: Recording, *, frames: int) -> float:
    """Return the seconds of a crop without repetition, for the usage ledger."""
    return min(frames * mel.HOP / mel.RATE, recording.seconds)
