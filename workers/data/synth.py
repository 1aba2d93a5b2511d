"""The demo music: seeded, synthesised, the same on every machine.

Waves are added in float64 and rounded to 16 bits at the end, so a last bit of difference between
two processors' sine functions does not reach the file.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.data import instruments
from workers.data.instruments import RATE, Wave

ROOTS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


class UnknownGenre(LookupError):
    """No music of that genre can be made; the message lists the known genres."""


class UnknownKey(ValueError):
    """There is no such key. A key is a root and a mode, such as "A minor"."""


@dataclass(frozen=True)
class Track:
    """A finished piece: `audio` is (2, frames) float32 at 44.1 kHz, `tempo` in beats a minute."""

    audio: NDArray[np.float32]
    genre: str
    tempo: float
    key: str


@dataclass
class Score:
    """A piece being written: its tempo, scale and random generator, and the audio so far."""

    tape: Wave
    beat: float
    root: int
    scale: tuple[int, ...]
    dice: np.random.Generator

    @property
    def seconds(self) -> float:
        return float(self.tape.shape[1] / RATE)

    def pitch(self, degree: int, *, octave: int = 4) -> int:
        """MIDI note of a step of the scale; 0 is the root, 7 the root above."""
        return 12 * (octave + 1 + degree // 7) + self.root + self.scale[degree % 7]

    def play(self, wave: Wave, *, at: float, gain: float, pan: float = 0.0) -> None:
        """Add a sound at a time in seconds; `pan` from -1 (left) to 1, equal power."""
        start = round(at * RATE)
        remaining = self.tape.shape[1] - start
        if remaining <= 0:
            return
        wave = wave[..., :remaining]
        angle = (pan + 1) * np.pi / 4
        for side, weight in enumerate((np.cos(angle), np.sin(angle))):
            part = wave[side] if wave.ndim == 2 else wave
            self.tape[side, start : start + part.shape[0]] += gain * weight * 1.414 * part

    def echo(self, *, delays: tuple[float, ...], gain: float) -> None:
        """Add delayed copies, each softer and darker, crossing from side to side."""
        dry = self.tape.copy()
        for turn, seconds in enumerate(delays):
            shift = round(seconds * RATE)
            dry = 0.5 * (dry + np.pad(dry, ((0, 0), (1, 0)))[:, :-1])
            wet = gain * (1 - turn / (len(delays) + 1)) * dry[:: -1 if turn % 2 else 1]
            self.tape[:, shift:] += wet[:, : max(0, wet.shape[1] - shift)]


def ambient(score: Score) -> None:
    """Four slow pad chords that melt into one another, a low root, now and then a bell."""
    chords = ((0, 2, 4), (5, 7, 9), (3, 5, 7), (4, 6, 8))
    length = 6 * score.beat
    turn = int(score.dice.integers(4))
    for number in range(int(score.seconds / length) + 2):
        chord = chords[(number + turn) % 4]
        at = max(0.0, (number - 0.4) * length)
        for place, degree in enumerate((*chord, chord[0] + 7)):
            voice = instruments.pad(score.pitch(degree, octave=4), seconds=length * 1.7)
            score.play(voice, at=at, gain=0.2, pan=0.5 * (place - 1.5) / 1.5)
        low = instruments.oscillator(
            "soft",
            frequency=instruments.hertz(score.pitch(chord[0] % 7, octave=2)),
            seconds=length * 1.4,
            harmonics=3,
        )
        shape = instruments.envelope(seconds=length * 1.4, attack=1.2, release=2.0)
        score.play(low * shape, at=at, gain=0.14)
        if score.dice.random() < 0.7:
            degree = chord[int(score.dice.integers(3))]
            note = instruments.bell(score.pitch(degree, octave=5))
            late = length * (0.3 + 0.5 * score.dice.random())
            score.play(note, at=at + late, gain=0.05, pan=score.dice.random() * 1.4 - 0.7)
    score.echo(delays=(0.113, 0.179, 0.293, 0.461, 0.727), gain=0.35)


def techno(score: Score) -> None:
    """A kick on every beat, hi-hats between, a rolling bass and an echoing chord."""
    sixteenth = score.beat / 4
    pattern = score.dice.permutation(16)[:3]
    roll = (0, 0, 0, 7, 0, 0, 3, 0) if score.dice.random() < 0.5 else (0, 0, 7, 0, 0, 4, 0, 0)
    drum, closed = instruments.kick(), instruments.hat(half_life=0.012)
    opened = instruments.hat(half_life=0.045)
    stab = sum(
        instruments.oscillator("saw", frequency=instruments.hertz(score.pitch(d)), seconds=0.2)
        * instruments.decay(seconds=0.2, half_life=0.04)
        for d in (0, 2, 4, 6)
    )
    bass = {
        degree: instruments.oscillator(
            "saw",
            frequency=instruments.hertz(score.pitch(degree, octave=1)),
            seconds=sixteenth * 0.9,
            harmonics=10,
        )
        * instruments.decay(seconds=sixteenth * 0.9, half_life=0.06)
        for degree in set(roll)
    }
    hits = Score(np.zeros_like(score.tape), score.beat, score.root, score.scale, score.dice)
    drums = Score(np.zeros_like(score.tape), score.beat, score.root, score.scale, score.dice)
    for number in range(int(score.seconds / sixteenth) + 1):
        at, place = number * sixteenth, number % 16
        if place % 4 == 0:
            drums.play(drum, at=at, gain=0.8)
        else:
            score.play(bass[roll[number % 8]], at=at, gain=0.34)
        if place % 4 == 2:
            score.play(opened, at=at, gain=0.3, pan=0.1)
        else:
            score.play(closed, at=at, gain=0.07, pan=-0.25)
        if place in pattern:
            hits.play(np.asarray(stab), at=at, gain=0.07, pan=0.3)
    hits.echo(delays=(3 * sixteenth, 6 * sixteenth), gain=0.5)
    score.tape += hits.tape
    # The kick presses everything else down, as a side-chained compressor does.
    since = np.arange(score.tape.shape[1]) / RATE % score.beat
    score.tape *= np.clip(since / (0.6 * score.beat), 0.08, 1.0)
    score.tape += drums.tape


def chip(score: Score) -> None:
    """Thin pulses run through the chord in sixteenths over a triangle bass and toy drums."""
    sixteenth = score.beat / 4
    chords = ((0, 2, 4), (5, 7, 9), (3, 5, 7), (4, 6, 8))
    turn = int(score.dice.integers(4))
    order = ((0, 1, 2, 3), (3, 2, 1, 0), (0, 2, 1, 3), (0, 1, 3, 2))[int(score.dice.integers(4))]
    low = instruments.blip(high=600, low=70, seconds=0.12)
    tick = instruments.blip(high=3_000, low=900, seconds=0.05)
    melody = 4
    for number in range(int(score.seconds / sixteenth) + 1):
        at = number * sixteenth
        chord = chords[(number // 16 + turn) % 4]
        notes = (*chord, chord[0] + 7)
        score.play(
            tone("thin", score.pitch(notes[order[number % 4]], octave=5), sixteenth * 0.95, 0.09),
            at=at,
            gain=0.25,
            pan=0.35 if number % 2 else -0.35,
        )
        if number % 2 == 0:
            degree = chord[0] % 7 + (7 if number % 8 == 6 else 0)
            score.play(
                tone("triangle", score.pitch(degree, octave=2), sixteenth * 1.8, 0.3),
                at=at,
                gain=0.4,
            )
        if number % 4 == 0:
            melody = int(np.clip(melody + score.dice.integers(-2, 3), 0, 9))
            step = min(notes, key=lambda degree: (abs(degree - melody), degree))
            score.play(
                tone("square", score.pitch(step, octave=5), sixteenth * 3.4, 0.25), at=at, gain=0.13
            )
            score.play(low if number % 8 == 0 else tick, at=at, gain=0.3)


def tone(kind: str, note: int, seconds: float, half_life: float) -> Wave:
    wave = instruments.oscillator(kind, frequency=instruments.hertz(note), seconds=seconds)
    return wave * instruments.decay(seconds=seconds, half_life=half_life)


def waltz(score: Score) -> None:
    """A piano: bass on one, chord on two and three, above it a tune that walks the scale."""
    bars = ((0, 2, 4), (5, 7, 9), (1, 3, 5), (4, 6, 8), (0, 2, 4), (3, 5, 7), (4, 6, 8), (0, 2, 4))
    rhythms = ((0.0, 1.0, 2.0), (0.0, 2.0), (0.0, 1.5, 2.0), (0.0,), (0.0, 1.0, 1.5, 2.0))
    step = 4
    for number in range(int(score.seconds / (3 * score.beat)) + 1):
        chord = bars[number % 8]
        at = number * 3 * score.beat
        score.play(
            instruments.piano(score.pitch(chord[0] % 7, octave=2)), at=at, gain=0.55, pan=-0.3
        )
        for beat in (1, 2):
            for degree in chord:
                wave = instruments.piano(
                    score.pitch(degree % 7 if degree > 7 else degree, octave=3)
                )
                short = wave * np.clip(1.4 - instruments.times(1.5) / (0.6 * score.beat), 0, 1)
                score.play(short, at=at + beat * score.beat, gain=0.26, pan=-0.1)
        for onset in rhythms[int(score.dice.integers(len(rhythms)))]:
            step = int(np.clip(step + score.dice.integers(-2, 3), 0, 11))
            near = min((*chord, *(d + 7 for d in chord)), key=lambda d: (abs(d - step), d))
            step = near if onset == 0 else step
            score.play(
                instruments.piano(score.pitch(step, octave=4)),
                at=at + onset * score.beat + 0.006 * score.dice.random(),
                gain=0.26 + 0.06 * score.dice.random(),
                pan=0.25,
            )
    score.echo(delays=(0.031, 0.067, 0.113), gain=0.16)


def marimba(score: Score) -> None:
    """Two mallet players in interlocking patterns of five steps, a third below in long notes."""
    eighth = score.beat / 2
    five = (0, 1, 2, 4, 5)
    left = [five[int(place)] for place in score.dice.integers(0, 5, 6)]
    right = [five[int(place)] for place in score.dice.integers(0, 5, 8)]
    for number in range(int(score.seconds / eighth) + 1):
        at = number * eighth
        score.play(
            instruments.marimba(score.pitch(left[number % 6], octave=4)), at=at, gain=0.4, pan=-0.6
        )
        score.play(
            instruments.marimba(score.pitch(right[number % 8], octave=5)),
            at=at + eighth / 2,
            gain=0.3,
            pan=0.6,
        )
        if number % 12 == 0:
            low = score.pitch((0, 3, 4)[number // 12 % 3], octave=3)
            score.play(instruments.marimba(low), at=at, gain=0.6)
    score.echo(delays=(0.041, 0.083), gain=0.15)


@dataclass(frozen=True)
class Genre:
    write: Callable[[Score], None]
    slowest: int
    fastest: int
    # The keys that its players favour: few enough for a small model to learn in two minutes.
    keys: tuple[str, ...]


GENRES = {
    "ambient": Genre(ambient, 60, 72, ("C major", "F major", "A minor")),
    "techno": Genre(techno, 127, 129, ("A minor", "D minor", "E minor")),
    "chip": Genre(chip, 146, 148, ("C major", "G major", "A minor")),
    "waltz": Genre(waltz, 159, 163, ("G major", "D major", "E minor")),
    "marimba": Genre(marimba, 96, 112, ("C major", "G major", "D major")),
}


def synthesise(
    genre: str, seed: int, seconds: float, tempo: float | None = None, key: str | None = None
) -> Track:
    """Write and play a piece. What is not given is drawn from the seed."""
    if genre not in GENRES:
        names = ", ".join(GENRES)
        raise UnknownGenre(f"There is no genre “{genre[:80]}” to play. Known are: {names}.")
    kind = GENRES[genre]
    dice = np.random.Generator(np.random.PCG64([seed, *genre.encode()]))
    drawn_tempo = int(dice.integers(kind.slowest, kind.fastest + 1))
    drawn_key = kind.keys[dice.integers(len(kind.keys))]
    tempo, key = tempo or float(drawn_tempo), key or drawn_key
    root, _, mode = key.partition(" ")
    if root not in ROOTS or mode not in SCALES:
        raise UnknownKey(f"“{key[:40]}” is no key. A key reads like “A minor” or “Eb major”.")
    # The root of that name nearest to C, so that no piece lies high.
    semitones = (ROOTS.index(root) + 5) % 12 - 5
    score = Score(
        tape=np.zeros((2, round(seconds * RATE))),
        beat=60.0 / tempo,
        root=semitones,
        scale=SCALES[mode],
        dice=dice,
    )
    kind.write(score)
    return Track(audio=master(score.tape), genre=genre, tempo=tempo, key=key)


def master(tape: Wave) -> NDArray[np.float32]:
    """Fade the ends, bring the peak to -3 dBFS and round to 16 bits."""
    time = np.arange(tape.shape[1]) / RATE
    length = tape.shape[1] / RATE
    fade = np.clip(time / 0.005, 0, 1) * np.clip((length - time) / min(1.0, length / 4), 0, 1)
    wave = tape * fade
    wave *= 0.7079 / max(float(np.abs(wave).max(initial=0.0)), 1e-9)
    return np.asarray(np.round(wave * 32_767) / 32_768, dtype=np.float32)
