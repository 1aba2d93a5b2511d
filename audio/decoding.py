"""Decode audio files to their end: WAV, AIFF, FLAC, MP3 and Ogg, recognised by their bytes.

A file is read in blocks, so ten minutes at 192 kHz are never in memory as a whole. A file that is
truncated, empty or has samples that are not numbers is refused with a sentence for its sender.

libsndfile reads what says its own length. It believes that length, so what says nothing, or less
than is there, is read by FFmpeg (PyAV), which goes on to the last byte.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, Protocol

import av
import numpy as np
import numpy.typing as npt
import soundfile

from audio import containers

Block = npt.NDArray[np.float32]

BLOCK_FRAMES = 65_536
FORMATS = {
    "WAV": "WAV", "WAVEX": "WAV", "RF64": "WAV", "AIFF": "AIFF", "FLAC": "FLAC", "MP3": "MP3",
    "OGG": "Ogg",
}  # fmt: skip
MEDIA_TYPES = {
    "WAV": "audio/wav", "AIFF": "audio/aiff", "FLAC": "audio/flac", "MP3": "audio/mpeg",
    "Ogg": "audio/ogg",
}  # fmt: skip
ACCEPTED = "WAV, AIFF, FLAC, MP3 or Ogg"
# What FFmpeg may take a file for: one demuxer, and few decoders.
DEMUXERS = {"WAV": "wav", "AIFF": "aiff", "FLAC": "flac", "MP3": "mp3", "Ogg": "ogg"}
CODECS = {"mp3", "mp3float", "flac", "vorbis", "opus"}
# libsndfile leaves out what an encoder has put before and after the sound of an MP3: up to four
# frames. If it finds less than that, its header was wrong.
TOLERANCE = 4 * 1152


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


# What the portal takes as a recording, and all of which is learned from.
RECORDING = Limits("file", max_seconds=2 * 60 * 60, min_rate=4_000, max_rate=384_000)


class Source(Protocol):
    """A decoder of one file. `frames` are those that its header promises, None if it does not."""

    format: str
    rate: int
    channels: int
    frames: int | None

    def blocks(self) -> Iterator[Block]: ...


class SndfileSource:
    """libsndfile."""

    def __init__(self, sound: soundfile.SoundFile) -> None:
        self._sound = sound
        self.format = FORMATS.get(sound.format, sound.format)
        self.rate, self.channels = int(sound.samplerate), int(sound.channels)
        self.frames: int | None = int(sound.frames)

    def blocks(self) -> Iterator[Block]:
        while len(block := self._sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
            yield block


class AvSource:
    """FFmpeg, by PyAV."""

    def __init__(self, container: Any, format_name: str) -> None:
        self._container = container
        self.format = format_name
        self._stream = container.streams.audio[0]
        codec = self._stream.codec_context
        if codec.name not in CODECS and not codec.name.startswith("pcm_"):
            raise av.error.InvalidDataError(0, f"{codec.name} is not decoded here")
        self.rate, self.channels = int(codec.rate), int(codec.channels)
        self.frames: int | None = None

    def blocks(self) -> Iterator[Block]:
        layout = self._stream.codec_context.layout
        resampler = av.AudioResampler(format="flt", layout=layout, rate=self.rate)
        waiting: list[Block] = []
        for frame in self._frames():
            if frame.rate != self.rate:
                raise BadAudio(
                    "rate",
                    f"The sample rate changes from {self.rate:,} to {frame.rate:,} Hz in it.",
                )
            waiting += [self._samples(out) for out in resampler.resample(frame)]
            if sum(map(len, waiting)) >= BLOCK_FRAMES:
                yield np.concatenate(waiting)
                waiting.clear()
        waiting += [self._samples(out) for out in resampler.resample(None)]
        if waiting:
            yield np.concatenate(waiting)

    def _frames(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            # Tags between two MP3s are no sound. What else cannot be decoded is missed at the end.
            with suppress(av.error.InvalidDataError):
                yield from packet.decode()

    def _samples(self, frame: Any) -> Block:
        samples: Block = frame.to_ndarray().reshape(-1, self.channels)
        return samples


@dataclass
class Decoder:
    """An open file: its format, rate in Hz and channels, and its samples in blocks."""

    source: Source
    limits: Limits
    walked: containers.Container | None = None

    def __post_init__(self) -> None:
        self.format, self.rate = self.source.format, self.source.rate
        self.channels = self.source.channels
        if self.format not in MEDIA_TYPES:
            raise BadAudio("format", f"This is a {self.format} file. Send {ACCEPTED} instead.")
        self._check_shape()

    @property
    def warnings(self) -> list[str]:
        return self.walked.warnings if self.walked else []

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.format]

    @property
    def promised_seconds(self) -> float:
        """The length by its header, before anything is decoded: an estimate for MP3 and Ogg, and 0
        where it says nothing."""
        return (self.source.frames or 0) / self.rate

    def blocks(self) -> Iterator[Block]:
        """Yield (frames, channels) float32 until the end; raises BadAudio where the file is bad."""
        noun, frames = self.limits.noun, 0
        for block in self._read():
            if not np.isfinite(block).all():
                raise BadAudio(
                    "not_finite",
                    f"The {noun} has samples in it that are not numbers (NaN or infinity): "
                    "the program that made it diverged.",
                )
            frames += len(block)
            if frames > self.limits.max_seconds * self.rate:
                raise BadAudio("too_long", f"A {noun} may last {self._longest()} at most.")
            yield block
        if frames == 0:
            raise BadAudio("empty", f"The {noun} has a header but no audio in it.")
        if frames < (promised := self._promised()):
            raise _truncated(noun, frames / self.rate, promised / self.rate)

    def _read(self) -> Iterator[Block]:
        frames = 0
        try:
            for block in self.source.blocks():
                frames += len(block)
                yield block
        except soundfile.LibsndfileError as error:
            if not 0 < frames < (promised := self._promised()):
                raise
            raise _truncated(self.limits.noun, frames / self.rate, promised / self.rate) from error

    def _promised(self) -> int:
        """Return how many frames there have to be at least."""
        if self.walked and self.walked.frames:
            return self.walked.frames - TOLERANCE
        # The headers of the other formats give an estimate.
        return (self.source.frames or 0) if self.format in {"FLAC", "WAV", "AIFF"} else 0

    def _check_shape(self) -> None:
        limits = self.limits
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
        hours, minutes = divmod(self.limits.max_seconds // 60, 60)
        return f"{hours} hours" if hours and not minutes else f"{60 * hours + minutes} minutes"


@contextmanager
def opened(file: IO[bytes], limits: Limits) -> Iterator[Decoder]:
    """Open a seekable file, which is left at its start; raises BadAudio."""
    try:
        container = containers.examine(file)
        file.seek(0)
        with _source(file, container) as source:
            yield Decoder(source, limits, container)
    except containers.Truncated as error:
        raise _truncated(limits.noun, error.got, error.promised) from error
    except (soundfile.LibsndfileError, av.error.FFmpegError) as error:
        raise BadAudio(
            "broken",
            f"The {limits.noun} could not be decoded: it is broken, or not audio. "
            f"Send {ACCEPTED}, exported afresh.",
        ) from error
    finally:
        file.seek(0)


@contextmanager
def _source(file: IO[bytes], container: containers.Container | None) -> Iterator[Source]:
    """Open the decoder that reads all of the file."""
    if container is None or not container.unsaid:
        with soundfile.SoundFile(file) as sound:
            found = container.frames if container and container.frames else 0
            if int(sound.frames) >= found - TOLERANCE:
                yield SndfileSource(sound)
                return
        file.seek(0)
    assert container is not None  # noqa: S101 - only what was walked says less than it has.
    with av.open(
        file, mode="r", format=DEMUXERS[container.format], metadata_errors="ignore"
    ) as opened_file:
        if not opened_file.streams.audio:
            raise av.error.InvalidDataError(0, "no audio in it")
        yield AvSource(opened_file, container.format)


def decode(file: IO[bytes], limits: Limits) -> tuple[Block, int, str]:
    """Return all samples (channels, frames), rate in Hz and media type; raises BadAudio."""
    with opened(file, limits) as decoder:
        frames = np.concatenate(list(decoder.blocks()))
        return np.ascontiguousarray(frames.T), decoder.rate, decoder.media_type


def _truncated(noun: str, got: float, promised: float | None) -> BadAudio:
    of = f" of {promised:.1f} s" if promised is not None else ": its end is missing"
    return BadAudio("truncated", f"The {noun} breaks off after {got:.1f} s{of}. Send it again.")
