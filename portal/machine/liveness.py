"""Signs of life for probes: a file that a worker or a clock touches for as long as it works.

Asking a worker by `celery inspect` would start a Python for each probe. Without its broker a worker
touches nothing either: a probe has more patience than a broker's restart takes.
"""

from pathlib import Path
from typing import Any

from celery.signals import beat_init, before_task_publish, heartbeat_sent, worker_ready


def touch_from_now_on(path: Path) -> None:
    """A worker's heart beats every two seconds; a clock sends something every few seconds."""

    def touch(**_: Any) -> None:
        path.touch()

    for sign in (worker_ready, heartbeat_sent, beat_init, before_task_publish):
        sign.connect(touch, weak=False)
