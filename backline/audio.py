"""Samples as a file: 32-bit float WAV, so that nothing is scaled, clipped or dithered."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

IEEE_FLOAT = 3


def samples_of(audio: Any) -> Any:
    """Return what numpy can read of samples, also of a live tensor of torch or one in bf16."""
    if hasattr(audio, "detach"):
        audio = audio.detach().cpu().float().numpy()
    return audio


def write_wav(path: Path, audio: npt.ArrayLike, *, sample_rate: int) -> None:
    """Write samples of the shape (channels, frames) or (frames,); full scale is 1.0.

    Raises ValueError for another shape or rate.
    """
    samples = np.asarray(audio, dtype="<f4")
    if samples.ndim == 1:
        samples = samples[np.newaxis]
    if samples.ndim != 2 or samples.size == 0 or samples.shape[0] > 32:
        raise ValueError(
            f"Audio has the shape (channels, frames), with 1 to 32 channels; not {samples.shape}."
        )
    if not 1 <= sample_rate <= 768_000:
        raise ValueError(f"{sample_rate} Hz is no sample rate.")
    channels, frames = samples.shape
    data = np.ascontiguousarray(samples.T).tobytes()
    layout = struct.pack(
        "<HHIIHH", IEEE_FLOAT, channels, sample_rate, sample_rate * channels * 4, channels * 4, 32
    )
    # Formats other than PCM state their number of frames in a separate chunk.
    chunks = b"fmt " + struct.pack("<I", 16) + layout + b"fact" + struct.pack("<II", 4, frames)
    chunks += b"data" + struct.pack("<I", len(data))
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 4 + len(chunks) + len(data)) + b"WAVE" + chunks)
        file.write(data)
