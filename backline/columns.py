"""Columns of numbers in few bytes: 8-byte values, transposed by byte and deflated.

Neighbouring numbers share their high bytes; laid side by side those deflate well. Steps are
stored as differences first, so a regular series of steps costs next to nothing. Every bit of a
float survives, the payload bits of a NaN included.
"""

import zlib

import numpy as np
import numpy.typing as npt

from backline.frames import Malformed

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

WIDTH = 8


def pack(columns: list[Int64 | Float64]) -> bytes:
    """Return all columns in a row, deflated. Integer columns are stored as differences."""
    parts = []
    for column in columns:
        raw: npt.NDArray[np.generic] = np.ascontiguousarray(column)
        if raw.dtype == np.int64:
            # Wraps around on overflow, and wraps back when it is summed up again.
            raw = np.diff(raw, prepend=np.int64(0))
        parts.append(raw.astype("<i8" if raw.dtype == np.int64 else "<f8", copy=False))
    bytes_of = [part.view(np.uint8).reshape(-1, WIDTH).T.tobytes() for part in parts]
    return zlib.compress(b"".join(bytes_of), 1)


def inflate(data: bytes | memoryview, size: int) -> bytes:
    """Return exactly `size` bytes of deflated `data`; uses hardly more memory than that."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise Malformed(f"The columns cannot be inflated: {error}.") from error
    if len(raw) != size or not inflater.eof or inflater.unused_data:
        raise Malformed("The columns do not have the size that their header tells.")
    return raw


def unpack_many(parts: list[bytes], *, kinds: str, count: int) -> list[Int64 | Float64]:
    """Return the columns of several `pack`s of the same counts, each with the shape (parts, count).

    Far quicker than one by one where the columns are short. Raises Malformed like `unpack`.
    """
    inflated = b"".join(inflate(data, WIDTH * count * len(kinds)) for data in parts)
    raw = np.frombuffer(inflated, dtype=np.uint8).reshape(len(parts), len(kinds), WIDTH, count)
    numbers = np.ascontiguousarray(raw.transpose(1, 0, 3, 2))
    columns: list[Int64 | Float64] = []
    for kind, column in zip(kinds, numbers, strict=True):
        if kind == "i":
            columns.append(np.cumsum(column.view("<i8")[..., 0], axis=1, dtype=np.int64))
        else:
            columns.append(column.view("<f8")[..., 0].astype(np.float64, copy=False))
    return columns


def unpack(data: bytes | memoryview, *, kinds: str, counts: list[int]) -> list[Int64 | Float64]:
    """Return the columns of `pack`: one letter of `kinds` (i or f) and one count for each.

    Raises Malformed if the bytes hold more or fewer numbers than that.
    """
    raw = np.frombuffer(inflate(data, WIDTH * sum(counts)), dtype=np.uint8)
    columns: list[Int64 | Float64] = []
    start = 0
    for kind, count in zip(kinds, counts, strict=True):
        part = raw[start : start + WIDTH * count].reshape(WIDTH, count).T
        start += WIDTH * count
        flat = np.ascontiguousarray(part).reshape(-1)
        if kind == "i":
            columns.append(np.cumsum(flat.view("<i8"), dtype=np.int64))
        else:
            columns.append(flat.view("<f8").astype(np.float64, copy=False))
    return columns
