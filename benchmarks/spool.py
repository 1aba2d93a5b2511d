"""What it costs that a delivery is on the disk before it is laid down: with fsync and without.

The spool lies below TMPDIR: point that to the disk in question.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np

from backline import batches
from backline.delivery.spool import Session, Spool
from backline.delivery.writer import FLUSH_SECONDS

ROUNDS = 200
STEP_SECONDS = 0.02
METRICS = 10


def batch() -> bytes:
    """What half a second of such steps leaves: ten metrics each."""
    steps = round(FLUSH_SECONDS / STEP_SECONDS)
    values = np.random.default_rng(1).normal(size=(METRICS, steps))
    names = tuple(f"metric_{number}" for number in range(METRICS))
    times = np.linspace(1e9, 1e9 + FLUSH_SECONDS, steps)
    table = batches.Table(names=names, steps=np.arange(steps), times=times, values=values)
    return batches.encode([table])


def laid(folder: Path, content: bytes) -> tuple[list[float], float]:
    """Seconds for each delivery, and processor seconds for one."""
    session = Session(url="", token="", run="r", session="s", pid=os.getpid(), pid_started=0.0)
    spool, took, used = Spool.create(folder, session), [], time.process_time()
    for _ in range(ROUNDS):
        began = time.perf_counter()
        spool.put("batch", content)
        took.append(time.perf_counter() - began)
    return sorted(took), (time.process_time() - used) / ROUNDS


def main() -> None:
    content = batch()
    print(f"| A delivery of {len(content):,} bytes | median ms | 95 % | worst | processor ms |")
    print("|---|--:|--:|--:|--:|")
    used = []
    with tempfile.TemporaryDirectory() as folder:
        for title, sync in (("without fsync", lambda _: None), ("with fsync", os.fsync)):
            with patch("os.fsync", sync):
                took, each = laid(Path(folder), content)
            used.append(each)
            shown = (statistics.median(took), took[int(0.95 * ROUNDS)], took[-1], each)
            print(f"| {title} | " + " | ".join(f"{1000 * seconds:.2f}" for seconds in shown) + " |")
    share = (used[1] - used[0]) * STEP_SECONDS / FLUSH_SECONDS / STEP_SECONDS
    print(f"\nOf a step of {1000 * STEP_SECONDS:.0f} ms that is {100 * share:.2f} %.")


if __name__ == "__main__":
    main()
