"""What the cluster says of all jobs in one round, written down together at its end."""

import logging

from experiments.models import Attempt
from experiments.runs import runs
from workers.cluster import Cluster, Event, Unavailable

log = logging.getLogger(__name__)

# By job: how many events this process has written down, with their counts. Losing it costs a
# query, no more.
_noted: dict[str, tuple[int, int]] = {}


class News:
    """Usually there is none, and then nothing is asked of the database."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._waits: list[tuple[Attempt, str]] = []
        self._events: list[tuple[Attempt, list[Event]]] = []

    def waits(self, attempt: Attempt, reason: str) -> None:
        """Why its job has not started."""
        self._waits.append((attempt, reason))

    def events(self, attempt: Attempt) -> None:
        """What was said of its job since the last round. Words that cannot be read hold nothing
        up."""
        try:
            found = self._cluster.events(attempt.job_name)
        except Unavailable as error:
            log.info("%s", error)
            return
        if found and _noted.get(attempt.job_name) != _mark(found):
            self._events.append((attempt, found))

    def write(self) -> None:
        runs.waits(self._waits)
        runs.note_events(self._events)
        for attempt, found in self._events:
            if attempt.state in Attempt.OPEN_STATES:
                _noted[attempt.job_name] = _mark(found)


def forget(attempt: Attempt) -> None:
    """Of a job that has ended nothing more is said."""
    _noted.pop(attempt.job_name, None)


def _mark(events: list[Event]) -> tuple[int, int]:
    return len(events), sum(event.count for event in events)
