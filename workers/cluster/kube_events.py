"""The cluster's Events on Jobs, their pods and their Workloads, by the run's Job."""

import re
from collections import defaultdict
from collections.abc import Sequence

from workers.cluster import Event
from workers.cluster.kube_status import Raw, moment

NAMES = re.compile(r"run-[0-9a-f]+-\d+")


def by_job(raw: Sequence[Raw]) -> dict[str, list[Event]]:
    """Group Events of a Job, its pods and its Workload: all their names begin with the Job's."""
    events: dict[str, list[Event]] = defaultdict(list)
    for item in raw:
        match = NAMES.search((item.get("involvedObject") or {}).get("name", ""))
        if match:
            events[match[0]].append(event(item))
    return {name: sorted(listed, key=lambda e: e.at) for name, listed in events.items()}


def event(raw: Raw) -> Event:
    """Convert a core/v1 Event, with its older or its newer field names."""
    series = raw.get("series") or {}
    at = (
        series.get("lastObservedTime")
        or raw.get("lastTimestamp")
        or raw.get("eventTime")
        or raw["metadata"]["creationTimestamp"]
    )
    return Event(
        uid=raw["metadata"]["uid"],
        at=moment(at),
        kind="Warning" if raw.get("type") == "Warning" else "Normal",
        reason=raw.get("reason") or "",
        message=raw.get("message") or raw.get("note") or "",
        count=series.get("count") or raw.get("count") or 1,
    )
