"""Sound for tests. Without pytest: worlds that are processes of their own make it too."""

import io

import numpy as np
import soundfile


def tone(
    *,
    seconds: float = 2.0,
    frequency: float = 440.0,
    rate: int = 44_100,
    channels: int = 2,
    amplitude: float = 0.3,
    format: str = "FLAC",  # noqa: A002
) -> io.BytesIO:
    """A sine as a file in memory, positioned at its start."""
    time = np.arange(int(seconds * rate)) / rate
    wave = (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, np.stack([wave] * channels, axis=1), rate, format=format)
    file.seek(0)
    return file
