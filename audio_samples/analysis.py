"""An uploaded clip, decoded to the end and measured. The file itself is never altered."""

import hashlib
from dataclasses import dataclass
from typing import IO

import numpy as np
import soundfile

from audio import decoded
from audio_samples import signal
from portal import long_work, loudness
from rights.intake import FORMATS, MEDIA_TYPES, BadAudio

MAX_SECONDS = 10 * 60
MAX_BYTES = 256 * 1024 * 1024
MIN_RATE, MAX_RATE = 4_000, 192_000


@dataclass(frozen=True)
class Analysis:
    """Seconds, Hz, LUFS, dBTP, dB."""

    media_type: str
    sound: str
    duration: float
    sample_rate: int
    channels: int
    lufs: float | None
    true_peak: float | None
    gain_db: float
    peaks: list[list[int]]
    measures: signal.Measures


def digest(file: IO[bytes]) -> str:
    """SHA-256 of the whole file, which is left at its start."""
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    return found


def decode(file: IO[bytes]) -> tuple[signal.Audio, int, str]:
    """(channels, frames) float32, the rate in Hz and the media type; raises BadAudio.

    A silent clip is a result that a researcher wants to see, so it is no error here.
    """
    long_work.outside("A clip is decoded")
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            _refuse_odd(sound)
            frames = sound.read(MAX_SECONDS * sound.samplerate + 1, dtype="float32", always_2d=True)
            rate, media_type = int(sound.samplerate), MEDIA_TYPES[FORMATS[sound.format]]
    except soundfile.LibsndfileError as error:
        raise BadAudio(
            "broken", "The clip could not be decoded: send it as WAV, FLAC, MP3 or Ogg."
        ) from error
    finally:
        file.seek(0)
    if len(frames) == 0:
        raise BadAudio("empty", "The clip has no audio in it.")
    if len(frames) > MAX_SECONDS * rate:
        raise BadAudio("too_long", f"A clip may last {MAX_SECONDS // 60} minutes at most.")
    if not np.isfinite(frames).all():
        raise BadAudio(
            "not_finite",
            "The clip has samples in it that are not numbers (NaN or infinity): "
            "the program that made it diverged.",
        )
    return np.ascontiguousarray(frames.T), rate, media_type


def _refuse_odd(sound: soundfile.SoundFile) -> None:
    if sound.format not in FORMATS:
        raise BadAudio("format", f"{sound.format} is not taken: send WAV, FLAC, MP3 or Ogg.")
    if sound.channels not in {1, 2}:
        raise BadAudio("channels", f"A clip has one or two channels, not {sound.channels}.")
    if not MIN_RATE <= sound.samplerate <= MAX_RATE:
        raise BadAudio(
            "rate",
            f"The sample rate must lie between {MIN_RATE:,} and {MAX_RATE:,} Hz, "
            f"not at {sound.samplerate:,} Hz.",
        )


def analyse(file: IO[bytes]) -> Analysis:
    """Measure the whole of a seekable file, left at its start; raises BadAudio with a sentence."""
    audio, rate, media_type = decode(file)
    lufs = loudness.integrated(audio, rate=rate)
    peak = signal.true_peak(audio)
    return Analysis(
        media_type=media_type,
        sound=decoded.digest(audio, rate=rate),
        duration=audio.shape[1] / rate,
        sample_rate=rate,
        channels=audio.shape[0],
        lufs=lufs,
        true_peak=peak,
        gain_db=signal.matching_gain(lufs=lufs, peak_dbtp=peak),
        peaks=signal.peaks(audio),
        measures=signal.measure(audio, rate=rate),
    )
