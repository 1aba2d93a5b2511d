"""Curves as bytes that a browser reads without parsing: a JSON header, then columns of numbers.

    length of the header u32 | header JSON, padded with spaces | columns, each at a multiple of 8

All little-endian. The header names each column as [offset, count, type], offsets from the end of
the header, types "f4", "f8" and "u4", which are the typed arrays of JavaScript. A column that
several curves share (the steps of metrics that were logged together) is there once. Values are
float32 where that is enough to draw them: not where a curve's range is small beside its height, or
where a value is beyond what float32 can say.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from backline.columns import Float64

TYPES = {"f4": "<f4", "f8": "<f8", "u4": "<u4"}
# Of a curve's height: with less between lowest and highest, the steps of float32 would show.
NARROW = 1e-3
LARGEST, SMALLEST = 3e38, 1e-37

Column = tuple[int, int, str]


class Packer:
    """Collects columns; equal ones are stored once."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.known: dict[tuple[str, bytes], Column] = {}

    def add(self, values: npt.NDArray[Any], kind: str) -> Column:
        data = np.ascontiguousarray(values, TYPES[kind]).tobytes()
        key = (kind, data)
        if key not in self.known:
            self.known[key] = (self.size, len(values), kind)
            padding = -len(data) % 8
            self.parts += [data, b"\0" * padding]
            self.size += len(data) + padding
        return self.known[key]

    def add_curve(self, mean: Float64, low: Float64, high: Float64) -> list[Column | None]:
        """Add a curve's values, all as float32 or all as float64; extremes if they say more."""
        kind = "f4" if _is_drawn_by_single(low, high) else "f8"
        first = self.add(mean, kind)
        extremes = [self.add(low, kind), self.add(high, kind)]
        return [first, *(None if place == first else place for place in extremes)]

    def packed(self, header: Mapping[str, Any]) -> bytes:
        text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-(len(text) + 4) % 8)
        return b"".join([struct.pack("<I", len(text)), text, *self.parts])


def unpack(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the bytes of the columns."""
    (length,) = struct.unpack_from("<I", data)
    return json.loads(data[4 : 4 + length]), data[4 + length :]


def column(body: bytes, place: Column) -> npt.NDArray[Any]:
    offset, count, kind = place
    return np.frombuffer(body, TYPES[kind], count, offset)


def _is_drawn_by_single(low: Float64, high: Float64) -> bool:
    lowest = float(np.fmin.reduce(low, initial=np.nan))
    highest = float(np.fmax.reduce(high, initial=np.nan))
    height = max(abs(lowest), abs(highest))
    if height == 0 or np.isnan(height):
        return True
    flat = highest == lowest
    return SMALLEST < height < LARGEST and (flat or highest - lowest > NARROW * height)
