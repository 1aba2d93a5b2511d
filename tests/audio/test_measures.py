"""The measures against numbers of the standards, and against what must always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio import loudness, measures, png
from tests.examples import examples

RATE = 48_000


def sine(
    *, hertz: float, level: float = 1.0, seconds: float = 1.0, phase: float = 0.0, channels: int = 2
) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.stack([level * np.sin(2 * np.pi * hertz * time + np.deg2rad(phase))] * channels)


def noise(seed: int, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, (2, int(seconds * RATE)))


def test_calibration_tone_reads_minus_3_01_lufs() -> None:
    """BS.1770-5: 997 Hz at 0 dBFS in one channel is -3.01 LKFS."""
    found = loudness.integrated(sine(hertz=997, channels=1, seconds=5), rate=RATE)
    assert found == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize(
    ("divisor", "level", "phase", "expected"),
    [(4, 0.5, 0, -6), (4, 0.5, 45, -6), (6, 0.5, 60, -6), (8, 0.5, 67.5, -6), (4, 1.41, 45, 3)],
)
def test_true_peak_of_ebu_tech_3341(
    divisor: int, level: float, phase: float, expected: float
) -> None:
    """EBU Tech 3341 cases 15 to 19: within +0.2 and -0.4 dB."""
    audio = sine(hertz=RATE / divisor, level=level, phase=phase)
    # A sine that begins at once is a step, whose overshoot would be what is measured.
    ramp = np.sin(np.linspace(0, np.pi / 2, 2400)) ** 2
    audio[:, :2400] *= ramp
    audio[:, -2400:] *= ramp[::-1]
    found = measures.true_peak(audio)
    assert found is not None
    assert -0.4 <= found - expected <= 0.2


def test_true_peak_does_not_depend_on_where_blocks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = noise(1)
    whole = measures.true_peak(audio)
    monkeypatch.setattr(measures, "TRUE_PEAK_BLOCK", 5_000)
    assert measures.true_peak(audio) == pytest.approx(whole, abs=1e-9)


def test_gain_reaches_minus_23_lufs_or_stops_under_minus_1_dbtp() -> None:
    assert measures.matching_gain(lufs=-13.0, peak_dbtp=-1.0) == -10.0
    assert measures.matching_gain(lufs=-40.0, peak_dbtp=-9.0) == 8.0
    assert measures.matching_gain(lufs=None, peak_dbtp=None) == 0.0
    assert measures.matching_gain(lufs=None, peak_dbtp=2.0) == -3.0


@settings(max_examples=examples(15))
@given(seed=st.integers(0, 2**32), level=st.floats(0.001, 3.0))
def test_after_the_gain_no_clip_is_louder_than_its_target_or_its_ceiling(
    seed: int, level: float
) -> None:
    audio = noise(seed, level=level)
    lufs, peak = loudness.integrated(audio, rate=RATE), measures.true_peak(audio)
    played = audio * 10 ** (measures.matching_gain(lufs=lufs, peak_dbtp=peak) / 20)
    after = loudness.integrated(played, rate=RATE)
    highest = measures.true_peak(played)
    assert after is not None
    assert highest is not None
    assert after <= -23 + 0.01
    assert highest <= -1 + 0.01
    assert after == pytest.approx(-23, abs=0.01) or highest == pytest.approx(-1, abs=0.01)


@settings(max_examples=examples(25))
@given(seed=st.integers(0, 2**32), frames=st.integers(1, 3000), buckets=st.integers(1, 400))
def test_waveform_encloses_every_sample(seed: int, frames: int, buckets: int) -> None:
    audio = np.random.default_rng(seed).uniform(-1, 1, (2, frames))
    drawn = measures.peaks(audio, buckets=buckets)
    assert len(drawn) == min(buckets, frames)
    assert min(low for low, _ in drawn) <= audio.min() * 127
    assert max(high for _, high in drawn) >= audio.max() * 127


def test_silence_and_clipping_are_shares_of_the_clip() -> None:
    half = np.concatenate([noise(2, 0.5), np.zeros((2, RATE // 2))], axis=1)
    assert measures.silence_share(half, rate=RATE) == pytest.approx(0.5, abs=0.06)
    clipped = np.clip(sine(hertz=100, level=2.0), -1, 1)
    # A sine of twice full scale is over full scale for two thirds of the time.
    assert measures.clipped_share(clipped) == pytest.approx(2 / 3, abs=0.02)
    assert measures.clipped_share(noise(3)) == 0


def test_stereo_correlation_knows_same_opposite_unrelated_and_mono() -> None:
    same = sine(hertz=440)
    assert measures.stereo_correlation(same) == pytest.approx(1)
    assert measures.stereo_correlation(same * [[1], [-1]]) == pytest.approx(-1)
    assert measures.stereo_correlation(noise(4)) == pytest.approx(0, abs=0.05)
    assert measures.stereo_correlation(same[:1]) is None
    assert measures.stereo_correlation(np.zeros((2, 100))) is None


@settings(max_examples=examples(20))
@given(frames=st.integers(1, 3000), channels=st.integers(1, 2), level=st.sampled_from([0, 0.5, 1]))
def test_every_measure_of_any_clip_is_finite_or_none(
    frames: int, channels: int, level: float
) -> None:
    audio = level * np.ones((channels, frames), dtype=np.float32)
    for value in measures.measure(audio, rate=RATE).values():
        assert value is None or np.isfinite(value)


def test_spectrogram_shows_a_tone_where_its_frequency_is() -> None:
    cells = measures.spectrogram(sine(hertz=1000), rate=RATE)
    edges = np.geomspace(40, RATE / 2, 97)
    row = int(cells.mean(axis=1).argmax())
    band = 95 - row
    assert edges[band] * 0.94 <= 1000 <= edges[band + 1] * 1.06
    assert not measures.spectrogram(np.zeros((2, 10)), rate=RATE).any()


def test_picture_is_a_png_of_its_size() -> None:
    data = png.png(np.zeros((3, 5), dtype=np.uint8))
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data[16:24] == b"\x00\x00\x00\x05\x00\x00\x00\x03"
