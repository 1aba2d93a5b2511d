"""Turns a Job and its pods into one status and one sentence. Pure functions of their JSON.

Field names are those of batch/v1 and core/v1; the reasons of pods are the kubelet's and the
scheduler's, the conditions of disruption those of "Pod failure policy" in Kubernetes' docs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from workers.cluster import PREEMPTED_CODE, JobStatus, Phase

Raw = dict[str, Any]

CANCELLED = "backline/cancelled"  # Annotation: we asked it to stop.
STARTED = "backline/pod"  # Annotation: the uid of the one pod that may run it.
STOPPED = 143
# A pod that should have been gone for this long is on a node that does not answer.
OVERDUE = timedelta(seconds=20)
# How long the first nodes of a run are held while others have no room. Less than torchrun's ten
# minutes, after which its own programs would give up and the attempt would count as failed.
TOGETHER = timedelta(minutes=5)

# Why a container waits, when waiting alone will not help.
PULLS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
MAKES = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")

# DisruptionTarget's reasons.
DISRUPTIONS: dict[str, tuple[Phase, str]] = {
    "PreemptionByScheduler": ("preempted", "It had to make room for a run of higher priority."),
    "PreemptionByKubeScheduler": ("preempted", "It had to make room for a run of higher priority."),
    "DeletionByTaintManager": ("lost", "Its node is gone or takes no more runs."),
    "EvictionByEvictionAPI": ("preempted", "It was evicted: its node is being emptied."),
    "DeletionByPodGC": ("lost", "Its node is gone."),
    "TerminationByKubelet": ("preempted", "Its node ended it to save itself or to shut down."),
}
# status.reason of a pod that the node itself ended or never took.
POD_REASONS: dict[str, tuple[Phase, str]] = {
    "Evicted": ("preempted", "It was evicted from its node."),
    "Preempting": ("preempted", "It had to make room for a run of higher priority."),
    "Preempted": ("preempted", "It had to make room for a run of higher priority."),
    "NodeLost": ("lost", "Its node is gone."),
    "NodeShutdown": ("lost", "Its node was shut down."),
    "Shutdown": ("lost", "Its node was shut down."),
    "Terminated": ("lost", "Its node was shut down."),
    "UnexpectedAdmissionError": ("lost", "Its node could not take it after all."),
}


@dataclass(frozen=True)
class End:
    """How one pod ended."""

    phase: Phase
    code: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class PodEnd:
    """The end of one pod: when its program ended, as text that sorts, and whether the pod was being
    deleted without a disruption, as the others are when the first has ended."""

    at: str
    deleted: bool
    end: End


DELETED = End("lost", None, "Its pod was deleted in the cluster.")


def status(  # noqa: PLR0911 - read from top to bottom: the first that fits is the status.
    name: str,
    job: Raw | None,
    pods: Sequence[Raw],
    *,
    now: datetime,
    warning: str = "",
    queue: str = "",
    evicted: str = "",
    nodes: Collection[str] = (),
    ends: Mapping[str, PodEnd] | None = None,
) -> JobStatus:
    """Return the one status of a job.

    `pods` are those that have not succeeded; `warning` is the cluster's last warning about the
    Job itself, `queue` where it stands in a queue, `evicted` why the queue took its place away;
    `nodes` and `ends` are what is remembered of deleted pods (kube_memory.py).
    """
    pending = JobStatus(name, "pending", node=_nodes(pods, nodes), image=_image(pods))
    ends = ends or {}
    alive = [pod for pod in pods if _alive(pod, now)]
    if job is None:
        return _without_job(pending, pods, alive, ends)
    if condition(job, "Complete"):
        return replace(pending, phase="succeeded", exit_code=0)
    if not alive and _over(job, pods):
        return _ended(pending, job, pods, ends)
    if (taken := _early_end(job, pods, now)) is not None:
        return replace(pending, phase=taken.phase, exit_code=taken.code, reason=taken.reason)
    if evicted and not alive:
        return replace(pending, phase="preempted", reason=evicted)
    if not alive and is_ending(job):
        # Nothing runs any more; how it ended is known when its last pod is gone.
        return pending
    if not pods:
        return replace(pending, reason=_sentence(queue or warning))
    started = [pod for pod in pods if not _waits(pod)]
    if len(started) >= _wanted(job):
        return replace(pending, phase="running")
    reason = next((why for pod in pods if _waits(pod) and (why := waiting(pod))), "")
    if not started:
        return replace(pending, reason=reason)
    if _unplaced_count(pods) and now > _first_start(started, now) + TOGETHER:
        # Two runs that each hold half of what they need would wait for each other for ever.
        reason = f"Only {len(pods) - _unplaced_count(pods)} of its {_wanted(job)} nodes had room "
        return replace(
            pending, phase="preempted", reason=f"{reason}within 5 minutes; it let them go."
        )
    counted = f"{len(started)} of {_wanted(job)} nodes have started."
    return replace(pending, reason=f"{counted} {reason}".strip())


def waiting(pod: Raw) -> str:
    """Return why this pod has not started, in a sentence; empty if it will start in a moment."""
    unplaced = condition(pod, "PodScheduled", "False")
    if unplaced:
        if unplaced.get("reason") == "SchedulingGated":
            return "The cluster's queue holds it back."
        return _sentence("No node has room for it: " + unplaced.get("message", ""))
    for container in _containers(pod):
        waiting_state = container.get("state", {}).get("waiting") or {}
        reason, message = waiting_state.get("reason", ""), waiting_state.get("message", "")
        if reason in PULLS:
            return _sentence(f"The image {container.get('image', '')} cannot be pulled: {message}")
        if reason in MAKES:
            return _sentence(f"Its container cannot be made: {message}")
    node = pod["spec"].get("nodeName")
    return f"It has a place on {node}, which fetches its image." if node else ""


def end(pod: Raw) -> End | None:  # noqa: PLR0911 - as above.
    """Return how a pod ended, or None while it runs."""
    if pod["status"].get("phase") not in ("Failed", "Succeeded"):
        return None
    code, container = _exit(pod)
    disruption = _disruption(pod)
    if disruption is not None:
        return End(disruption.phase, code, disruption.reason)
    if pod["status"].get("reason") == "DeadlineExceeded":
        return End("failed", code, deadline(pod["spec"].get("activeDeadlineSeconds")))
    if container.get("reason") == "OOMKilled":
        return End("failed", code, f"Out of memory: the limit is {_limit(pod)}.")
    if code == PREEMPTED_CODE:
        return End("preempted", code, "It had to make room and saved a checkpoint.")
    if code == 0:
        return End("succeeded", 0)
    message = container.get("message") or pod["status"].get("message", "")
    return End("failed", code, _sentence(message) if code is None else "")


def is_leaving(pod: Raw) -> bool:
    """Whether the pod is being deleted, or is about to be: what it says is not there for long."""
    return bool(pod["metadata"].get("deletionTimestamp") or condition(pod, "DisruptionTarget"))


def witness(pod: Raw, *, gone: bool = False) -> PodEnd | None:
    """Return how the pod ended, or None while it runs; a pod that is `gone` has ended."""
    pod_end, disruption = end(pod), _disruption(pod)
    if pod_end is None:
        if not gone:
            return None
        code, _ = _exit(pod)
        pod_end = replace(disruption or DELETED, code=code)
    dragged = disruption is None and bool(pod["metadata"].get("deletionTimestamp"))
    if dragged and pod_end.phase == "failed" and not pod_end.reason:
        # It failed because somebody deleted the pod, whatever its exit code.
        pod_end = replace(DELETED, code=pod_end.code)
    return PodEnd(ended_at(pod), dragged, pod_end)


def is_ending(job: Raw) -> bool:
    """Whether the Job's end is decided while pods are still ending: servers from 1.31 on set it
    failed or complete only when none is left."""
    return bool(condition(job, "FailureTarget") or condition(job, "SuccessCriteriaMet"))


def deadline(seconds: int | None) -> str:
    if not seconds:
        return "It reached its longest duration."
    hours = f"{seconds / 3600:.4g} h" if seconds >= 3600 else f"{seconds / 60:.4g} min"
    return f"It reached its longest duration, {hours}."


def condition(item: Raw, kind: str, value: str = "True") -> Raw | None:
    """Return the condition of this type if it has this value."""
    for entry in item.get("status", {}).get("conditions") or []:
        if entry["type"] == kind and entry["status"] == value:
            match: Raw = entry
            return match
    return None


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


# --- How it ended ---------------------------------------------------------------------------


def _over(job: Raw, pods: Sequence[Raw]) -> bool:
    """Whether nothing more will run: failed, or stopped before it had a pod."""
    if condition(job, "Failed"):
        return True
    return CANCELLED in _annotations(job) and not pods and not job["status"].get("startTime")


def _ended(
    pending: JobStatus, job: Raw, pods: Sequence[Raw], ends: Mapping[str, PodEnd]
) -> JobStatus:
    """Return the Job's end: the first of its pods to end says why; without pods the Job itself."""
    first = _first_end(pods, ends)
    if CANCELLED in _annotations(job):
        code = first.code if first and first.code is not None else STOPPED
        reason = "It was killed after its grace had passed." if code == 137 else ""
        return replace(pending, phase="failed", exit_code=code, reason=reason)
    if first is not None:
        return replace(pending, phase=first.phase, exit_code=first.code, reason=first.reason)
    failed = condition(job, "Failed") or {}
    if failed.get("reason") == "DeadlineExceeded":
        seconds = job["spec"].get("activeDeadlineSeconds")
        return replace(pending, phase="failed", reason=deadline(seconds))
    if failed.get("reason") == "PodFailurePolicy" and "DisruptionTarget" in failed["message"]:
        return replace(pending, phase="preempted", reason="It had to make room.")
    return replace(pending, phase=DELETED.phase, reason=DELETED.reason)


