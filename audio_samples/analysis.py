"""Decode an uploaded clip to the end and measure it. The file itself is never altered."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import IO

from audio import decoding, loudness, measures, png, sound_digest
from portal import storage
from portal.database import long_work

LIMITS = decoding.Limits("clip", max_seconds=10 * 60, min_rate=4_000, max_rate=192_000)
MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Analysis:
    """The measures of a clip, in seconds, Hz, LUFS, dBTP and dB."""

    media_type: str
    sound: str
    duration: float
    sample_rate: int
    channels: int
    lufs: float | None
    true_peak: float | None
    gain_db: float
    peaks: list[list[int]]
    measures: measures.Measures


def digest(file: IO[bytes]) -> str:
    """Return the SHA-256 of the whole file, which is left at its start."""
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    return sha256


def decode(file: IO[bytes]) -> tuple[measures.Audio, int, str]:
    """Return float32 (channels, frames), rate in Hz and media type; raises decoding.BadAudio.

    A silent clip is a result that researchers want to see, so it is not an error here.
    """
    long_work.forbid_in_transaction("A clip is decoded")
    return decoding.decode(file, LIMITS)


def analyse(file: IO[bytes]) -> Analysis:
    """Measure a whole seekable file, left at its start; raises BadAudio with a sentence."""
    audio, rate, media_type = decode(file)
    lufs = loudness.integrated(audio, rate=rate)
    peak = measures.true_peak(audio)
    return Analysis(
        media_type=media_type,
        sound=sound_digest.digest(audio, rate=rate),
        duration=audio.shape[1] / rate,
        sample_rate=rate,
        channels=audio.shape[0],
        lufs=lufs,
        true_peak=peak,
        gain_db=measures.matching_gain(lufs=lufs, peak_dbtp=peak),
        peaks=measures.peaks(audio),
        measures=measures.measure(audio, rate=rate),
    )


@lru_cache(maxsize=256)
def spectrogram(sha256: str) -> bytes:
    """Return a clip's spectrogram as PNG: 480 by 96, log frequency from 40 Hz up, 80 dB. A panel of
    charts asks for many, again and again; each is some kilobytes. FileNotFoundError if the bytes
    are gone; whether the clip may be heard the caller asks each time."""
    with storage.open_blob(sha256) as file:
        audio, rate, _ = decode(file)
    return png.png(measures.spectrogram(audio, rate=rate))
