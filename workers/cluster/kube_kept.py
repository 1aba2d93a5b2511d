"""What is remembered of a Job's pods: where they ran, and how those ended that are there no more.

A pod that is drained away, preempted or told to go leaves the server with its exit code and its
reason, and since 1.31 its Job has failed only after that. So each end is noted on the Job while it
can be seen, where whoever comes after a restart finds it too.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from workers.cluster import Phase
from workers.cluster.kube_status import DELETED, End, Raw, Witness, goes, witness

# The label by which a pod names its Job; servers of every version set it.
JOB_NAME = "job-name"
# Annotations of a Job: ends by pod as JSON, and names of nodes with commas between.
ENDS = "backline/ends"
NODES = "backline/nodes"
PHASES: dict[str, Phase] = {"succeeded": "succeeded", "failed": "failed", "lost": "lost",
                            "preempted": "preempted"}  # fmt: skip


@dataclass(frozen=True)
class KeptPods:
    """What is known of the pods of one Job beside those that are there."""

    nodes: frozenset[str] = frozenset()
    ends: dict[str, Witness] = field(default_factory=dict)


def by_job(pods: Iterable[Raw]) -> defaultdict[str, list[Raw]]:
    """Pods by the name of their Job."""
    found: defaultdict[str, list[Raw]] = defaultdict(list)
    for pod in pods:
        found[pod["metadata"]["labels"].get(JOB_NAME, "")].append(pod)
    return found


def spoke(pod: Raw) -> bool:
    """Whether this pod, which is there no more, had something to say that nobody else knows. Who
    succeeds leaves the list in the same way; that end is the Job's."""
    phase = pod["status"].get("phase")
    return phase != "Succeeded" and (phase == "Failed" or goes(pod))


def read(job: Raw | None, gone: Iterable[Raw] = ()) -> KeptPods:
    """What the Job's notes say, and the pods that this process has seen go."""
    notes = (job or {}).get("metadata", {}).get("annotations") or {}
    ends = _ends(notes.get(ENDS, ""))
    nodes = set(filter(None, notes.get(NODES, "").split(",")))
    for pod in gone:
        ends[pod["metadata"]["name"]] = _witness(pod)
        nodes.add(pod["spec"].get("nodeName") or "")
    return KeptPods(frozenset(nodes - {""}), ends)


def notes(job: Raw, pods: Sequence[Raw], gone: Sequence[Raw]) -> dict[str, str]:
    """The annotations that this Job has not and should have; none where it has them all.

    Of a pod that stays, the end need not be noted: it can be read from the pod.
    """
    had = read(job)
    seen = read(job, gone)
    ends = dict(seen.ends)
    for pod in pods:
        if goes(pod) and (found := witness(pod)) is not None:
            ends[pod["metadata"]["name"]] = found
    wanted = {}
    if ends.keys() - had.ends.keys():
        wanted[ENDS] = json.dumps({pod: _written(one) for pod, one in sorted(ends.items())})
    nodes = had.nodes | {node for pod in (*pods, *gone) if (node := pod["spec"].get("nodeName"))}
    count = int(job["spec"].get("parallelism") or 1)
    # Once, when all have their place: one by one they leave the list as they end well.
    if count > 1 and nodes > had.nodes and len(pods) + len(gone) >= count:
        wanted[NODES] = ",".join(sorted(nodes))
    return wanted


def _witness(pod: Raw) -> Witness:
    return witness(pod, gone=True) or Witness(at="9999", dragged=True, end=DELETED)


def _written(witness: Witness) -> dict[str, object]:
    end = witness.end
    return {
        "at": witness.at,
        "dragged": witness.dragged,
        "phase": end.phase,
        "code": end.code,
        "reason": end.reason,
    }


def _ends(text: str) -> dict[str, Witness]:
    """Whatever a stranger's hand has left there, no note is better than no round."""
    found: dict[str, Witness] = {}
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        for pod, told in json.loads(text or "{}").items():
            code = None if told["code"] is None else int(told["code"])
            end = End(PHASES[told["phase"]], code, str(told["reason"]))
            found[pod] = Witness(at=str(told["at"]), dragged=bool(told["dragged"]), end=end)
    return found
