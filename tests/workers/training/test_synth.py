"""The demo music: seeded, musical, and told apart by more than its name."""

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.data import synth

# Seed 1, 6 s: root mean square and spectral centroid in Hz, taken from this module on x86-64
# with numpy 2.4. They change only when the music is meant to change.
GOLDEN = {
    "ambient": (0.133564, 606.103),
    "techno": (0.178180, 164.319),
    "chip": (0.134841, 581.573),
    "waltz": (0.135304, 225.946),
    "marimba": (0.114003, 300.602),
}


def centroid(audio: NDArray[np.float32]) -> float:
    power = np.abs(np.fft.rfft(audio.mean(axis=0))) ** 2
    frequency = np.fft.rfftfreq(audio.shape[1], 1 / 44_100)
    return float((power * frequency).sum() / power.sum())


def flatness(audio: NDArray[np.float32]) -> float:
    """1 for white noise, near 0 for tones: geometric over arithmetic mean of the power."""
    power = np.abs(np.fft.rfft(audio.mean(axis=0))) ** 2 + 1e-12
    return float(np.exp(np.log(power).mean()) / power.mean())


@pytest.mark.parametrize("genre", synth.GENRES)
def test_a_piece_is_what_it_says(genre: str) -> None:
    track = synth.synthesise(genre=genre, seed=1, seconds=6)
    assert track.audio.shape == (2, 6 * 44_100)
    assert track.audio.dtype == np.float32
    assert track.genre == genre
    assert synth.GENRES[genre].slowest <= track.tempo <= synth.GENRES[genre].fastest
    assert 0.70 < np.abs(track.audio).max() < 0.71
    # On the grid of 16 bits, so that a file holds exactly these samples.
    assert np.array_equal(track.audio * 32_768, np.round(track.audio * 32_768))
    assert flatness(track.audio) < 0.05
    assert abs(float(track.audio.mean())) < 1e-2


@pytest.mark.parametrize("genre", synth.GENRES)
def test_the_same_seed_is_the_same_piece_and_another_is_not(genre: str) -> None:
    first = synth.synthesise(genre=genre, seed=7, seconds=3)
    again = synth.synthesise(genre=genre, seed=7, seconds=3)
    other = synth.synthesise(genre=genre, seed=8, seconds=3)
    assert np.array_equal(first.audio, again.audio)
    assert (first.tempo, first.key) == (again.tempo, again.key)
    assert not np.array_equal(first.audio, other.audio)


@pytest.mark.parametrize("genre", synth.GENRES)
def test_the_music_has_not_changed(genre: str) -> None:
    audio = synth.synthesise(genre=genre, seed=1, seconds=6).audio
    level, middle = GOLDEN[genre]
    assert float(np.sqrt((audio**2).mean())) == pytest.approx(level, rel=1e-3)
    assert centroid(audio) == pytest.approx(middle, rel=1e-3)


def test_left_and_right_differ() -> None:
    for genre in synth.GENRES:
        left, right = synth.synthesise(genre=genre, seed=2, seconds=4).audio
        assert 0.05 < np.corrcoef(left, right)[0, 1] < 0.9999, genre


def test_the_beat_is_where_the_tempo_says() -> None:
    audio = synth.synthesise(genre="techno", seed=3, seconds=8, tempo=120.0).audio.mean(axis=0)
    # Energy under 120 Hz peaks at every half second.
    spectrum = np.fft.rfft(audio)
    spectrum[120 * 8 :] = 0
    level = np.fft.irfft(spectrum, len(audio)) ** 2
    blocks = level[: 8 * 44_100 // 2_205 * 2_205].reshape(-1, 2_205).mean(axis=1)
    assert blocks[10::10].mean() > 4 * blocks[8::10].mean()


def test_key_and_tempo_can_be_asked_for() -> None:
    track = synth.synthesise(genre="waltz", seed=1, seconds=2, tempo=160.0, key="Eb major")
    assert (track.tempo, track.key) == (160.0, "Eb major")


def test_unknown_genres_and_keys_are_refused_with_a_sentence() -> None:
    with pytest.raises(synth.UnknownGenre, match="Known are: ambient"):
        synth.synthesise(genre="polka", seed=1, seconds=1)
    with pytest.raises(synth.UnknownKey, match="reads like"):
        synth.synthesise(genre="waltz", seed=1, seconds=1, key="H dur")
