"""What the copy check finds and what it lets by, on the music that this lab synthesises.

Bounds are the figures of `python -m benchmarks.screening`, less a margin for another machine.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.signal import butter, resample_poly, sosfiltfilt

from audio import index, matching, prints
from workers.data import synth

RATE = 44_100
GENRES = ("ambient", "chip", "marimba", "techno", "waltz")
# As one hears it: each of these is a copy.
Way = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Catalogue:
    tracks: dict[int, synth.Track]
    index: index.Index

    def look(self, audio: np.ndarray) -> matching.Match | None:
        return matching.best(matching.prints_of_clip(audio, rate=RATE), self.index)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Two recordings of 14 s in each genre, by number."""
    tracks = {
        10 * place + seed: synth.synthesise(genre, 100 + seed, 14.0)
        for place, genre in enumerate(GENRES)
        for seed in (1, 2)
    }
    file = io.BytesIO()
    made = ((pk, prints.of_audio(track.audio, rate=RATE)) for pk, track in tracks.items())
    index.write(made, file)
    return Catalogue(tracks, index.read(file))


def cut(track: synth.Track, start: float, seconds: float = 8.0) -> np.ndarray:
    first = round(start * RATE)
    return track.audio[:, first : first + round(seconds * RATE)]


def through_16k(audio: np.ndarray) -> np.ndarray:
    return resample_poly(resample_poly(audio, 160, 441, axis=1), 441, 160, axis=1)


def low_passed(audio: np.ndarray) -> np.ndarray:
    return sosfiltfilt(butter(8, 3_000, fs=RATE, output="sos"), audio, axis=1)


WAYS: dict[str, Way] = {
    "as it is": lambda audio: audio,
    "softer": lambda audio: 0.05 * audio,
    "resampled": through_16k,
    "low-passed": low_passed,
}


@pytest.mark.parametrize("way", WAYS)
def test_an_excerpt_is_found_where_it_was_cut(catalogue: Catalogue, way: str) -> None:
    missed = []
    for pk, track in catalogue.tracks.items():
        start = 2.0 + pk * 0.0371
        match = catalogue.look(WAYS[way](cut(track, start)))
        assert match is not None
        # Pieces that repeat are found at one of the places where they are the same.
        if not match.near_copy or match.recording != pk:
            missed.append((track.genre, match))
        elif track.genre in {"waltz", "marimba"}:
            assert match.recording_at - match.clip_at == pytest.approx(start, abs=0.04)
            assert match.length > 6
    # Measured: one miss in forty, an ambient piece through the low-pass.
    assert len(missed) <= (1 if way == "low-passed" else 0), missed


def test_an_excerpt_under_noise_is_found_but_for_pads(catalogue: Catalogue) -> None:
    """10 dB SNR over the whole band. Slow pads have no onsets to hold on to: measured, they stay
    under the threshold; that is the known gap."""
    dice = np.random.default_rng(5)
    for pk, track in catalogue.tracks.items():
        audio = cut(track, 3.0)
        power = float(np.square(audio).mean())
        match = catalogue.look(audio + dice.normal(0, np.sqrt(power / 10), audio.shape))
        assert match is not None
        assert match.recording == pk
        assert match.score > (0.65 if track.genre == "ambient" else 0.84), (track.genre, match)


def test_five_seconds_within_another_clip_are_found(catalogue: Catalogue) -> None:
    around = synth.synthesise("marimba", 77, 10.0, 101.0, "Eb major").audio
    for pk, track in catalogue.tracks.items():
        clip = around.copy()
        clip[:, 2 * RATE : 7 * RATE] = cut(track, 4.0, 5.0)
        match = catalogue.look(clip)
        assert match is not None
        assert (match.recording, match.near_copy) == (pk, True), (track.genre, match)
        assert match.clip_at == pytest.approx(2.0, abs=1.0)
        assert match.clip_at + match.length == pytest.approx(7.0, abs=1.0)


def test_the_same_instruments_at_the_same_tempo_in_another_key_are_no_copy(
    catalogue: Catalogue,
) -> None:
    for pk, track in catalogue.tracks.items():
        key = "F# major" if "major" in track.key else "Ab minor"
        other = synth.synthesise(track.genre, 900 + pk, 8.0, track.tempo, key)
        match = catalogue.look(other.audio)
        # Measured: none of forty.
        assert match is None or match.score < matching.THRESHOLD, (track.genre, match)


@pytest.mark.parametrize("genre", ["marimba", "waltz"])
def test_another_tune_at_the_same_tempo_in_the_same_key_is_no_copy(
    catalogue: Catalogue, genre: str
) -> None:
    """Not so for ambient, chip and techno, which in the same key and tempo play the very same
    notes in the same sounds (docs/screening.md)."""
    for pk, track in catalogue.tracks.items():
        if track.genre == genre:
            for seed in range(3):
                other = synth.synthesise(genre, 700 + 10 * pk + seed, 8.0, track.tempo, track.key)
                match = catalogue.look(other.audio)
                assert match is None or match.score < matching.THRESHOLD, match


def test_the_same_clip_gets_the_same_score(catalogue: Catalogue) -> None:
    audio = cut(catalogue.tracks[21], 1.234)
    assert catalogue.look(audio) == catalogue.look(audio.copy())


def test_a_clip_with_next_to_nothing_in_it_is_no_copy(catalogue: Catalogue) -> None:
    assert matching.prints_of_clip(np.zeros((2, RATE)), rate=RATE).silent
    match = catalogue.look(cut(catalogue.tracks[21], 2.0, 0.3))
    assert match is None or not match.near_copy
