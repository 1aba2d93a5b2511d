"""What the cluster says of runs: why one waits, and the timeline of its events.

A round has the words of every job at once, and writes them in a handful of statements.
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
AT_ONCE = 500

Row = TypeVar("Row")


class JobEvent(Protocol):
    """One thing that a cluster says of a job: workers.cluster.Event is one."""

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


def waits(told: Iterable[tuple[Attempt, str]]) -> None:
    """Why jobs have not started: their runs carry the sentence."""
    by_reason: dict[str, list[UUID]] = defaultdict(list)
    for attempt, reason in told:
        by_reason[reason[:500]].append(attempt.run_id)
    for reason, ids in by_reason.items():
        for some in _parts(ids):
            waiting = Run.objects.filter(pk__in=some, state=State.STARTING)
            waiting.exclude(state_reason=reason).update(state_reason=reason)


def note_events(told: Iterable[tuple[Attempt, Iterable[JobEvent]]]) -> None:
    """Keep what the cluster said. Told again it counts once; a grown count is taken over."""
    named = {(attempt.pk, event.uid[:100]): event for attempt, events in told for event in events}
    for some in _parts(list(named)):
        _note({key: named[key] for key in some})


def _note(told: dict[tuple[int, str], JobEvent]) -> None:
    attempts, uids = {attempt for attempt, _ in told}, {uid for _, uid in told}
    rows = ClusterEvent.objects.filter(attempt__in=attempts, uid__in=uids)
    known = {
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
            for (attempt, uid), event in told.items()
            if known.get((attempt, uid)) != event.count
        ],
        update_conflicts=True,
        unique_fields=["attempt", "uid"],
        update_fields=["at", "message", "count"],
    )


def _parts(rows: list[Row]) -> Iterable[list[Row]]:
    return (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))


# --- Reads ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventLine:
    """What the cluster said, as often in a row as it said it; `at` is the last time."""

    at: datetime
    attempt: int
    warning: bool
    reason: str
    message: str
    count: int


def timeline(run: Run) -> list[EventLine]:
    """The last things that the cluster said about a run, newest last."""
    rows = ClusterEvent.objects.filter(attempt__run=run).select_related("attempt")
    return together(reversed(rows.order_by("-at", "-pk")[:TIMELINE]))


def together(events: Iterable[ClusterEvent]) -> list[EventLine]:
    """The same words of the same attempt one after the other are one line with a count."""
    lines: list[EventLine] = []
    for event in events:
        said = EventLine(
            at=event.at,
            attempt=event.attempt.number,
            warning=event.kind == "Warning",
            reason=event.reason,
            message=event.message,
            count=event.count,
        )
        last = lines[-1] if lines else None
        if last and replace(last, at=said.at, count=said.count) == said:
            lines[-1] = replace(said, count=last.count + said.count)
        else:
            lines.append(said)
    return lines
