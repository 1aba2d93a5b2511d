"""What is remembered of a Job's pods: where they ran, and how the deleted ones ended.

A pod that is drained, preempted or deleted leaves the server with its exit code and its reason, and
since 1.31 its Job has failed only after that. So each end is stored on the Job while it can be
seen, where a process after a restart finds it too.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from workers.cluster import Phase
from workers.cluster.kube_status import DELETED, End, PodEnd, Raw, is_leaving, witness

# The label by which a pod names its Job; servers of every version set it.
JOB_NAME = "job-name"
# Annotations of a Job: ends by pod as JSON, and names of nodes with commas between.
ENDS = "backline/ends"
NODES = "backline/nodes"
PHASES: dict[str, Phase] = {"succeeded": "succeeded", "failed": "failed", "lost": "lost",
                            "preempted": "preempted"}  # fmt: skip


@dataclass(frozen=True)
class RememberedPods:
    """What is remembered of the pods of one Job, besides those on the server."""

    nodes: frozenset[str] = frozenset()
    ends: dict[str, PodEnd] = field(default_factory=dict)


def by_job(pods: Iterable[Raw]) -> defaultdict[str, list[Raw]]:
    """Group pods by the name of their Job."""
    by_name: defaultdict[str, list[Raw]] = defaultdict(list)
    for pod in pods:
        by_name[pod["metadata"]["labels"].get(JOB_NAME, "")].append(pod)
    return by_name


def has_information(pod: Raw) -> bool:
    """Whether this deleted pod had information that nothing else has. A pod that succeeded leaves
    the list in the same way; the Job has that end."""
    phase = pod["status"].get("phase")
    return phase != "Succeeded" and (phase == "Failed" or is_leaving(pod))


def read(job: Raw | None, vanished: Iterable[Raw] = ()) -> RememberedPods:
    """Return what the Job's annotations say, with the pods that this process has seen go."""
    annotations = (job or {}).get("metadata", {}).get("annotations") or {}
    ends = _ends(annotations.get(ENDS, ""))
    nodes = set(filter(None, annotations.get(NODES, "").split(",")))
    for pod in vanished:
        ends[pod["metadata"]["name"]] = _witness(pod)
        nodes.add(pod["spec"].get("nodeName") or "")
    return RememberedPods(frozenset(nodes - {""}), ends)


def missing_annotations(job: Raw, pods: Sequence[Raw], vanished: Sequence[Raw]) -> dict[str, str]:
    """Return the annotations that this Job lacks; none where it has them all.

    The end of a pod that stays need not be stored: it can be read from the pod.
    """
    stored = read(job)
    updated = read(job, vanished)
    ends = dict(updated.ends)
    for pod in pods:
        if is_leaving(pod) and (pod_end := witness(pod)) is not None:
            ends[pod["metadata"]["name"]] = pod_end
    missing = {}
    if ends.keys() - stored.ends.keys():
        missing[ENDS] = json.dumps(
            {pod: _written(pod_end) for pod, pod_end in sorted(ends.items())}
        )
    nodes = stored.nodes | {
        node for pod in (*pods, *vanished) if (node := pod["spec"].get("nodeName"))
    }
    count = int(job["spec"].get("parallelism") or 1)
    # Once, when all have their place: one by one they leave the list as they succeed.
    if count > 1 and nodes > stored.nodes and len(pods) + len(vanished) >= count:
        missing[NODES] = ",".join(sorted(nodes))
    return missing


def _witness(pod: Raw) -> PodEnd:
    return witness(pod, gone=True) or PodEnd(at="9999", deleted=True, end=DELETED)


def _written(witness: PodEnd) -> dict[str, object]:
    end = witness.end
    return {
        "at": witness.at,
        "dragged": witness.deleted,
        "phase": end.phase,
        "code": end.code,
        "reason": end.reason,
    }


def _ends(text: str) -> dict[str, PodEnd]:
    """Parse stored ends. Where somebody else has changed them, no note is better than no pass."""
    ends: dict[str, PodEnd] = {}
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        for pod, entry in json.loads(text or "{}").items():
            code = None if entry["code"] is None else int(entry["code"])
            end = End(PHASES[entry["phase"]], code, str(entry["reason"]))
            ends[pod] = PodEnd(at=str(entry["at"]), deleted=bool(entry["dragged"]), end=end)
    return ends
