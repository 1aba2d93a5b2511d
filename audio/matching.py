"""Match a clip against an index: find the stretch of a recording that it repeats most.

Hashes find candidates: recordings in which many of the clip's hashes occur at the same offset in
time. Peaks score them: in the best four seconds, the share of the clip's peaks that the recording
has in the same bin (4 Hz) within 32 ms, and the share of the recording's peaks that the clip has.
The score is the geometric mean of both shares, 0 to 1. Hashes alone are not enough: each needs two
peaks, so what moves a third of the peaks breaks more than half of the hashes, and those that remain
are no more than another piece on the same chords has (docs/screening.md has the figures).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from audio import prints
from audio.index import Index
from audio.prints import Longs, Print

# A score from here on is a near copy; benchmarks/screening.py shows what this finds and misses.
THRESHOLD = 0.86
# The length in seconds of the stretch that is scored, or the whole of a shorter clip.
STRETCH_SECONDS = 4.0
# A clip is matched this many times, each a part of a frame later: cut anywhere, it lies
# between two frames of its recording.
SHIFTS = 4
# How many offsets in time are scored by their peaks, and the hashes that each must have.
CANDIDATES, MIN_HASHES = 12, 4
# The shares of a stretch with fewer peaks than this are taken of this many.
FEW_PEAKS = 20
# A hash that occurs more often than this says nothing, and reading it all would take long.
MAX_OCCURRENCES = 20_000


@dataclass(frozen=True)
class Match:
    """In seconds: where the match begins in the clip and in the recording, and how long it stays at
    the threshold; if it does not reach that, the best stretch. `hashes` is how many agree on the
    offset in time over the whole clip."""

    recording: int
    score: float
    hashes: int
    clip_at: float
    recording_at: float
    length: float

    @property
    def near_copy(self) -> bool:
        return self.score >= THRESHOLD


@dataclass(frozen=True)
class Clip:
    """A clip's prints, each begun a part of a frame later than the one before."""

    prints: Sequence[Print]

    @property
    def silent(self) -> bool:
        return not any(landmarks.frame.size for landmarks in self.prints)


def prints_of_clip(audio: npt.NDArray[Any], *, rate: int) -> Clip:
    """Return the clip of (channels, frames) audio at `rate` Hz."""
    mono = np.concatenate([np.zeros(0, np.float32), *prints.resampled([audio.T], rate=rate)])
    step = prints.HOP // SHIFTS
    return Clip(
        [prints.of_blocks([mono[number * step :]], rate=prints.RATE) for number in range(SHIFTS)]
    )


def best(clip: Clip, index: Index) -> Match | None:
    """Return the best match in the index; None where nothing in it is like the clip at all."""
    best_match: Match | None = None
    for number, ordinal, offset, agreeing in _candidates(clip, index):
        match = _judge(clip.prints[number], index, (ordinal, offset), number, agreeing)
        if match is not None and (best_match is None or match.score > best_match.score):
            best_match = match
    return best_match


def _candidates(clip: Clip, index: Index) -> Iterator[tuple[int, int, int, int]]:
    """Yield print number, recording ordinal, frames from recording to clip, agreeing hashes."""
    candidates: list[tuple[int, int, int, int]] = []
    for number, sound_print in enumerate(clip.prints):
        wanted, frame = prints.hashes(sound_print)
        position, place = index.found(wanted, most=MAX_OCCURRENCES)
        if not position.size:
            continue
        ordinal, within = index.at(place)
        # Recording and offset as one number, never negative: a clip may begin before its recording.
        key = (ordinal << 32) + (within - frame[position] + sound_print.frames)
        keys, count = np.unique(key, return_counts=True)
        for at in np.argsort(-count, kind="stable")[:CANDIDATES]:
            if count[at] >= MIN_HASHES:
                offset = int(keys[at] & 0xFFFF_FFFF) - sound_print.frames
                candidates.append((number, int(keys[at] >> 32), offset, int(count[at])))
    candidates.sort(key=lambda candidate: (-candidate[3], candidate[:3]))
    yield from candidates[:CANDIDATES]


def _judge(
    sound_print: Print, index: Index, candidate: tuple[int, int], number: int, agreeing: int
) -> Match | None:
    ordinal, offset = candidate
    frame, bins = index.peaks(ordinal, offset, offset + sound_print.frames)
    frame = frame - offset
    ours, theirs = _grid(sound_print.frame, sound_print.bin), _grid(frame, bins)
    stretch = min(round(STRETCH_SECONDS * prints.FRAMES_PER_SECOND), sound_print.frames)
    in_stretches = _sums(sound_print.frames, stretch)
    clip_share = in_stretches(sound_print.frame, _matched(ours, theirs))
    recording_share = in_stretches(frame, _matched(theirs, ours))
    score = np.sqrt(clip_share * recording_share)
    at = int(score.argmax())
    if score[at] <= 0:
        return None
    first, last = _extent(score, at)
    begin = first * prints.HOP / prints.RATE
    shifted = number * (prints.HOP // SHIFTS) / prints.RATE
    return Match(
        recording=int(index.recording[ordinal]),
        score=float(score[at]),
        hashes=agreeing,
        clip_at=begin + shifted,
        recording_at=max(0.0, begin + offset * prints.HOP / prints.RATE),
        length=(last - first + stretch) * prints.HOP / prints.RATE,
    )


def _extent(score: npt.NDArray[np.float64], at: int) -> tuple[int, int]:
    """Return the first and last of the stretches around the best one that reach the threshold."""
    below = np.flatnonzero(score < THRESHOLD)
    if score[at] < THRESHOLD:
        return at, at
    first = int(below[below < at].max(initial=-1)) + 1
    last = int(below[below > at].min(initial=score.size)) - 1
    return first, last


def _grid(frame: Longs, bins: Longs) -> Longs:
    """Return frame and bin as one number, with room for a frame before the first."""
    return ((frame + 1) << 12) | bins


def _matched(ours: Longs, theirs: Longs) -> npt.NDArray[np.bool_]:
    """Return which of our peaks have one of theirs in the same bin, at most a frame away."""
    return np.isin(ours, np.concatenate([theirs + (frame << 12) for frame in (-1, 0, 1)]))


def _sums(
    frames: int, stretch: int
) -> Callable[[Longs, npt.NDArray[np.bool_]], npt.NDArray[np.float64]]:
    """Return a function that gives for each stretch of the clip the share of its peaks met."""

    def share(frame: Longs, met: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        def count(peak_frames: Longs) -> Longs:
            sums = np.concatenate(
                [[0], np.cumsum(np.bincount(peak_frames, minlength=frames)[:frames])]
            )
            return np.asarray(sums[stretch:] - sums[: sums.size - stretch], dtype=np.int64)

        return np.asarray(count(frame[met]) / np.maximum(count(frame), FEW_PEAKS))

    return share
