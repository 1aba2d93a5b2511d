"""Chromaprint (libchromaprint by pyacoustid) on the recordings and clips of screening.py.

Prints JSON: for each clip the best share of equal bits in a window of four seconds over all
recordings and all distances in time, with the recording; and seconds of processor.
"""

import json
import sys
import time
from pathlib import Path

import chromaprint
import numpy as np

# One item is 4096 / 3 samples at 11,025 Hz.
ITEM = 4096 / 3 / 11_025
WINDOW = round(4 / ITEM)


def fingerprint(audio: np.ndarray, rate: int) -> np.ndarray:
    made = chromaprint.Fingerprinter()
    made.start(rate, audio.shape[1])
    made.feed(audio.tobytes())
    items, _ = chromaprint.decode_fingerprint(made.finish())
    return np.array(items, dtype=np.int64).astype(np.uint32)


def closest(clip: np.ndarray, recording: np.ndarray) -> float:
    """The best share of equal bits in a window, over all distances in time."""
    bits = np.bitwise_count(clip[:, None] ^ recording[None, :]).astype(np.int32)
    size = min(WINDOW, len(clip), len(recording))
    best = 32 * size
    for shift in range(size - len(clip), len(recording) - size + 1):
        sums = np.concatenate([[0], np.cumsum(np.diagonal(bits, shift))])
        if len(sums) > size:
            best = min(best, int((sums[size:] - sums[:-size]).min()))
    return 1 - best / (32 * size)


def main() -> None:
    folder, rate = Path(sys.argv[1]), int(sys.argv[2])
    with np.load(folder / "recordings.npz") as kept:
        audio = [kept[name] for name in sorted(kept)]
    began = time.process_time()
    recordings = [fingerprint(wave, rate) for wave in audio]
    printing = (time.process_time() - began) / len(audio) * 180 * rate / len(audio[0])
    scores = []
    with np.load(folder / "clips.npz") as kept:
        began = time.process_time()
        for name in sorted(kept):
            clip = fingerprint(kept[name], rate)
            each = [closest(clip, recording) for recording in recordings]
            scores.append((max(each), int(np.argmax(each))))
        looking = (time.process_time() - began) / len(scores)
    print(json.dumps({"scores": scores, "recording": printing, "clip": looking}))


if __name__ == "__main__":
    main()
