"""Decode audio files to their end: WAV, FLAC, MP3 and Ogg, recognised by their bytes.

A file is read in blocks, so ten minutes at 192 kHz are never in memory as a whole. A file that is
truncated, empty or has samples that are not numbers is refused with a sentence for its sender.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt
import soundfile

BLOCK_FRAMES = 65_536
FORMATS = {"WAV": "WAV", "WAVEX": "WAV", "RF64": "WAV", "FLAC": "FLAC", "MP3": "MP3", "OGG": "Ogg"}
MEDIA_TYPES = {"WAV": "audio/wav", "FLAC": "audio/flac", "MP3": "audio/mpeg", "Ogg": "audio/ogg"}
ACCEPTED = "WAV, FLAC, MP3 or Ogg"


class BadAudio(ValueError):
    """A file that is refused; `code` for machines, the text for the person at the form."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Limits:
    """What is accepted, in seconds and Hz; `noun` is what sentences call the file."""

    noun: str
    max_seconds: int
    min_rate: int
    max_rate: int


class Decoder:
    """An open file: its format, rate in Hz and channels, and its samples in blocks."""

    def __init__(self, sound: soundfile.SoundFile, limits: Limits) -> None:
        self._sound = sound
        self._limits = limits
        self.format = self._checked_format()
        self.rate, self.channels = int(sound.samplerate), int(sound.channels)
        self._check_shape()

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.format]

    @property
    def promised_seconds(self) -> float:
        """The length by its header, before anything is decoded: an estimate for MP3 and Ogg."""
        return float(self._sound.frames / self.rate)

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield (frames, channels) float32 until the end; raises BadAudio where the file is bad."""
        noun, frames = self._limits.noun, 0
        while len(block := self._sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
            if not np.isfinite(block).all():
                raise BadAudio(
                    "not_finite",
                    f"The {noun} has samples in it that are not numbers (NaN or infinity): "
                    "the program that made it diverged.",
                )
            frames += len(block)
            if frames > self._limits.max_seconds * self.rate:
                raise BadAudio("too_long", f"A {noun} may last {self._longest()} at most.")
            yield block
        if frames == 0:
            raise BadAudio("empty", f"The {noun} has a header but no audio in it.")
        # The headers of the other formats give an estimate.
        if self.format == "FLAC" and frames < self._sound.frames:
            raise BadAudio(
                "truncated",
                f"The {noun} breaks off after {frames / self.rate:.1f} s of "
                f"{self._sound.frames / self.rate:.1f} s. Send it again.",
            )

    def _checked_format(self) -> str:
        name = FORMATS.get(self._sound.format)
        if name is None:
            raise BadAudio(
                "format", f"This is a {self._sound.format} file. Send {ACCEPTED} instead."
            )
        return name

    def _check_shape(self) -> None:
        limits = self._limits
        if self.channels not in {1, 2}:
            raise BadAudio(
                "channels",
                f"The {limits.noun} has {self.channels} channels. Send a mono or stereo version.",
            )
        if not limits.min_rate <= self.rate <= limits.max_rate:
            raise BadAudio(
                "rate",
                f"The sample rate must lie between {limits.min_rate:,} and {limits.max_rate:,} Hz, "
                f"not at {self.rate:,} Hz.",
            )

    def _longest(self) -> str:
        hours, minutes = divmod(self._limits.max_seconds // 60, 60)
        return f"{hours} hours" if hours and not minutes else f"{60 * hours + minutes} minutes"


@contextmanager
def opened(file: IO[bytes], limits: Limits) -> Iterator[Decoder]:
    """Open a seekable file, which is left at its start; raises BadAudio."""
    _check_length(file, limits.noun)
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            yield Decoder(sound, limits)
    except soundfile.LibsndfileError as error:
        raise BadAudio(
            "broken",
            f"The {limits.noun} could not be decoded: it is broken, or not audio. "
            f"Send {ACCEPTED}, exported afresh.",
        ) from error
    finally:
        file.seek(0)


def decode(file: IO[bytes], limits: Limits) -> tuple[npt.NDArray[np.float32], int, str]:
    """Return all samples (channels, frames), rate in Hz and media type; raises BadAudio."""
    with opened(file, limits) as decoder:
        frames = np.concatenate(list(decoder.blocks()))
        return np.ascontiguousarray(frames.T), decoder.rate, decoder.media_type


def _check_length(file: IO[bytes], noun: str) -> None:
    """Refuse a WAV whose header promises more bytes than arrived: the decoder would cut it off
    silently."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    if len(head) == 12 and head[:4] == b"RIFF" and head[8:] == b"WAVE":
        promised = struct.unpack("<I", head[4:8])[0] + 8
        # 0xFFFFFFFF is how programs that stream say "until the end".
        if size + 1 < promised < 0xFFFF_FFFF:
            raise BadAudio(
                "truncated",
                f"The {noun} breaks off: its header promises {promised:,} bytes and {size:,} came. "
                "Send it again.",
            )
