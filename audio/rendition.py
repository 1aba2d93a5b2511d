"""A file as browsers play it: 24-bit WAV, made while it is read and stored nowhere.

No browser plays AIFF, or WAV of 64-bit floats. The size of the rendition is known before a sample
is decoded, and any part of it can be made alone, so players can seek in it.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import IO

import numpy as np
import soundfile

HEADER_BYTES = 44
SAMPLE_BYTES = 3
FULL_SCALE = 2**23 - 1
PIECE_FRAMES = 65_536
# How much of a file shows what it is.
HEAD_BYTES = 64 * 1024
MEDIA_TYPE = "audio/wav"


def is_needed(head: bytes) -> bool:
    """Return whether browsers cannot play the file that begins so."""
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return True
    at = head.find(b"fmt ", 12)
    is_wav = head[:4] in {b"RIFF", b"RF64"} and head[8:12] == b"WAVE"
    return is_wav and at > 0 and head[at + 22 : at + 24] == b"\x40\x00"


@dataclass(frozen=True)
class Rendition:
    """The shape of a rendition: frames per channel, rate in Hz."""

    frames: int
    rate: int
    channels: int

    @classmethod
    def of_file(cls, file: IO[bytes]) -> "Rendition":
        """Return the rendition of a seekable file; raises soundfile.LibsndfileError."""
        with soundfile.SoundFile(file) as sound:
            return cls(int(sound.frames), int(sound.samplerate), int(sound.channels))

    @property
    def size(self) -> int:
        return HEADER_BYTES + self.frames * self._frame_bytes

    @property
    def _frame_bytes(self) -> int:
        return SAMPLE_BYTES * self.channels

    def pieces(self, file: IO[bytes], start: int, count: int) -> Generator[bytes, None, None]:
        """Yield `count` bytes of the rendition from byte `start` on."""
        end = start + count
        if start < HEADER_BYTES:
            yield self._header()[start:end]
            start = HEADER_BYTES
        if start >= end:
            return
        frame, skipped = divmod(start - HEADER_BYTES, self._frame_bytes)
        left = end - start
        with soundfile.SoundFile(file) as sound:
            sound.seek(frame)
            while left > 0:
                block = sound.read(PIECE_FRAMES, dtype="float32", always_2d=True)
                if not len(block):
                    return
                piece = _packed(block)[skipped : skipped + left]
                skipped = 0
                left -= len(piece)
                yield piece

    def _header(self) -> bytes:
        data = self.frames * self._frame_bytes

        def number(value: int, count: int) -> bytes:
            largest = int(256**count - 1)
            return min(value, largest).to_bytes(count, "little")

        return b"".join(
            [
                b"RIFF", number(data + HEADER_BYTES - 8, 4), b"WAVEfmt ", number(16, 4),
                number(1, 2), number(self.channels, 2), number(self.rate, 4),
                number(self.rate * self._frame_bytes, 4), number(self._frame_bytes, 2),
                number(8 * SAMPLE_BYTES, 2), b"data", number(data, 4),
            ]
        )  # fmt: skip


def _packed(block: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> bytes:
    """Return samples as 24-bit little-endian integers; what is above full scale is clipped."""
    whole = np.rint(np.clip(block, -1.0, 1.0).astype(np.float64) * FULL_SCALE).astype("<i4")
    packed: bytes = whole.reshape(-1, 1).view(np.uint8)[:, :SAMPLE_BYTES].tobytes()
    return packed
