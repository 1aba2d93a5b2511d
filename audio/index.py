"""The index of a frozen dataset: which hash occurs in which recording, and when.

One file, made once and named by its SHA-256, in little-endian arrays one after the other:

    magic, length of the head, head (JSON: version and the size of each array),
    recording  id of each recording, ascending                               8 bytes each
    first      the frame at which it begins, all recordings end to end       8
    peaks_from where its peaks begin in `peak`                               8
    peak       frame in the recording << 10 | bin                            4 (peaks)
    hash       sorted                                                        4 (hashes)
    place      first + frame of each hash                                    4 (hashes)

A hash's recording and time are one number of 32 bits, so an index holds up to 38,000 hours. It is
read by memory map: a clip touches only the pages with its own hashes.
"""

import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from audio import prints
from audio.prints import Longs, Print

MAGIC = b"BLCOPY1\n"
# Hashes that are sorted in memory at one time: 100 MB, including what sorting needs.
BATCH_SIZE = 4_000_000
MAX_FRAMES = 2**32 - 1
# Frames between recordings, so that none runs into the next.
GAP = prints.NEXT_FRAMES + 1
COLUMNS = {
    "recording": "<i8", "first": "<i8", "peaks_from": "<i8", "peak": "<u4", "hash": "<u4",
    "place": "<u4",
}  # fmt: skip


class TooLarge(ValueError):
    """More hours of music than one index can number."""


class NotAnIndex(ValueError):
    """The file is not an index of a known version."""


@dataclass(frozen=True)
class Index:
    """An index that is open for reading; arrays as in the module's description."""

    recording: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    peaks_from: npt.NDArray[np.int64]
    peak: npt.NDArray[np.uint32]
    hash: npt.NDArray[np.uint32]
    place: npt.NDArray[np.uint32]

    def found(self, wanted: npt.NDArray[np.uint32], *, most: int) -> tuple[Longs, Longs]:
        """Return for each occurrence of a wanted hash its position in `wanted` and its place;
        hashes that occur more than `most` times are left out."""
        low = np.searchsorted(self.hash, wanted, "left")
        count = np.searchsorted(self.hash, wanted, "right") - low
        count[count > most] = 0
        position = np.repeat(np.arange(wanted.size), count)
        within = np.arange(position.size) - np.repeat(np.cumsum(count) - count, count)
        return position, self.place[np.repeat(low, count) + within].astype(np.int64)

    def at(self, place: Longs) -> tuple[Longs, Longs]:
        """Return the ordinal of the recording at each place, and the frame in it."""
        ordinal = np.searchsorted(self.first, place, "right") - 1
        return ordinal, place - self.first[ordinal]

    def peaks(self, ordinal: int, start: int, end: int) -> tuple[Longs, Longs]:
        """Return frames and bins of a recording's peaks from frame `start` to before `end`."""
        last = (
            int(self.peaks_from[ordinal + 1])
            if ordinal + 1 < self.peaks_from.size
            else self.peak.size
        )
        packed = self.peak[int(self.peaks_from[ordinal]) : last]
        low, high = np.searchsorted(
            packed, np.array([max(0, start) << 10, max(0, end) << 10], dtype=np.uint32)
        )
        selected = packed[low:high].astype(np.int64)
        return selected >> 10, selected & 1023


def write(numbered_prints: Iterable[tuple[int, Print]], target: IO[bytes]) -> int:
    """Write the index of these recordings' prints, in the order of their ids; return their number.

    Needs memory for a part of the hashes, and disk for all of them twice in the folder for
    temporary files. Raises TooLarge.
    """
    with tempfile.TemporaryDirectory(prefix="screening-") as folder:
        spill = _Spill(Path(folder))
        recording: list[int] = []
        first: list[int] = []
        peaks_from: list[int] = []
        place = peaks = 0
        with (Path(folder) / "peaks").open("w+b") as peak_file:
            for pk, sound_print in numbered_prints:
                if recording and pk <= recording[-1]:
                    raise ValueError("Recordings come in the order of their ids, each once.")
                if place + sound_print.frames + GAP > MAX_FRAMES:
                    raise TooLarge("The dataset has more than 38,000 hours of music in it.")
                recording.append(pk)
                first.append(place)
                peaks_from.append(peaks)
                peak_file.write(
                    ((sound_print.frame << 10) | sound_print.bin).astype("<u4").tobytes()
                )
                hash_values, frame = prints.hashes(sound_print)
                spill.add(hash_values, (frame + place).astype(np.uint32))
                place += sound_print.frames + GAP
                peaks += sound_print.frame.size
            _write_header(target, recording=len(recording), peak=peaks, hash=spill.count)
            for column in (recording, first, peaks_from):
                target.write(np.array(column, dtype="<i8").tobytes())
            peak_file.seek(0)
            shutil.copyfileobj(peak_file, target)
        spill.finish(target)
    return len(recording)


