"""The digest of a file's sound: the same for all files that decode to the same samples."""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt


class Digest:
    """SHA-256 of decoded sound that comes in (frames, channels) blocks at a rate in Hz, whatever
    is written around the samples. It does not depend on where blocks end."""

    def __init__(self, *, rate: int, channels: int) -> None:
        self._digest = hashlib.sha256(f"{rate} {channels}\n".encode())

    def add(self, block: npt.NDArray[Any]) -> None:
        self._digest.update(np.ascontiguousarray(block, dtype="<f4").data)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def digest(sound: npt.NDArray[Any], *, rate: int) -> str:
    """Return the digest of all of (channels, frames)."""
    sound_digest = Digest(rate=rate, channels=sound.shape[0])
    sound_digest.add(sound.T)
    return sound_digest.hexdigest()
