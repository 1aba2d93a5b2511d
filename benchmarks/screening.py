"""The copy check: what it finds, what it finds wrongly, and how long it takes; beside Chromaprint.

A catalogue of the demo's synthesiser, 8 recordings of 20 s in each of its 5 genres. From each of
them ten seconds, altered in ways that must not hide a copy; and clips that are none: the same
instruments and tempo in a key that no recording has, pieces as the synthesiser draws them, and
pieces with the very tempo and key of a recording. Chromaprint gets the same audio: windows of four
seconds, compared bit by bit at all distances in time, at the two thresholds that suit it: as many
false alarms as the copy check raises, and none among clips in another key. That needs
libchromaprint1 (Debian) and `make bench`'s environment; without them the peer is left out.
"""

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks import peers

RATE = 44_100
EACH = 8
LONG, SHORT = 20.0, 10.0
STRANGE = {"major": "F# major", "minor": "Ab minor"}
# Recordings of three minutes, made of random peaks, for the time that a large index takes.
MANY = 500

Audio = Any


def catalogue() -> list[tuple[str, float, str, Audio]]:
    """Genre, tempo, key and audio of each recording."""
    from workers.data import synth

    made = []
    for genre in synth.GENRES:
        for number in range(EACH):
            track = synth.synthesise(genre, 100 + number, LONG)
            made.append((genre, track.tempo, track.key, track.audio))
    return made


def others(known: list[tuple[str, float, str, Audio]]) -> Iterator[tuple[str, str, Audio]]:
    """Kind, genre and audio of clips that are copies of nothing."""
    from workers.data import synth

    for number, (genre, tempo, key, _) in enumerate(known):
        strange = STRANGE[key.split()[1]]
        seed = 5_000 + number
        yield "strange", genre, synth.synthesise(genre, seed, SHORT, tempo, strange).audio
        yield "drawn", genre, synth.synthesise(genre, seed, SHORT).audio
        yield "same", genre, synth.synthesise(genre, seed, SHORT, tempo, key).audio


def ways(stranger: Audio) -> dict[str, Callable[[Audio, np.random.Generator], Audio]]:
    """Name to what is done with ten seconds of a recording."""
    from scipy.signal import butter, resample_poly, sosfiltfilt

    def noise(audio: Audio, dice: np.random.Generator) -> Audio:
        power = float(np.square(audio).mean())
        return audio + dice.normal(0, np.sqrt(power / 10), audio.shape)

    def low(audio: Audio, _: np.random.Generator) -> Audio:
        return sosfiltfilt(butter(8, 3_000, fs=RATE, output="sos"), audio, axis=1)

    def resampled(audio: Audio, _: np.random.Generator) -> Audio:
        return resample_poly(resample_poly(audio, 160, 441, axis=1), 441, 160, axis=1)

    def inside(audio: Audio, dice: np.random.Generator) -> Audio:
        around = stranger.copy()
        at = int(dice.integers(0, 5 * RATE))
        around[:, at : at + 5 * RATE] = audio[:, : 5 * RATE]
        return around

    def mp3(audio: Audio, _: np.random.Generator) -> Audio:
        file = io.BytesIO()
        soundfile.write(file, audio.T, RATE, format="MP3", compression_level=0.9)
        file.seek(0)
        return soundfile.read(file, dtype="float32", always_2d=True)[0].T

    return {
        "as it is": lambda audio, _: audio,
        "26 dB softer": lambda audio, _: 0.05 * audio,
        "noise, 10 dB SNR": noise,
        "low-passed at 3 kHz": low,
        "by way of 16 kHz": resampled,
        "MP3, smallest": mp3,
        "5 s within 10 s of another": inside,
    }


def clips() -> tuple[list[Audio], list[tuple[str, str, int, Audio]]]:
    """The recordings, and clips with kind, genre and number of the recording (-1: of none)."""
    known = catalogue()
    strangers = list(others(known))
    dice = np.random.default_rng(7)
    made: list[tuple[str, str, int, Audio]] = []
    for number, (genre, _, _, audio) in enumerate(known):
        stranger = next(a for kind, g, a in strangers if kind == "strange" and g != genre)
        for name, act in ways(stranger).items():
            start = int(dice.integers(0, round((LONG - SHORT) * RATE)))
            cut = audio[:, start : start + round(SHORT * RATE)]
            made.append((name, genre, number, act(cut, dice).astype(np.float32)))
    made += [(kind, genre, -1, audio) for kind, genre, audio in strangers]
    return [audio for *_, audio in known], made


def ours(recordings: list[Audio], some: list[tuple[str, str, int, Audio]]) -> dict[str, Any]:
    from audio import index, matching, prints

    began = time.process_time()
    made = [(pk, prints.of_audio(audio, rate=RATE)) for pk, audio in enumerate(recordings)]
    printing = time.process_time() - began
    file = io.BytesIO()
    index.write(made, file)
    read = index.read(file)
    began = time.process_time()
    found = [matching.best(matching.prints_of_clip(audio, rate=RATE), read) for *_, audio in some]
    looking = time.process_time() - began
    return {
        "scores": [(match.score, match.recording) if match else (0.0, -1) for match in found],
        "threshold": matching.THRESHOLD,
        "recording": printing / len(recordings) * 180 / LONG,
        "clip": looking / len(some),
        "bytes": sum(len(one.packed()) for _, one in made) / len(made) * 180 / LONG,
        "index": file.tell() / len(made) * 180 / LONG,
    }


