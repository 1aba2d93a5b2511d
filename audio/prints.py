"""Landmark prints: the strongest peaks of a spectrogram, and pairs of them as hashes.

After Wang, "An Industrial-Strength Audio Search Algorithm" (ISMIR 2003). Audio of any rate and
any number of channels becomes mono at 8 kHz; what is above 4 kHz does not count, so a low-passed
copy has the same print. Everything is relative to the level around it, so gain does not count.

A print is made block by block and does not depend on where blocks end. The same audio gives the
same print; a change to the result must change VERSION.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

VERSION = 1
RATE = 8_000
# Samples at RATE: windows of 256 ms, every 32 ms; bins of 3.9 Hz.
WINDOW, HOP = 2048, 256
BINS = WINDOW // 2
FRAMES_PER_SECOND = RATE / HOP
# A peak is the strongest cell within this many frames and bins to each side ...
NEAR_FRAMES, NEAR_BINS = 6, 10
# ... at most 26 dB (3 nepers) under the loudest of the half second around it ...
RANGE, LOUD_FRAMES = 3.0, 15
# ... and under about 25 Hz there is no music.
LOWEST_BIN = 6
# The bound on density: in each 32 frames (1.024 s) the strongest thirty.
CELL_FRAMES, CELL_PEAKS = 32, 30
# A peak makes pairs with the next five peaks within two seconds and 500 Hz.
FAN_OUT, LOOK_AHEAD, NEXT_FRAMES, NEXT_BINS = 5, 60, 63, 128
# Frames of a spectrogram at one time: four megabytes.
BLOCK_FRAMES = 16 * CELL_FRAMES
MARGIN = NEAR_FRAMES + LOUD_FRAMES
# Seconds of audio that are resampled at one time.
BLOCK_SECONDS = 10

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Print:
    """Peaks in the order of time, then frequency: `frame` counts 32 ms, `bin` 3.9 Hz; `frames`
    is the length of the audio."""

    frame: Longs
    bin: Longs
    frames: int

    def packed(self) -> bytes:
        """Compress for a database column: frames as steps, then bins, by zlib."""
        head = np.array([self.frames, self.frame.size], dtype="<u4").tobytes()
        steps = np.diff(self.frame, prepend=0).astype("<u4").tobytes()
        return zlib.compress(head + steps + self.bin.astype("<u2").tobytes(), 6)

    @classmethod
    def unpacked(cls, packed: bytes) -> "Print":
        """The inverse of `packed`."""
        raw = zlib.decompress(packed)
        frames, count = (int(number) for number in np.frombuffer(raw, "<u4", 2))
        steps = np.frombuffer(raw, "<u4", count, 8)
        bins = np.frombuffer(raw, "<u2", count, 8 + 4 * count)
        return cls(np.cumsum(steps, dtype=np.int64), bins.astype(np.int64), frames)


def of_blocks(blocks: Iterable[npt.NDArray[Any]], *, rate: int, skip: int = 0) -> Print:
    """Return the print of audio that comes as (frames, channels) blocks at `rate` Hz.

    `skip` leaves out that many samples (at 8 kHz) at the beginning: a clip cut from a recording
    anywhere lies between two of its frames.
    """
    frame: list[Longs] = [np.zeros(0, dtype=np.int64)]
    bins: list[Longs] = [np.zeros(0, dtype=np.int64)]
    frames = 0
    for first, spectrum, last in _spectra(_skipped(resampled(blocks, rate=rate), skip)):
        peak_frames, peak_bins = _peaks(spectrum, first, last)
        frame.append(peak_frames - first + frames)
        bins.append(peak_bins)
        frames += last - first
    return Print(np.concatenate(frame), np.concatenate(bins), frames)


def of_audio(audio: npt.NDArray[Any], *, rate: int, skip: int = 0) -> Print:
    """Return the print of (channels, frames) audio at `rate` Hz."""
    return of_blocks([audio.T], rate=rate, skip=skip)


def hashes(sound_print: Print) -> tuple[npt.NDArray[np.uint32], Longs]:
    """Return hashes of 32 bits and the frame of the first peak of each, in the order of time."""
    count = np.zeros(sound_print.frame.size, dtype=np.int64)
    batches: list[tuple[npt.NDArray[np.uint64], Longs]] = []
    for ahead in range(1, min(LOOK_AHEAD, sound_print.frame.size - 1) + 1):
        first = np.arange(sound_print.frame.size - ahead)
        second = first + ahead
        gap = sound_print.frame[second] - sound_print.frame[first]
        near = np.abs(sound_print.bin[second] - sound_print.bin[first]) <= NEXT_BINS
        fits = near & (gap >= 1) & (gap <= NEXT_FRAMES) & (count[first] < FAN_OUT)
        first, second, gap = first[fits], second[fits], gap[fits]
        count[first] += 1
        pair = (sound_print.bin[first] << 16) | (sound_print.bin[second] << 6) | gap
        batches.append((pair.astype(np.uint64), sound_print.frame[first]))
    if not batches:
        return np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.int64)
    pairs = np.concatenate([pair for pair, _ in batches])
    at = np.concatenate([frame for _, frame in batches])
    order = np.argsort(at, kind="stable")
    # Spread over all 32 bits (Knuth's multiplicative hash; odd, so different pairs stay different),
    # so that an index is sorted in parts of equal size.
    spread = (pairs * np.uint64(2_654_435_761)) & np.uint64(0xFFFF_FFFF)
    return spread.astype(np.uint32)[order], at[order]


def resampled(blocks: Iterable[npt.NDArray[Any]], *, rate: int) -> Iterator[Floats]:
    """Yield mono at 8 kHz in pieces, which do not depend on where the blocks end."""
    # Here, where there is audio: importing it takes as long as the rest of the web server.
    from scipy.signal import firwin, resample_poly  # noqa: PLC0415

    # Odd rates are replaced by a near one: off by a hundredth of a second in ten minutes.
    ratio = Fraction(RATE, rate).limit_denominator(1000)
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        yield from (_mono(block) for block in blocks)
        return
    half = 10 * max(up, down)
    taps = firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0)).astype(np.float32)
    # In units of `down`, so that each piece begins on a sample of the output.
    margin = -(-half // (up * down)) + 1
    step = max(1, BLOCK_SECONDS * rate // down)
    for piece, before, inside in _overlapping(_mono_all(blocks), step * down, margin * down):
        fine = resample_poly(piece, up, down, window=taps)
        first = before // down * up
        yield fine[first : first + -(-inside * up // down)].astype(np.float32)


def _mono(block: npt.NDArray[Any]) -> Floats:
    return block.mean(axis=1, dtype=np.float32) if block.ndim == 2 else block.astype(np.float32)


def _mono_all(blocks: Iterable[npt.NDArray[Any]]) -> Iterator[Floats]:
    return (_mono(block) for block in blocks)


def _overlapping(
    pieces: Iterable[Floats], step: int, margin: int
) -> Iterator[tuple[Floats, int, int]]:
    """Yield stretches of `step` samples with up to `margin` of their neighbours at each side: the
    samples, how many of them come before the stretch, and how many are in it."""
    buffer = np.zeros(0, dtype=np.float32)
    before = 0
    for piece in pieces:
        buffer = np.concatenate([buffer, piece])
        while buffer.size >= before + step + margin:
            yield buffer[: before + step + margin], before, step
            overlap = min(margin, before + step)
            buffer, before = buffer[before + step - overlap :], overlap
    while buffer.size > before:
        inside = min(step, buffer.size - before)
        yield buffer[: before + inside + margin], before, inside
        overlap = min(margin, before + inside)
        buffer, before = buffer[before + inside - overlap :], overlap


def _skipped(pieces: Iterable[Floats], skip: int) -> Iterator[Floats]:
    for piece in pieces:
        remaining = piece[skip:]
        skip = max(0, skip - piece.size)
        yield remaining


def _spectra(pieces: Iterable[Floats]) -> Iterator[tuple[int, Floats, int]]:
    """Yield log magnitudes (frames, bins) in blocks with their neighbours, and which frames of each
    are its own. Audio shorter than a window is padded with silence."""
    shape = np.hanning(WINDOW).astype(np.float32)
    step, margin = BLOCK_FRAMES * HOP, MARGIN * HOP
    # The last window reaches beyond the margin of frames.
    for piece, before, inside in _overlapping(pieces, step, margin + WINDOW):
        # The first frame lies on the frame grid of the whole audio.
        start = before - min(before, margin)
        usable = piece[start:]
        if usable.size < WINDOW:
            usable = np.pad(usable, (0, WINDOW - usable.size))
        windows = np.lib.stride_tricks.sliding_window_view(usable, WINDOW)[::HOP]
        power = np.abs(np.fft.rfft(windows * shape, axis=1)[:, :BINS]).astype(np.float32)
        first = (before - start) // HOP
        last = min(first + -(-inside // HOP), len(windows))
        if last > first:
            yield first, np.log(power + np.float32(1e-6)), last


def _peaks(spectrum: Floats, first: int, last: int) -> tuple[Longs, Longs]:
    """Return frames and bins of the peaks from frame `first` to before `last`; a block begins where
    a cell of the density bound begins."""
    audible = spectrum.copy()
    audible[:, :LOWEST_BIN] = -np.inf
    strongest = _highest(_highest(audible, NEAR_FRAMES, 0), NEAR_BINS, 1)
    loudest = _highest(audible.max(axis=1, keepdims=True), LOUD_FRAMES, 0)
    # In silence every cell would be the strongest.
    floor = np.maximum(loudest - RANGE, np.log(1e-3))
    peak = (audible == strongest) & (audible > floor)
    frame, bins = np.nonzero(peak[first:last])
    cell = frame // CELL_FRAMES
    # Strongest first in each cell; equally strong ones in the order of time and frequency.
    order = np.lexsort((bins, frame, -audible[first:last][frame, bins], cell))
    place = np.arange(order.size) - np.searchsorted(cell[order], cell[order])
    selected = np.sort(order[place < CELL_PEAKS])
    return frame[selected] + first, bins[selected]


def _highest(cells: Floats, reach: int, axis: int) -> Floats:
    """Return the maximum over `reach` cells to each side, by doubling."""
    width = 2 * reach + 1
    around = [(0, 0), (0, 0)]
    around[axis] = (reach, reach)
    maxima = np.moveaxis(np.pad(cells, around, constant_values=-np.inf), axis, 0)
    covered = 1
    while covered < width:
        more = min(covered, width - covered)
        maxima = np.maximum(maxima[: len(maxima) - more], maxima[more:])
        covered += more
    return np.moveaxis(maxima, 0, axis)
