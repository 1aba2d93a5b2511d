"""Write a small PNG: eight bits and a palette, for the picture of a spectrum."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

# Dark to light in steps that look even (after matplotlib's "magma", CC0, thinned to five colours).
STOPS = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191))


def palette() -> bytes:
    """256 RGB triples between the stops."""
    places = np.linspace(0, 1, len(STOPS))
    levels = np.linspace(0, 1, 256)
    columns = [np.interp(levels, places, channel) for channel in zip(*STOPS, strict=True)]
    return np.stack(columns, axis=1).round().astype(np.uint8).tobytes()


def png(cells: npt.NDArray[np.uint8]) -> bytes:
    """A PNG (ISO/IEC 15948) of (rows, columns) palette indices, first row on top."""
    height, width = cells.shape
    rows = np.concatenate([np.zeros((height, 1), dtype=np.uint8), cells], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [
        (b"IHDR", header),
        (b"PLTE", palette()),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
