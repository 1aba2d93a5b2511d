"""Prints and their index: what they hold does not depend on how the audio came or was sorted."""

import hashlib
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audio import index, matching, prints
from audio.prints import Print


def music(seconds: float, *, rate: int = 44_100, seed: int = 1) -> np.ndarray:
    """(2, frames): chords of four tones that change every third of a second."""
    dice = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    step = (time * 3).astype(int)
    pitch = 110 * 2 ** (dice.integers(0, 48, (4, step.max() + 1)) / 12)
    wave = sum(np.sin(2 * np.pi * pitch[voice][step] * time) for voice in range(4))
    wave = wave * np.exp(-4 * (time * 3 % 1)) / 5
    return np.stack([wave, 0.7 * wave]).astype(np.float32)


def same(one: Print, other: Print) -> bool:
    return (
        one.frames == other.frames
        and np.array_equal(one.frame, other.frame)
        and np.array_equal(one.bin, other.bin)
    )


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 47_999, 96_000])
def test_a_print_does_not_depend_on_where_blocks_end(rate: int) -> None:
    audio = music(40, rate=rate)
    whole = prints.of_audio(audio, rate=rate)
    assert whole.frame.size > 400
    for size in (3_001, rate * 7 + 5, rate * 11):
        blocks = (audio.T[at : at + size] for at in range(0, audio.shape[1], size))
        assert same(prints.of_blocks(blocks, rate=rate), whole)


def test_channels_and_level_do_not_count() -> None:
    audio = music(6)
    whole = prints.of_audio(audio, rate=44_100)
    assert same(prints.of_audio(audio * 0.125, rate=44_100), whole)
    assert same(prints.of_audio(audio.mean(axis=0, keepdims=True), rate=44_100), whole)


def test_the_number_of_peaks_is_bounded() -> None:
    noise = np.random.default_rng(2).normal(0, 0.2, (1, 20 * prints.RATE))
    made = prints.of_audio(noise, rate=prints.RATE)
    per_cell = np.bincount(made.frame // prints.CELL_FRAMES)
    assert per_cell.max() == prints.CELL_PEAKS
    found, frame = prints.hashes(made)
    assert found.dtype == np.uint32
    assert np.bincount(frame).max() <= prints.FAN_OUT * np.bincount(made.frame).max()
    assert (np.diff(frame) >= 0).all()


@pytest.mark.parametrize("frames", [0, 1, 100, 2_047, 2_048, 30_000])
def test_silent_and_very_short_audio_has_no_peaks(frames: int) -> None:
    made = prints.of_audio(np.zeros((2, frames), dtype=np.float32), rate=8_000)
    assert made.frame.size == 0
    assert prints.hashes(made)[0].size == 0


def test_a_packed_print_is_the_same_print() -> None:
    made = prints.of_audio(music(9), rate=44_100)
    assert same(Print.unpacked(made.packed()), made)
    nothing = Print(made.frame[:0], made.bin[:0], 7)
    assert same(Print.unpacked(nothing.packed()), nothing)


def test_ten_minutes_do_not_lie_in_memory_as_a_whole() -> None:
    dice = np.random.default_rng(3)

    def blocks() -> Iterator[np.ndarray]:
        for _ in range(600):
            yield dice.normal(0, 0.1, (44_100, 2)).astype(np.float32)

    # What is loaded once, before it is counted.
    prints.of_audio(music(1), rate=44_100)
    tracemalloc.start()
    made = prints.of_blocks(blocks(), rate=44_100)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.frames == pytest.approx(600 * prints.FRAMES_PER_SECOND, abs=8)
    # The audio alone would be 212 MB.
    assert most < 60_000_000


def written(made: dict[int, Print]) -> bytes:
    file = io.BytesIO()
    assert index.write(sorted(made.items()), file) == len(made)
    return file.getvalue()


@pytest.fixture(scope="module")
def some() -> dict[int, Print]:
    return {
        pk: prints.of_audio(music(5 + pk % 3, seed=pk), rate=44_100) for pk in (3, 4, 9, 200_000)
    }


def test_an_index_finds_every_hash_where_it_is_heard(some: dict[int, Print]) -> None:
    read = index.read(io.BytesIO(written(some)))
    assert list(read.recording) == sorted(some)
    assert (np.diff(read.hash.astype(np.int64)) >= 0).all()
    for ordinal, made in enumerate(some[pk] for pk in sorted(some)):
        wanted, frame = prints.hashes(made)
        which, place = read.found(wanted, most=10_000)
        at, within = read.at(place)
        met = set(zip(which.tolist(), at.tolist(), within.tolist(), strict=True))
        own = {(number, ordinal, int(when)) for number, when in enumerate(frame)}
        assert own <= met
        assert all(wanted[number] in read.hash for number, _, _ in list(met)[:50])
        peaks = read.peaks(ordinal, 0, made.frames)
        assert np.array_equal(peaks[0], made.frame)
        assert np.array_equal(peaks[1], made.bin)
        part = read.peaks(ordinal, 20, 60)[0]
        assert np.array_equal(part, made.frame[(made.frame >= 20) & (made.frame < 60)])
    nothing, _ = read.found(np.array([read.hash[0]]), most=0)
    assert nothing.size == 0


def test_an_index_is_the_same_bytes_however_it_was_sorted(
    some: dict[int, Print], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = written(some)
    monkeypatch.setattr(index, "BATCH_SIZE", 500)
    assert hashlib.sha256(written(some)).digest() == hashlib.sha256(in_memory).digest()


def test_an_index_in_a_file_is_mapped_and_not_loaded(
    some: dict[int, Print], tmp_path: Path
) -> None:
    path = tmp_path / "index"
    path.write_bytes(written(some))
    with path.open("rb") as file:
        read = index.read(file)
    assert isinstance(read.hash, np.memmap)
    in_memory = index.read(io.BytesIO(path.read_bytes()))
    assert np.array_equal(read.place, in_memory.place)


def test_an_index_of_nothing_matches_nothing() -> None:
    read = index.read(io.BytesIO(written({})))
    assert matching.best(matching.prints_of_clip(music(4), rate=44_100), read) is None


def test_what_is_no_index_is_refused(some: dict[int, Print]) -> None:
    with pytest.raises(index.NotAnIndex):
        index.read(io.BytesIO(b"RIFF" + bytes(100)))
    other = written(some).replace(b'"version": 1', b'"version": 0')
    with pytest.raises(index.NotAnIndex, match="version 0"):
        index.read(io.BytesIO(other))
    with pytest.raises(ValueError, match="order"):
        index.write([(2, some[3]), (1, some[4])], io.BytesIO())
    with pytest.raises(index.TooLarge, match="hours"):
        index.write([(1, Print(some[3].frame, some[3].bin, 2**32))], io.BytesIO())