def _without_job(
    pending: JobStatus, pods: Sequence[Raw], alive: Sequence[Raw], ends: Mapping[str, PodEnd]
) -> JobStatus:
    """Somebody deleted the Job. It waits for pods that still run: two must not run at once."""
    if alive:
        phase: Phase = "pending" if all(_waits(pod) for pod in alive) else "running"
        return replace(pending, phase=phase, reason="Its Job was deleted; its pods are ending.")
    first = _first_end(pods, ends)
    if first is not None and first.phase != "failed" and first.reason != DELETED.reason:
        return replace(pending, phase=first.phase, exit_code=first.code, reason=first.reason)
    return replace(pending, phase="lost", reason="Its Job was deleted in the cluster.")


def _early_end(job: Raw, pods: Sequence[Raw], now: datetime) -> End | None:
    """Return the end that a Job does not show yet: its pod is on a dead node, or was replaced.

    Servers before 1.26 replace a deleted pod; the replacement must not count as the attempt.
    """
    lost = next((pod for pod in pods if _deserted(pod, now)), None)
    if lost is not None:
        return End("lost", None, f"Node {lost['spec'].get('nodeName', '')} does not answer.")
    first = _annotations(job).get(STARTED)
    if first and pods and all(pod["metadata"]["uid"] != first for pod in pods):
        return DELETED
    return None


