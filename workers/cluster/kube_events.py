"""What the cluster says about Jobs, their pods and their Workloads: Events, by the run's Job."""

import re
from collections import defaultdict
from collections.abc import Sequence

from workers.cluster import Event
from workers.cluster.kube_status import Raw, moment

NAMES = re.compile(r"run-[0-9a-f]+-\d+")


def by_job(raw: Sequence[Raw]) -> dict[str, list[Event]]:
    """Events of a Job, of its pods and of its Workload: the names of all begin with the Job's."""
    found: dict[str, list[Event]] = defaultdict(list)
    for item in raw:
        about = NAMES.search((item.get("involvedObject") or {}).get("name", ""))
        if about:
            found[about[0]].append(event(item))
    return {name: sorted(told, key=lambda e: e.at) for name, told in found.items()}


def event(raw: Raw) -> Event:
    """core/v1 Event, in its older and in its newer spelling."""
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
