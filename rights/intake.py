"""What comes in as audio: decoded to the end and checked before a byte of it is kept.

The file is read in blocks, so ten minutes at 192 kHz never lie in memory as a whole. The
format is what the bytes are, not what the name says. Files are kept as delivered.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import IO

import numpy as np
import soundfile

from audio import decoded, prints
from portal import long_work
from portal.loudness import Meter

BLOCK_FRAMES = 65_536
MAX_SECONDS = 2 * 60 * 60
MIN_RATE, MAX_RATE = 4_000, 384_000
# Below this peak (-80 dBFS) there is nothing to hear.
SILENCE_PEAK = 1e-4

FORMATS = {"WAV": "WAV", "WAVEX": "WAV", "RF64": "WAV", "FLAC": "FLAC", "MP3": "MP3", "OGG": "Ogg"}
EXTENSIONS = {
    "wav": "WAV",
    "wave": "WAV",
    "flac": "FLAC",
    "mp3": "MP3",
    "ogg": "Ogg",
    "oga": "Ogg",
    "opus": "Ogg",
}
MEDIA_TYPES = {"WAV": "audio/wav", "FLAC": "audio/flac", "MP3": "audio/mpeg", "Ogg": "audio/ogg"}


class BadAudio(ValueError):
    """A file that cannot be taken in; `code` for machines, the text for the person at the form."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Audio:
    """What a checked file measures: seconds, Hz, LUFS."""

    sha256: str
    size: int
    format: str
    media_type: str
    duration: float
    sample_rate: int
    channels: int
    lufs: float | None
    # What is heard: the digest of the samples (audio/decoded.py), and the landmarks.
    sound: str
    print: prints.Print
    warnings: list[str] = field(default_factory=list)


def examine(file: IO[bytes], *, filename: str) -> Audio:
    """Decode all of `file` (seekable; left at its start) and measure it; raises BadAudio."""
    long_work.outside("A recording is decoded")
    sha256, size = _digest(file)
    if size == 0:
        raise BadAudio("empty", "The file is empty: it has no bytes in it.")
    _check_riff_length(file, size)
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            audio = _decode(sound, sha256=sha256, size=size)
    except soundfile.LibsndfileError as error:
        raise BadAudio(
            "broken",
            "The file could not be decoded: it is broken, or not audio. "
            "Send WAV, FLAC, MP3 or Ogg, exported afresh.",
        ) from error
    finally:
        file.seek(0)
    audio.warnings.extend(_warnings(audio, filename))
    return audio


def _digest(file: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(1024 * 1024):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _check_riff_length(file: IO[bytes], size: int) -> None:
    """A WAV whose header promises more bytes than came; the decoder would cut it off silently."""
    file.seek(0)
    head = file.read(12)
    if len(head) == 12 and head[:4] == b"RIFF" and head[8:] == b"WAVE":
        promised = struct.unpack("<I", head[4:8])[0] + 8
        # 0xFFFFFFFF is how programs that stream say "until the end".
        if promised > size + 1 and promised < 0xFFFF_FFFF:
            raise BadAudio(
                "truncated",
                f"The file breaks off: its header promises {promised:,} bytes and {size:,} came. "
                "Upload it again.",
            )


def _decode(sound: soundfile.SoundFile, *, sha256: str, size: int) -> Audio:
    name = FORMATS.get(sound.format)
    if name is None:
        raise BadAudio(
            "format", f"This is a {sound.format} file. Send WAV, FLAC, MP3 or Ogg instead."
        )
    rate, channels = sound.samplerate, sound.channels
    if channels not in {1, 2}:
        raise BadAudio(
            "channels", f"The file has {channels} channels. Send a mono or stereo version."
        )
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BadAudio(
            "rate", f"A sample rate of {rate:,} Hz is not usable; send 44,100 Hz or 48,000 Hz."
        )
    heard = _Heard(rate, channels)
    # The print takes the blocks one by one, and all else is measured on their way to it.
    landmarks = prints.of_blocks(heard.blocks(sound), rate=rate)
    frames = heard.frames
    if frames == 0:
        raise BadAudio("empty", "The file has a header but no audio in it.")
    if name == "FLAC" and frames < sound.frames:
        raise BadAudio(
            "truncated",
            f"The file breaks off after {frames / rate:.1f} s of {sound.frames / rate:.1f} s. "
            "Upload it again.",
        )
    if heard.peak < SILENCE_PEAK:
        raise BadAudio("silent", "The file is silent from start to end, so there is nothing in it.")
    return Audio(
        sha256=sha256,
        size=size,
        format=name,
        media_type=MEDIA_TYPES[name],
        duration=frames / rate,
        sample_rate=rate,
        channels=channels,
        lufs=heard.meter.integrated(),
        sound=heard.digest.hexdigest(),
        print=landmarks,
    )


class _Heard:
    """What is measured of the blocks of a file while they are read."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate = rate
        self.meter = Meter(rate=rate, channels=channels)
        self.digest = decoded.Digest(rate=rate, channels=channels)
        self.frames, self.peak = 0, 0.0

    def blocks(self, sound: soundfile.SoundFile) -> Iterator[np.ndarray]:
        while (block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)).size:
            if not np.isfinite(block).all():
                raise BadAudio("not_finite", "The file has samples in it that are not numbers.")
            self.frames += len(block)
            if self.frames > MAX_SECONDS * self.rate:
                raise BadAudio("too_long", "The file is longer than two hours. Send it in parts.")
            self.peak = max(self.peak, float(np.abs(block).max()))
            self.meter.add(block.T)
            self.digest.add(block)
            yield block


def _warnings(audio: Audio, filename: str) -> list[str]:
    warnings = []
    extension = PurePath(filename).suffix.lower().lstrip(".")
    if EXTENSIONS.get(extension) != audio.format:
        says = f"ends in .{extension}" if extension else "has no ending"
        warnings.append(
            f"The name {says}, but the file is {audio.format}; taken as {audio.format}."
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
    return warnings