def theirs(recordings: list[Audio], some: list[tuple[str, str, int, Audio]]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="backline-bench-") as folder:
        for name, all_of in (("recordings", recordings), ("clips", [clip[3] for clip in some])):
            whole = {f"{at:04}": np.round(one.T * 32_767).clip(-32_768, 32_767).astype("<i2")
                     for at, one in enumerate(all_of)}  # fmt: skip
            np.savez(Path(folder) / f"{name}.npz", **whole)
        return peers.measure("screening", folder, RATE)


def rates(found: dict[str, Any], some: list[Any], level: float) -> dict[tuple[str, str], float]:
    """(kind, genre) to the share that is found, with the right recording where there is one."""
    hits: dict[tuple[str, str], list[bool]] = {}
    for (kind, genre, number, _), (score, recording) in zip(some, found["scores"], strict=True):
        hit = score >= level and number in {-1, recording}
        for key in ((kind, genre), (kind, "all")):
            hits.setdefault(key, []).append(hit)
    return {key: sum(values) / len(values) for key, values in hits.items()}


def level_of(found: dict[str, Any], some: list[Any], alarms: int, *kinds: str) -> float:
    """The lowest threshold with no more false alarms than these, among clips of these kinds."""
    false = sorted(
        (score for (kind, *_), (score, _) in zip(some, found["scores"], strict=True)
         if kind in kinds), reverse=True,
    )  # fmt: skip
    return float(np.nextafter(false[alarms], 2))


def large() -> tuple[float, float, float]:
    """Seconds to make an index of MANY recordings, its bytes, and seconds for a clip."""
    from audio import index, matching, prints

    dice = np.random.default_rng(1)

    def made() -> Iterator[tuple[int, prints.Print]]:
        for pk in range(MANY):
            frame = np.sort(dice.integers(0, 5_600, 4_000))
            # As in music the low bins are the busy ones.
            bins = (prints.BINS * dice.beta(1.2, 5, 4_000)).astype(np.int64)
            order = np.lexsort((bins, frame))
            yield pk, prints.Print(frame[order], bins[order], 5_600)

    with tempfile.TemporaryFile() as file:
        began = time.process_time()
        index.write(made(), file)
        built, size = time.process_time() - began, file.tell()
        read = index.read(file)
        noise = dice.normal(0, 0.1, (1, round(SHORT * RATE)))
        clip = matching.prints_of_clip(noise, rate=RATE)
        began = time.process_time()
        matching.best(clip, read)
        return built, size, time.process_time() - began


def main() -> None:
    from workers.data import synth

    recordings, some = clips()
    own = ours(recordings, some)
    shares = rates(own, some, own["threshold"])
    alarms = sum(
        score >= own["threshold"]
        for (*_, number, _), (score, _) in zip(some, own["scores"], strict=True) if number < 0
    )  # fmt: skip
    try:
        peer = theirs(recordings, some)
        level = level_of(peer, some, alarms, "strange", "drawn", "same")
        low = level_of(peer, some, 0, "strange")
        beside, loosely = rates(peer, some, level), rates(peer, some, low)
    except (peers.NoPeers, RuntimeError) as error:
        peer, level, low, beside, loosely = None, 0.0, 0.0, {}, {}
        print(f"Without Chromaprint: {str(error).strip().splitlines()[-1]}")
    print(f"{len(recordings)} recordings, {len(some)} clips; found from {own['threshold']:g} on,")
    print(f"Chromaprint (a) from {level:.3f} on: as many false alarms in all;")
    print(f"(b) from {low:.3f} on: none among clips in another key")
    genres = " ".join(f"{genre:>8}" for genre in synth.GENRES)
    print(f"{'':30}{'Backline':>9}{'(a)':>6}{'(b)':>6}   {genres}  (Backline)")
    for kind in dict.fromkeys(kind for kind, *_ in some):
        words = {
            "strange": "none: same tempo, other key",
            "drawn": "none: as drawn",
            "same": "none: same tempo and key",
        }.get(kind, kind)
        line = " ".join(f"{shares[kind, genre]:8.0%}" for genre in synth.GENRES)
        other = "".join(
            f"{of[kind, 'all']:6.0%}" if of else f"{'-':>6}" for of in (beside, loosely)
        )
        print(f"{words:30}{shares[kind, 'all']:9.0%}{other}   {line}")
    print(
        f"a recording of 3 min: {own['recording']:.2f} s, print {own['bytes'] / 1000:.1f} kB, "
        f"in the index {own['index'] / 1000:.0f} kB; "
        f"a clip of 10 s: {own['clip']:.2f} s (processor)"
    )
    if peer:
        print(
            f"Chromaprint: {peer['recording']:.2f} s, {peer['clip']:.2f} s (all distances in time)"
        )
    built, size, clip = large()
    print(
        f"index of {MANY} recordings of 3 min: made in {built:.1f} s, {size / 1e6:.0f} MB, "
        f"a clip held against it {clip:.2f} s (processor)"
    )


if __name__ == "__main__":
    main()
