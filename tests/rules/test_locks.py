"""How rows are locked: what tests/races proves for some verbs, all code keeps to."""

import re

from django.conf import settings

ROOMS = ("audio", "portal", "rights", "experiments", "audio_samples", "listening", "workers")
LOCK = re.compile(r"\.select_for_update\((?!no_key=True)")


def test_rows_are_never_locked_as_keys() -> None:
    """A lock as a key makes everybody wait who only points to the row (an insert, in PostgreSQL):
    who has the turn of portal/database/commit_order.py then waits for somebody who waits for the
    turn."""
    found = [
        f"{path.relative_to(settings.BASE_DIR)}: {line.strip()}"
        for room in ROOMS
        for path in (settings.BASE_DIR / room).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if LOCK.search(line)
    ]
    assert not found, "Say select_for_update(no_key=True)."
