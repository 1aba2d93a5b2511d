"""Audio files that come in: decoded to the end and checked before a byte of them is stored.

The file is read in blocks, so ten minutes at 192 kHz never lie in memory as a whole. The
format is what the bytes are, not what the name says. Files are stored as delivered.
"""

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import IO

import numpy as np
import numpy.typing as npt

from audio import decoding, prints, sound_digest
from audio.decoding import BadAudio
from audio.loudness import Meter
from portal.database import long_work

LIMITS = decoding.RECORDING
# Below this peak (-80 dBFS) a file is silent.
SILENCE_PEAK = 1e-4
# A mean above this share of full scale is an offset and not the sound.
MAX_OFFSET = 0.01
EXTENSIONS = {
    "wav": "WAV",
    "wave": "WAV",
    "bwf": "WAV",
    "aif": "AIFF",
    "aiff": "AIFF",
    "aifc": "AIFF",
    "flac": "FLAC",
    "mp3": "MP3",
    "ogg": "Ogg",
    "oga": "Ogg",
    "opus": "Ogg",
}


@dataclass(frozen=True)
class Audio:
    """The measures of a checked file: seconds, Hz, LUFS."""

    sha256: str
    size: int
    format: str
    media_type: str
    duration: float
    sample_rate: int
    channels: int
    lufs: float | None
    # The digest of the samples (audio/sound_digest.py), and the landmarks.
    sound: str
    print: prints.Print
    warnings: list[str] = field(default_factory=list)


def examine(file: IO[bytes], *, filename: str) -> Audio:
    """Decode all of `file` (seekable; left at its start) and measure it; raises BadAudio."""
    long_work.forbid_in_transaction("A recording is decoded")
    if file.seek(0, os.SEEK_END) == 0:
        raise BadAudio("empty", "The file is empty: it has no bytes in it.")
    with decoding.opened(file, LIMITS) as decoder:
        measured = _Measures(decoder.rate, decoder.channels)
        # The print takes the blocks one by one; all else is measured as they pass.
        landmarks = prints.of_blocks(measured.passed_on(decoder.blocks()), rate=decoder.rate)
    if measured.peak < SILENCE_PEAK:
        raise BadAudio("silent", "The file is silent from start to end, so there is nothing in it.")
    sha256, size = _digest(file)
    audio = Audio(
        sha256=sha256,
        size=size,
        format=decoder.format,
        media_type=decoder.media_type,
        duration=measured.frames / decoder.rate,
        sample_rate=decoder.rate,
        channels=decoder.channels,
        lufs=measured.meter.integrated(),
        sound=measured.digest.hexdigest(),
        print=landmarks,
    )
    audio.warnings.extend([*decoder.warnings, *_warnings(audio, filename, measured)])
    return audio


def _digest(file: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(1024 * 1024):
        digest.update(chunk)
        size += len(chunk)
    file.seek(0)
    return digest.hexdigest(), size


class _Measures:
    """What is measured of a file's blocks while they are read."""

    def __init__(self, rate: int, channels: int) -> None:
        self.meter = Meter(rate=rate, channels=channels)
        self.digest = sound_digest.Digest(rate=rate, channels=channels)
        self.frames, self.peak = 0, 0.0
        self._sum = np.zeros(channels)

    @property
    def offset(self) -> float:
        """The largest mean of a channel, without its sign."""
        return float(np.abs(self._sum / max(1, self.frames)).max())

    def passed_on(
        self, blocks: Iterator[npt.NDArray[np.float32]]
    ) -> Iterator[npt.NDArray[np.float32]]:
        for block in blocks:
            self.frames += len(block)
            self.peak = max(self.peak, float(np.abs(block).max()))
            self._sum += block.sum(axis=0, dtype=np.float64)
            self.meter.add(block.T)
            self.digest.add(block)
            yield block


def _warnings(audio: Audio, filename: str, measured: "_Measures") -> list[str]:
    warnings = []
    extension = PurePath(filename).suffix.lower().lstrip(".")
    if EXTENSIONS.get(extension) != audio.format:
        ending = f"ends in .{extension}" if extension else "has no ending"
        warnings.append(
            f"The name {ending}, but the file is {audio.format}; taken as {audio.format}."
        )
    if audio.channels == 1:
        warnings.append("Mono: training in stereo will hear the same on both sides.")
    if audio.sample_rate < 32_000:
        warnings.append(
            f"Sample rate of {audio.sample_rate:,} Hz: nothing above "
            f"{audio.sample_rate // 2:,} Hz is in this file."
        )
    if audio.lufs is None:
        warnings.append("Too short or too quiet for a loudness measurement.")
    if measured.frames < audio.sample_rate // 100:
        count = f"{measured.frames:,} sample{'' if measured.frames == 1 else 's'}"
        warnings.append(f"It is {count} long: nothing can be heard in that.")
    if measured.peak > 1:
        over = 20 * math.log10(measured.peak)
        warnings.append(f"Its peaks are {over:.1f} dB above full scale: players clip them.")
    if measured.offset > MAX_OFFSET:
        warnings.append(
            f"It has a constant offset (DC) of {measured.offset:.1%} of full scale, which takes "
            "headroom and clicks at its edges."
        )
    return warnings
