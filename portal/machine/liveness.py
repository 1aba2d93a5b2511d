"""Liveness for probes: a file that a worker or a clock touches for as long as it works.

Asking a worker by `celery inspect` would start a Python for each probe. Without its broker a worker
does not touch the file either: a probe waits longer than a broker's restart takes.
"""

from pathlib import Path
from typing import Any

from celery.signals import beat_init, before_task_publish, heartbeat_sent, worker_ready


def touch_from_now_on(path: Path) -> None:
    """Touch it at a worker's heartbeats (every 2 s) and a clock's messages (every few seconds)."""

    def touch(**_: Any) -> None:
        path.touch()

    for signal in (worker_ready, heartbeat_sent, beat_init, before_task_publish):
        signal.connect(touch, weak=False)
