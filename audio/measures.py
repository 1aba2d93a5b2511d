"""Measures of a signal, in numpy and scipy only, so that the compute side may use them too.

Audio is (channels, frames) of floats, full scale 1. Loudness itself is audio/loudness.py.
"""

import math
from typing import TypedDict

import numpy as np
import numpy.typing as npt

Audio = npt.NDArray[np.float32] | npt.NDArray[np.float64]

TARGET_LUFS = -23.0
CEILING_DBTP = -1.0
# What counts as silence: -60 dBFS over 50 ms.
SILENCE_DBFS = -60.0
SILENCE_SECONDS = 0.05
OVERSAMPLING = 4
# Frames resampled at one time, and the frames on each side that the filter needs.
TRUE_PEAK_BLOCK, TRUE_PEAK_MARGIN = 262_144, 64


class Measures(TypedDict):
    """Figures beside a sample; None where the signal has no such figure (silence, mono)."""

    rms_dbfs: float | None
    crest_db: float | None
    silence_share: float
    clipped_share: float
    stereo_correlation: float | None
    centroid_hz: float | None
    dc_offset: float


def decibels(amplitude: float) -> float | None:
    """20 log10, None for zero: JSON and people have no use for minus infinity."""
    return 20 * math.log10(amplitude) if amplitude > 0 else None


def true_peak(audio: Audio) -> float | None:
    """dBTP by 4x oversampling (BS.1770-5 annex 2), None for silence."""
    # Here, where there is audio: importing it takes as long as the rest of the web server.
    from scipy.signal import resample_poly  # noqa: PLC0415

    frames = audio.shape[-1]
    highest = float(np.abs(audio).max(initial=0.0))
    for start in range(0, frames, TRUE_PEAK_BLOCK):
        # With neighbouring frames, so that a block's edge is no edge of the signal.
        left = max(0, start - TRUE_PEAK_MARGIN)
        right = min(frames, start + TRUE_PEAK_BLOCK + TRUE_PEAK_MARGIN)
        block = audio[:, left:right].astype(np.float64)
        fine = resample_poly(block, OVERSAMPLING, 1, axis=-1, window=("kaiser", 8.0))
        first = (start - left) * OVERSAMPLING
        last = first + min(TRUE_PEAK_BLOCK, frames - start) * OVERSAMPLING
        highest = max(highest, float(np.abs(fine[:, first:last]).max(initial=0.0)))
    return decibels(highest)


def matching_gain(*, lufs: float | None, peak_dbtp: float | None) -> float:
    """Static gain in dB to -23 LUFS, less where the peak would pass -1 dBTP. Never a limiter.

    Without a loudness (silent, or under 0.4 s) the clip keeps its level within the peak limit.
    """
    wanted = TARGET_LUFS - lufs if lufs is not None else 0.0
    headroom = CEILING_DBTP - peak_dbtp if peak_dbtp is not None else wanted
    return min(wanted, headroom)


def peaks(audio: Audio, *, buckets: int = 200) -> list[list[int]]:
    """[[min, max], ...] over all channels, in 1/127ths of full scale, for drawing a waveform."""
    frames = audio.shape[-1]
    if frames == 0:
        return []
    edges = np.linspace(0, frames, min(buckets, frames) + 1).astype(int)[:-1]
    low = np.minimum.reduceat(audio.min(axis=0), edges)
    high = np.maximum.reduceat(audio.max(axis=0), edges)
    # Away from zero, so that what is drawn is never smaller than what is there.
    pairs = np.stack([np.floor(low * 127), np.ceil(high * 127)], axis=1)
    drawn: list[list[int]] = np.clip(pairs, -127, 127).astype(int).tolist()
    return drawn


def silence_share(audio: Audio, *, rate: int) -> float:
    """The share of 50 ms windows under -60 dBFS RMS, 0 to 1."""
    window = max(1, round(SILENCE_SECONDS * rate))
    count = audio.shape[-1] // window
    if count == 0:
        return float(rms(audio) < 10 ** (SILENCE_DBFS / 20))
    power = np.square(audio[:, : count * window].astype(np.float64)).mean(axis=0)
    windows = power.reshape(count, window).mean(axis=1)
    return float((windows < 10 ** (SILENCE_DBFS / 10)).mean())


