"""Integrated loudness by ITU-R BS.1770-5 for mono and stereo, fed in blocks.

Pure numpy and scipy. The meter stores only the energy of each 100 ms, so that an hour of audio
costs a few hundred kilobytes. The filter is built for the rate at hand by the bilinear
transform of the analogue prototype that the standard's 48 kHz coefficients stand for
(De Man, "Evaluation of implementations of the EBU R128 loudness measurement", AES 2018), so
48 kHz gives the standard's own numbers and other rates agree with it.
"""

import math

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32] | npt.NDArray[np.float64]

ABSOLUTE_GATE = -70.0
RELATIVE_GATE = -10.0


def k_weighting(rate: float) -> npt.NDArray[np.float64]:
    """Second-order sections (2, 6) of the K-weighting at this sample rate in Hz."""
    # Stage 1, the head's shelf.
    k = math.tan(math.pi * 1681.974450955533 / rate)
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    norm = 1 + k / q + k * k
    shelf = [
        (high + band * k / q + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / q + k * k) / norm,
        1.0,
        2 * (k * k - 1) / norm,
        (1 - k / q + k * k) / norm,
    ]
    # Stage 2, the high-pass. The standard's numerator at 48 kHz is 1, -2, 1, not divided by the
    # norm; other rates get the gain that 48 kHz has.
    q = 0.5003270373238773
    k = math.tan(math.pi * 38.13547087602444 / 48_000)
    norm_at_48k = 1 + k / q + k * k
    k = math.tan(math.pi * 38.13547087602444 / rate)
    norm = 1 + k / q + k * k
    gain = norm_at_48k / norm
    poles = [1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]
    high_pass = [gain, -2 * gain, gain, *poles]
    return np.array([shelf, high_pass])


class Meter:
    """Add audio in blocks of any length, then ask for `integrated()`."""

    def __init__(self, *, rate: int, channels: int) -> None:
        if channels not in {1, 2}:
            raise ValueError(f"The meter hears one or two channels, not {channels}.")
        self._sections = k_weighting(rate)
        self._state = np.zeros((2, channels, 2))
        self._rate = rate
        self._frames = 0
        self._energy: list[float] = []
        self._open = 0.0

    def add(self, audio: Samples) -> None:
        """Add a block: `audio` is (channels, frames), full scale 1."""
        # Here, where there is audio: importing it takes as long as the rest of the web server.
        from scipy.signal import sosfilt  # noqa: PLC0415

        weighted, self._state = sosfilt(self._sections, audio, axis=-1, zi=self._state)
        energy = np.square(weighted).sum(axis=0)
        # Boundaries are rounded from the start, so that odd rates do not drift.
        start = 0
        while start < energy.size:
            edge = round((len(self._energy) + 1) * self._rate / 10)
            stop = min(energy.size, start + edge - self._frames)
            self._open += float(energy[start:stop].sum())
            self._frames += stop - start
            start = stop
            if self._frames == edge:
                self._energy.append(self._open)
                self._open = 0.0

    def integrated(self) -> float | None:
        """LUFS, or None where nothing passes the gates (silence, or less than 0.4 s)."""
        if len(self._energy) < 4:
            return None
        energies = np.array(self._energy)
        # Blocks of 400 ms, each starting 100 ms after the one before.
        power = np.convolve(energies, np.ones(4), mode="valid") / (0.4 * self._rate)
        loud = power[power > 10 ** ((ABSOLUTE_GATE + 0.691) / 10)]
        if loud.size == 0:
            return None
        threshold = loud.mean() * 10 ** (RELATIVE_GATE / 10)
        gated = loud[loud > threshold]
        return float(-0.691 + 10 * math.log10(gated.mean()))


def integrated(audio: Samples, *, rate: int) -> float | None:
    """Integrated loudness in LUFS of (channels, frames) audio; None for silence or under 0.4 s."""
    meter = Meter(rate=rate, channels=audio.shape[0])
    meter.add(audio)
    return meter.integrated()
