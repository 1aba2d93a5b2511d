"""What a picture's first bytes say of it: its format and its size, without decoding it.

A file of some kilobytes may claim a picture of a hundred megapixels; whoever decodes asks here
first. PNG (ISO/IEC 15948), JPEG (ITU-T T.81) and WebP (RFC 9649) are known; nothing else is taken.
"""

import struct
from dataclasses import dataclass

from backline.media.packs import MAX_PIXELS, MAX_SIDE

PNG = b"\x89PNG\r\n\x1a\n"
# JPEG's markers of a frame: all of C0 to CF but the tables (C4, CC) and the reserved C8.
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
ANIMATED = 0x02


class BadPicture(ValueError):
    """These bytes are no picture that is taken; the sentence says why."""


@dataclass(frozen=True)
class Claim:
    """What a file says that it is: "png", "jpeg" or "webp", and pixels."""

    format: str
    width: int
    height: int


def read(data: bytes) -> Claim:
    """Return what the file claims to be; raises BadPicture, also for more pixels than are taken."""
    try:
        claim = _claim(data)
    except (struct.error, IndexError) as error:
        raise BadPicture("The picture is cut off before its size.") from error
    if not (0 < claim.width <= MAX_SIDE and 0 < claim.height <= MAX_SIDE):
        raise BadPicture(
            f"The picture is {claim.width:,} by {claim.height:,} pixels; a side has 1 to "
            f"{MAX_SIDE:,}."
        )
    if claim.width * claim.height > MAX_PIXELS:
        raise BadPicture(
            f"The picture has {claim.width * claim.height / 1e6:.0f} megapixels; at most "
            f"{MAX_PIXELS / 1e6:.0f} are taken. Make it smaller."
        )
    return claim


def _claim(data: bytes) -> Claim:
    if data.startswith(PNG) and data[12:16] == b"IHDR":
        return Claim("png", *struct.unpack(">II", data[16:24]))
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    raise BadPicture("This is no PNG, JPEG or WebP picture.")


def _jpeg(data: bytes) -> Claim:
    place = 2
    while place < len(data):
        if data[place] != 0xFF:
            raise BadPicture("The JPEG picture is damaged.")
        marker = data[place + 1]
        if marker in {0xFF, 0x01} or 0xD0 <= marker <= 0xD8:
            # Padding, or a marker without a length.
            place += 1 if marker == 0xFF else 2
            continue
        if marker in FRAMES:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return Claim("jpeg", width, height)
        (length,) = struct.unpack(">H", data[place + 2 : place + 4])
        place += 2 + max(length, 2)
    raise BadPicture("The JPEG picture is cut off before its size.")


def _webp(data: bytes) -> Claim:
    chunk = data[12:16]
    if chunk == b"VP8X":
        if data[20] & ANIMATED:
            raise BadPicture("The WebP picture moves; only still ones are taken.")
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        if len(data) < 30:
            raise IndexError
        return Claim("webp", width, height)
    if chunk == b"VP8L":
        (packed,) = struct.unpack("<I", data[21:25])
        return Claim("webp", 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF))
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return Claim("webp", width & 0x3FFF, height & 0x3FFF)
    raise BadPicture("This WebP picture is of a kind that is not known.")