def _first_end(pods: Sequence[Raw], ends: Mapping[str, PodEnd]) -> End | None:
    """Return the first of several ends: the other pods were ended because of it."""
    listed = {pod["metadata"]["name"]: pod_end for pod in pods if (pod_end := witness(pod))}
    all_ends = {**ends, **listed}
    if not all_ends:
        return None
    first = min(all_ends, key=lambda name: (all_ends[name].at, all_ends[name].deleted, name))
    return all_ends[first].end


def ended_at(pod: Raw) -> str:
    """Return when the pod's program ended, as text that sorts; one that goes on sorts last."""
    for container in _containers(pod):
        at = (container.get("state", {}).get("terminated") or {}).get("finishedAt")
        if at:
            return str(at)
    return "9999"


def _exit(pod: Raw) -> tuple[int | None, Raw]:
    """Return the exit code of the pod's program, and the terminated state of its container."""
    for container in _containers(pod):
        ended = container.get("state", {}).get("terminated")
        if ended:
            return ended.get("exitCode"), ended
    return None, {}


def _disruption(pod: Raw) -> End | None:
    """Return the end that was forced on the pod, if it did not end by itself."""
    target = condition(pod, "DisruptionTarget")
    reason, message = pod["status"].get("reason", ""), pod["status"].get("message", "")
    if target:
        phase, sentence = DISRUPTIONS.get(
            target.get("reason", ""), ("preempted", "It was disrupted.")
        )
        return End(phase, None, _join(sentence, target.get("message") or message))
    if reason in POD_REASONS or reason.startswith("OutOf"):
        phase, sentence = POD_REASONS.get(reason, POD_REASONS["UnexpectedAdmissionError"])
        return End(phase, None, _join(sentence, message))
    return None


