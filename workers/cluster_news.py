"""What the cluster reports on all jobs in one reconcile pass, stored together at its end."""

import logging

from experiments.models import Attempt
from experiments.runs import runs
from workers.cluster import Cluster, Event, Unavailable

log = logging.getLogger(__name__)

# By job: how many events this process has stored, and the sum of their counts. Losing it costs
# only a query.
_noted: dict[str, tuple[int, int]] = {}


class ClusterEvents:
    """The news of one pass. Usually there is none, and then the database is not queried."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._waits: list[tuple[Attempt, str]] = []
        self._events: list[tuple[Attempt, list[Event]]] = []

    def waits(self, attempt: Attempt, reason: str) -> None:
        """Note why the attempt's job has not started."""
        self._waits.append((attempt, reason))

    def events(self, attempt: Attempt) -> None:
        """Note the job's events if there are new ones since the last pass. Events that cannot be
        read do not stop the pass."""
        try:
            events = self._cluster.events(attempt.job_name)
        except Unavailable as error:
            log.info("%s", error)
            return
        if events and _noted.get(attempt.job_name) != _mark(events):
            self._events.append((attempt, events))

    def write(self) -> None:
        runs.store_wait_reasons(self._waits)
        runs.store_events(self._events)
        for attempt, events in self._events:
            if attempt.state in Attempt.OPEN_STATES:
                _noted[attempt.job_name] = _mark(events)


def forget(attempt: Attempt) -> None:
    """Drop the note on a job that has ended: it has no more events."""
    _noted.pop(attempt.job_name, None)


def _mark(events: list[Event]) -> tuple[int, int]:
    return len(events), sum(event.count for event in events)
