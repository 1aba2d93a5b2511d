"""Sounds of the demo music: each is a mono or stereo wave of float64 at 44.1 kHz.

Only elementwise numpy on one thread: no matrix products, whose sums differ between machines.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RATE = 44_100
# So fine that the nearest entry is enough: the error lies 75 dB below the tone.
TABLE = 16_384

Wave = NDArray[np.float64]


def hertz(note: float) -> float:
    """Frequency of a MIDI note; 69 is 440 Hz."""
    return float(440.0 * 2.0 ** ((note - 69) / 12))


def times(seconds: float) -> Wave:
    return np.arange(round(seconds * RATE)) / RATE


@lru_cache(maxsize=64)
def table(kind: str, count: int) -> Wave:
    """One period of a band-limited wave with `count` harmonics."""
    phase = np.arange(TABLE) * (2 * np.pi / TABLE)
    wave = np.zeros(TABLE)
    for n in range(1, count + 1):
        match kind:
            case "saw":
                wave += np.sin(n * phase) / n
            case "soft":
                wave += np.sin(n * phase) / n**2
            case "square":
                wave += np.sin(n * phase) / n if n % 2 else 0.0
            case "thin":  # a pulse of a quarter period
                wave += np.sin(np.pi * n / 4) * np.cos(n * phase) / n
            case "triangle":
                wave += np.sin(np.pi * n / 2) * np.sin(n * phase) / n**2 if n % 2 else 0.0
    wave /= np.abs(wave).max()
    wave.flags.writeable = False
    return wave


def oscillator(
    kind: str, *, frequency: float, seconds: float, start: float = 0.0, harmonics: int = 40
) -> Wave:
    """A steady tone; `start` is its phase in periods. Harmonics end under 15 kHz."""
    wave = table(kind, max(1, min(harmonics, int(15_000 / frequency))))
    return wave[positions(frequency=frequency, seconds=seconds, start=start)]


def positions(*, frequency: float, seconds: float, start: float = 0.0) -> NDArray[np.int32]:
    """Where a steady tone reads a table: its phase in entries, wrapped by the power of two."""
    phase = np.arange(round(seconds * RATE)) * (frequency * TABLE / RATE) + start * TABLE
    return phase.astype(np.int32) & (TABLE - 1)


def envelope(*, seconds: float, attack: float, release: float) -> Wave:
    """Rises in `attack` seconds and falls in `release`, both without a corner."""
    time = times(seconds)
    rise = np.clip(time / attack, 0, 1)
    fall = np.clip((seconds - time) / release, 0, 1)
    return np.asarray(np.sin(rise * np.pi / 2) * np.sin(fall * np.pi / 2))


def decay(*, seconds: float, half_life: float, attack: float = 0.002) -> Wave:
    """A struck sound's envelope, with a short fade so that it never ends in a click."""
    time = times(seconds)
    fade = np.clip((seconds - time) / 0.01, 0, 1)
    return np.asarray(np.clip(time / attack, 0, 1) * 0.5 ** (time / half_life) * fade)


def pad(note: float, *, seconds: float) -> Wave:
    """A slow stereo chord voice, (2, frames): two detuned waves a side, opening and closing."""
    frequency = hertz(note)
    shape = envelope(seconds=seconds, attack=seconds * 0.35, release=seconds * 0.4)
    opening = shape * (0.35 - 0.35 * np.cos(2 * np.pi * times(seconds) / seconds))
    waves = []
    for detune in (0.997, 1.003):
        indices = positions(frequency=frequency * detune, seconds=seconds, start=10 * detune % 1)
        waves.append(table("soft", 24)[indices] * shape + table("saw", 12)[indices] * opening)
    near, far = waves
    return np.stack([near + 0.5 * far, far + 0.5 * near]) / 1.8


def bell(note: float, *, seconds: float = 3.0) -> Wave:
    """A soft glass bell: a sine, phase-modulated by another a twelfth above it."""
    time = times(seconds)
    frequency = hertz(note)
    bend = 1.2 * 0.5 ** (time / 0.35) * np.sin(2 * np.pi * 3 * frequency * time)
    tone = np.sin(2 * np.pi * frequency * time + bend)
    return np.asarray(tone * decay(seconds=seconds, half_life=0.5, attack=0.006))


@lru_cache(maxsize=128)
def piano(note: int, seconds: float = 1.5) -> Wave:
    """A piano note: stretched partials, higher ones fading faster, and the hammer's knock."""
    time = times(seconds)
    frequency = hertz(note)
    wave = np.zeros(len(time))
    base = 0.55 * (220.0 / frequency) ** 0.4
    for n in range(1, 10):
        partial = n * frequency * np.sqrt(1 + 4e-4 * n * n)
        if partial > 12_000:
            break
        level = (0.35 + 0.65 * abs(np.sin(np.pi * n / 7.3))) / n**1.25
        wave += level * np.sin(2 * np.pi * partial * time) * 0.5 ** (time * (1 + 0.45 * n) / base)
    knock = np.sin(2 * np.pi * 95 * time) * 0.5 ** (time / 0.012)
    wave = (wave / 2.2 + 0.15 * knock) * decay(seconds=seconds, half_life=3.0, attack=0.003)
    wave.flags.writeable = False
    return wave


@lru_cache(maxsize=64)
def marimba(note: int) -> Wave:
    """A wooden bar: its tone, the tuned partial two octaves above, and a short third one."""
    time = times(0.9)
    frequency = hertz(note)
    wave = np.sin(2 * np.pi * frequency * time) * 0.5 ** (time / 0.11)
    wave += 0.3 * np.sin(2 * np.pi * 4 * frequency * time) * 0.5 ** (time / 0.03)
    wave += 0.12 * np.sin(2 * np.pi * 9.2 * frequency * time) * 0.5 ** (time / 0.01)
    return np.asarray(wave * decay(seconds=0.9, half_life=2.0, attack=0.0015))


def kick() -> Wave:
    """A sine that falls from 190 to 48 Hz."""
    time = times(0.32)
    phase = 48 * time + (190 - 48) * 0.028 * (1 - np.exp(-time / 0.028))
    return np.asarray(np.sin(2 * np.pi * phase) * decay(seconds=0.32, half_life=0.075))


def hat(*, half_life: float) -> Wave:
    """A hi-hat: six square waves that share no harmonics, high-passed by two differences."""
    seconds = min(0.3, half_life * 7)
    wave = np.zeros(round(seconds * RATE))
    for frequency in (2_053, 3_044, 3_693, 5_225, 5_401, 8_000):
        wave += oscillator("square", frequency=frequency, seconds=seconds, harmonics=3)
    wave = np.diff(wave, n=2, prepend=[0.0, 0.0])
    return np.asarray(wave / np.abs(wave).max() * decay(seconds=seconds, half_life=half_life))


def blip(*, high: float, low: float, seconds: float) -> Wave:
    """A square wave that drops in pitch: the drum of a toy."""
    time = times(seconds)
    phase = low * time + (high - low) * 0.02 * (1 - np.exp(-time / 0.02))
    wave = table("square", 15)[((phase % 1.0) * TABLE).astype(np.int64)]
    return np.asarray(wave * decay(seconds=seconds, half_life=seconds / 5))