# --- Pods -----------------------------------------------------------------------------------


def _alive(pod: Raw, now: datetime) -> bool:
    return pod["status"].get("phase") not in ("Succeeded", "Failed") and not _deserted(pod, now)


def _deserted(pod: Raw, now: datetime) -> bool:
    """Whether the pod is being deleted and no node is there to end it."""
    deleted_at = pod["metadata"].get("deletionTimestamp")
    if not deleted_at or pod["status"].get("phase") in ("Succeeded", "Failed"):
        return False
    return now > moment(deleted_at) + OVERDUE or _node_was_silent(pod)


def _node_was_silent(pod: Raw) -> bool:
    """Whether the pod's node was silent before the pod was deleted.

    The control plane marks a pod of a silent node unready, while its containers are still listed
    as running; without a readiness probe nothing else does.
    """
    unready = condition(pod, "Ready", "False")
    if unready is None or not any(
        "running" in container.get("state", {}) for container in _containers(pod)
    ):
        return False
    grace = timedelta(seconds=pod["metadata"].get("deletionGracePeriodSeconds") or 0)
    deleted_at = moment(pod["metadata"]["deletionTimestamp"]) - grace
    return moment(unready["lastTransitionTime"]) < deleted_at


def _waits(pod: Raw) -> bool:
    phase: str = pod["status"].get("phase", "Pending")
    return phase == "Pending"


def _unplaced_count(pods: Sequence[Raw]) -> int:
    """Return how many of these pods no node has room for."""
    return sum(_waits(pod) and bool(condition(pod, "PodScheduled", "False")) for pod in pods)


def _first_start(pods: Sequence[Raw], now: datetime) -> datetime:
    """Return when the first of these pods was accepted by its node; `now` if none was."""
    starts = [at for pod in pods if (at := pod["status"].get("startTime"))]
    return min(map(moment, starts), default=now)


def _image(pods: Sequence[Mapping[str, Any]]) -> str:
    """Return the image that the newest pod runs, by its digest; empty until it is pulled."""
    for pod in reversed(pods):
        for container in pod.get("status", {}).get("containerStatuses") or []:
            if "@sha256:" in (image := str(container.get("imageID") or "")):
                return image.partition("://")[2] or image
    return ""


def _nodes(pods: Sequence[Raw], before: Collection[str]) -> str:
    """Return the nodes that the job ran on, also those whose pods ended before the others."""
    names = sorted({*before, *(node for pod in pods if (node := pod["spec"].get("nodeName")))})
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _wanted(job: Raw) -> int:
    """Return how many pods should run now; those that have succeeded are not listed."""
    done = job.get("status", {}).get("succeeded") or 0
    return max(1, int(job["spec"].get("parallelism") or 1) - int(done))


def _containers(pod: Raw) -> list[Raw]:
    containers: list[Raw] = pod["status"].get("containerStatuses") or []
    return containers


def _limit(pod: Raw) -> str:
    limits = pod["spec"]["containers"][0].get("resources", {}).get("limits", {})
    text = str(limits.get("memory", "not known"))
    for unit in ("Gi", "Mi"):
        if text.endswith(unit):
            return f"{text.removesuffix(unit)} {unit}B"
    return text


def _annotations(item: Raw) -> dict[str, str]:
    annotations: dict[str, str] = item["metadata"].get("annotations") or {}
    return annotations


def _join(sentence: str, message: str) -> str:
    return f"{sentence} {_sentence(message)}".strip() if message else sentence


def _sentence(text: str) -> str:
    """Return the cluster's own message, shortened and with a full stop."""
    text = " ".join(text.split()).rstrip(" :")
    if len(text) > 400:
        text = text[:399] + "…"
    return text if not text or text[-1] in ".!?…" else f"{text}."