def rms(audio: Audio) -> float:
    """Root mean square over all channels, as an amplitude."""
    return float(np.sqrt(np.square(audio.astype(np.float64)).mean())) if audio.size else 0.0


def clipped_share(audio: Audio) -> float:
    """The share of frames in runs of three or more at full scale, 0 to 1."""
    full = np.abs(audio) >= 0.999
    run = full[:, 2:] & full[:, 1:-1] & full[:, :-2]
    marked = np.zeros_like(full)
    for shift in range(3):
        marked[:, shift : shift + run.shape[1]] |= run
    return float(marked.mean()) if marked.size else 0.0


def stereo_correlation(audio: Audio) -> float | None:
    """Pearson correlation of left and right, -1 to 1; None for mono or a silent side."""
    if audio.shape[0] != 2 or audio.shape[1] < 2:
        return None
    left, right = (side.astype(np.float64) - side.mean(dtype=np.float64) for side in audio)
    norm = math.sqrt(float(left @ left) * float(right @ right))
    # Under the square of one 16-bit step per frame there is no signal to correlate.
    if norm <= audio.shape[1] * 2**-30:
        return None
    return max(-1.0, min(1.0, float(left @ right) / norm))


def power_spectrogram(
    audio: Audio, *, rate: int, window: int = 2048
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Frequencies in Hz (bins,) and power (bins, columns) of the mono mix, Hann windows."""
    # Here as in `true_peak`: no page is waiting for it.
    from scipy.signal import stft  # noqa: PLC0415

    mono = audio.mean(axis=0, dtype=np.float64)
    if mono.size < window:
        mono = np.pad(mono, (0, window - mono.size))
    # At most about a thousand columns: a picture shows no more.
    hop = max(window // 4, mono.size // 1000)
    frequencies, _, spectrum = stft(
        mono, rate, nperseg=window, noverlap=max(0, window - hop), boundary=None, padded=False
    )
    return frequencies, np.square(np.abs(spectrum))


def centroid(audio: Audio, *, rate: int) -> float | None:
    """The spectrum's centre of gravity in Hz, over the whole signal; None for silence."""
    frequencies, power = power_spectrogram(audio, rate=rate)
    weight = power.sum(axis=1)
    total = float(weight.sum())
    return float(frequencies @ weight) / total if total > 0 else None


def spectrogram(
    audio: Audio, *, rate: int, bands: int = 96, columns: int = 480, floor_db: float = -80.0
) -> npt.NDArray[np.uint8]:
    """A picture (bands, columns): highest band first, log frequency from 40 Hz to Nyquist.

    0 is `floor_db` under the loudest cell or less, 255 the loudest.
    """
    frequencies, power = power_spectrogram(audio, rate=rate)
    edges = np.geomspace(40.0, rate / 2, bands + 1)
    first = np.clip(np.searchsorted(frequencies, edges[:-1]), 0, frequencies.size - 1)
    last = np.maximum(np.searchsorted(frequencies, edges[1:]), first + 1)
    rows = np.stack([power[a:b].max(axis=0) for a, b in zip(first, last, strict=True)])
    picks = np.linspace(0, rows.shape[1], columns, endpoint=False).astype(int)
    cells = rows[::-1, picks]
    top = float(cells.max())
    if top <= 0:
        return np.zeros((bands, columns), dtype=np.uint8)
    level = 10 * np.log10(np.maximum(cells / top, 10 ** (floor_db / 10)))
    return np.round(255 * (1 - level / floor_db)).astype(np.uint8)


def measure(audio: Audio, *, rate: int) -> Measures:
    """Return every figure that a sample's page shows."""
    level, peak = rms(audio), float(np.abs(audio).max(initial=0.0))
    return Measures(
        rms_dbfs=decibels(level),
        crest_db=decibels(peak / level) if level > 0 else None,
        silence_share=silence_share(audio, rate=rate),
        clipped_share=clipped_share(audio),
        stereo_correlation=stereo_correlation(audio),
        centroid_hz=centroid(audio, rate=rate),
        dc_offset=float(audio.mean(dtype=np.float64)) if audio.size else 0.0,
    )
