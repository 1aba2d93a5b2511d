"""Write pixels as a PNG (ISO/IEC 15948): the client brings no imaging library along."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

# Colour types by number of channels: grey, grey with alpha, RGB, RGB with alpha.
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
UP = 2


def write(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return a PNG of pixels (height, width, channels) with 1 to 4 channels, 8 bits each.

    Each row is stored as its difference from the row above, which deflates well.
    """
    height, width, channels = pixels.shape
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = UP
    flat = pixels.reshape(height, width * channels)
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
