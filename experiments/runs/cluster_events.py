"""What the cluster reports about runs: why a run waits, and the timeline of its events.

A reconcile pass has the reports of every job at once, and writes them in a handful of statements.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from experiments.models import Attempt, ClusterEvent, Run
from experiments.runs.states import State

# Events that a run's page shows.
TIMELINE = 200
# Rows of one statement.
BATCH_SIZE = 500

Row = TypeVar("Row")


class JobEvent(Protocol):
    """An event that a cluster reports about a job, such as workers.cluster.Event."""

    @property
    def uid(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def kind(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def count(self) -> int: ...


def store_wait_reasons(reasons: Iterable[tuple[Attempt, str]]) -> None:
    """Store why jobs have not started, as a sentence in their runs."""
    by_reason: dict[str, list[UUID]] = defaultdict(list)
    for attempt, reason in reasons:
        by_reason[reason[:500]].append(attempt.run_id)
    for reason, ids in by_reason.items():
        for batch in _parts(ids):
            waiting = Run.objects.filter(pk__in=batch, state=State.STARTING)
            waiting.exclude(state_reason=reason).update(state_reason=reason)


def store_events(by_attempt: Iterable[tuple[Attempt, Iterable[JobEvent]]]) -> None:
    """Store events of the cluster. One that is reported again is one row with a new count."""
    by_key = {
        (attempt.pk, event.uid[:100]): event for attempt, events in by_attempt for event in events
    }
    for batch in _parts(list(by_key)):
        _note({key: by_key[key] for key in batch})


def _note(events: dict[tuple[int, str], JobEvent]) -> None:
    attempts, uids = {attempt for attempt, _ in events}, {uid for _, uid in events}
    rows = ClusterEvent.objects.filter(attempt__in=attempts, uid__in=uids)
    stored_counts = {
        (attempt_pk, uid): count
        for attempt_pk, uid, count in rows.values_list("attempt", "uid", "count")
    }
    ClusterEvent.objects.bulk_create(
        [
            ClusterEvent(
                attempt_id=attempt,
                uid=uid,
                at=event.at,
                kind=event.kind[:10],
                reason=event.reason[:100],
                message=event.message[:1000],
                count=event.count,
            )
            for (attempt, uid), event in events.items()
            if stored_counts.get((attempt, uid)) != event.count
        ],
        update_conflicts=True,
        unique_fields=["attempt", "uid"],
        update_fields=["at", "message", "count"],
    )


def _parts(rows: list[Row]) -> Iterable[list[Row]]:
    return (rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE))


# --- Reads ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventLine:
    """An event, and how often in a row the cluster reported it; `at` is the last time."""

    at: datetime
    attempt: int
    warning: bool
    reason: str
    message: str
    count: int


def timeline(run: Run) -> list[EventLine]:
    """Return the last events that the cluster reported about a run, newest last."""
    rows = ClusterEvent.objects.filter(attempt__run=run).select_related("attempt")
    return merge_repeats(reversed(rows.order_by("-at", "-pk")[:TIMELINE]))


def merge_repeats(events: Iterable[ClusterEvent]) -> list[EventLine]:
    """Merge equal events of an attempt that follow each other into one line with a count."""
    lines: list[EventLine] = []
    for event in events:
        line = EventLine(
            at=event.at,
            attempt=event.attempt.number,
            warning=event.kind == "Warning",
            reason=event.reason,
            message=event.message,
            count=event.count,
        )
        last = lines[-1] if lines else None
        if last and replace(last, at=line.at, count=line.count) == line:
            lines[-1] = replace(line, count=last.count + line.count)
        else:
            lines.append(line)
    return lines
