"""Kueue, where it is installed: a suspended Job, its Workload and its place in the queue.

Pure functions of the API's JSON (kueue.x-k8s.io Workload, visibility.kueue.x-k8s.io), and the few
calls that fetch it. Without Kueue, priority classes and the portal's own order are the queue.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from workers.cluster.kube_api import Answer, Door, Raw
from workers.cluster.kube_status import condition

# The fields read here are the same in both; the newest that the server has is requested, as it
# warns about the older one, and drops it in time.
VERSIONS = ("v1beta2", "v1beta1")
GROUP = "kueue.x-k8s.io"
PLACES = "visibility.kueue.x-k8s.io"
LABEL = "kueue.x-k8s.io/queue-name"


@dataclass(frozen=True)
class QueuePosition:
    """Where a Job stands: a sentence, and why it lost its place after it had one."""

    reason: str = ""
    evicted: str = ""


def group_version(door: Door, group: str) -> str:
    """Return the version of an API group to request: the newest that we know and the server has,
    else the one that it prefers; empty if it does not have the group."""
    try:
        response = door.get(f"/apis/{group}")
    except Answer as answer:
        if answer.status == 404:
            return ""
        raise
    served = {version["version"] for version in response.get("versions") or []}
    preferred: str = response["preferredVersion"]["version"]
    return next((version for version in VERSIONS if version in served), preferred)


def queue_positions(door: Door, namespace: str, jobs: Iterable[Raw]) -> dict[str, QueuePosition]:
    """Return each suspended Job's position by name: a call for Workloads, one for each queue."""
    version = group_version(door, GROUP)
    if not version:
        return {}
    path = f"/apis/{GROUP}/{version}/namespaces/{namespace}/workloads"
    workloads = {_owner(workload): workload for workload in door.get(path)["items"]}
    queues = {job["metadata"].get("labels", {}).get(LABEL, "") for job in jobs} - {""}
    positions = _positions(door, namespace, queues)
    return {
        name: queue_position(workload, positions.get(name))
        for name, workload in workloads.items()
        if name
    }


def queue_position(workload: Raw, position: int | None = None) -> QueuePosition:
    evicted = condition(workload, "Evicted")
    if evicted:
        message = evicted.get("message", "")
        return QueuePosition(evicted=f"It had to make room in the queue. {message}".strip())
    admitted = condition(workload, "Admitted")
    if admitted:
        return QueuePosition("The queue has admitted it.")
    pending = condition(workload, "QuotaReserved", "False") or {}
    queue = workload["spec"].get("queueName", "")
    place = f", at place {position + 1}" if position is not None else ""
    message = pending.get("message", "")
    return QueuePosition(f"It waits in the queue {queue}{place}. {message}".strip())


def _positions(door: Door, namespace: str, queues: Iterable[str]) -> dict[str, int]:
    """Return places by Job; none where Kueue's on-demand visibility is not switched on."""
    positions: dict[str, int] = {}
    with suppress(Answer):
        version = group_version(door, PLACES)
        for queue in queues if version else ():
            path = f"/apis/{PLACES}/{version}/namespaces/{namespace}/localqueues/{queue}"
            for item in door.get(f"{path}/pendingworkloads").get("items") or []:
                positions[_owner(item)] = int(item["positionInLocalQueue"])
    return positions


def _owner(workload: Raw) -> str:
    """Return the name of the Job that a Workload was made for."""
    for owner in workload["metadata"].get("ownerReferences") or []:
        if owner["kind"] == "Job":
            name: str = owner["name"]
            return name
    return ""