def of_one(sound_print: Print) -> Index:
    """Return an index in memory of one print, as recording 0, to match a clip against it alone."""
    target = io.BytesIO()
    write([(0, sound_print)], target)
    return read(target)


def _write_header(target: IO[bytes], **sizes: int) -> None:
    body: dict[str, Any] = {"version": prints.VERSION, **sizes}
    head = json.dumps(body, sort_keys=True).encode()
    # Arrays begin at a multiple of eight.
    head += b" " * (-(len(MAGIC) + 8 + len(head)) % 8)
    target.write(MAGIC + len(head).to_bytes(8, "little") + head)


class _Spill:
    """Hashes on disk in parts by their first bits; each part is sorted by itself at the end."""

    PARTS = 64

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: list[tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]] = []
        self.waiting = self.count = 0
        self.spilled = False

    def add(self, hash_values: npt.NDArray[np.uint32], place: npt.NDArray[np.uint32]) -> None:
        self.held.append((hash_values, place))
        self.waiting += hash_values.size
        self.count += hash_values.size
        if self.waiting >= BATCH_SIZE:
            self._spill()

    def finish(self, target: IO[bytes]) -> None:
        """Write all hashes in their order, then all places."""
        if self.spilled:
            self._spill()
        with (self.folder / "places").open("w+b") as places:
            for both in self._parts():
                both.sort()
                target.write((both >> np.uint64(32)).astype("<u4").tobytes())
                places.write((both & np.uint64(0xFFFF_FFFF)).astype("<u4").tobytes())
            places.seek(0)
            shutil.copyfileobj(places, target)

    def _both(self) -> npt.NDArray[np.uint64]:
        """Hash and place as one number, whose order is that of the index."""
        if not self.held:
            return np.zeros(0, dtype=np.uint64)
        hash_values = np.concatenate([values for values, _ in self.held]).astype(np.uint64)
        place = np.concatenate([values for _, values in self.held]).astype(np.uint64)
        self.held, self.waiting = [], 0
        return (hash_values << np.uint64(32)) | place

    def _spill(self) -> None:
        both = self._both()
        part = (both >> np.uint64(58)).astype(np.int64)
        for number in np.unique(part):
            with (self.folder / f"part-{number:02}").open("ab") as file:
                file.write(both[part == number].astype("<u8").tobytes())
        self.spilled = True

    def _parts(self) -> Iterator[npt.NDArray[np.uint64]]:
        if not self.spilled:
            yield self._both()
            return
        for number in range(self.PARTS):
            path = self.folder / f"part-{number:02}"
            if path.exists():
                yield np.fromfile(path, dtype="<u8")
                path.unlink()


def read(file: IO[bytes]) -> Index:
    """Open the index in a local file by memory map; the file may be closed afterwards."""
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise NotAnIndex("This is no index of recordings.")
    length = int.from_bytes(file.read(8), "little")
    head = json.loads(file.read(length))
    if head["version"] != prints.VERSION:
        raise NotAnIndex(f"This index is of version {head['version']}.")
    sizes = dict.fromkeys(("recording", "first", "peaks_from"), head["recording"])
    sizes |= {"peak": head["peak"], "hash": head["hash"], "place": head["hash"]}
    offset, arrays = len(MAGIC) + 8 + length, {}
    for name, kind in COLUMNS.items():
        arrays[name] = _mapped(file, kind, offset, sizes[name])
        offset += arrays[name].nbytes
    return Index(**arrays)


def _mapped(file: IO[bytes], kind: str, offset: int, size: int) -> npt.NDArray[Any]:
    if not size:
        return np.zeros(0, dtype=kind)
    try:
        file.fileno()
    except (OSError, io.UnsupportedOperation):
        # Bytes in memory: a small index in a test, or one that a caller has read.
        file.seek(offset)
        return np.frombuffer(file.read(size * np.dtype(kind).itemsize), dtype=kind)
    return np.memmap(file, dtype=kind, mode="r", offset=offset, shape=(size,))
