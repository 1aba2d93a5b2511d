"""What a Job and its pods say, as one status and one sentence. Pure functions of their JSON.

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
# A pod that should have been gone for so long is on a node that nobody hears.
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
class Witness:
    """The end of one pod: when its program ended, as text that sorts, and whether the pod had been
    told to go without a disruption, as the others are when the first has ended."""

    at: str
    dragged: bool
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
    ends: Mapping[str, Witness] | None = None,
) -> JobStatus:
    """The one status of a job.

    `pods` are those that have not succeeded; `warning` is what the cluster last said of the
    Job itself, `queue` where it stands in a queue, `evicted` why the queue took its place away;
    `nodes` and `ends` are what is remembered of pods that are there no more (kube_kept.py).
    """
    told = JobStatus(name, "pending", node=_nodes(pods, nodes))
    ends = ends or {}
    alive = [pod for pod in pods if _alive(pod, now)]
    if job is None:
        return _without_job(told, pods, alive, ends)
    if condition(job, "Complete"):
        return replace(told, phase="succeeded", exit_code=0)
    if not alive and _over(job, pods):
        return _ended(told, job, pods, ends)
    if (gone := _taken(job, pods, now)) is not None:
        return replace(told, phase=gone.phase, exit_code=gone.code, reason=gone.reason)
    if evicted and not alive:
        return replace(told, phase="preempted", reason=evicted)
    if not alive and ending(job):
        # Nothing runs any more; how it ended is said when its last pod has gone.
        return told
    if not pods:
        return replace(told, reason=_sentence(queue or warning))
    started = [pod for pod in pods if not _waits(pod)]
    if len(started) >= _wanted(job):
        return replace(told, phase="running")
    reason = next((why for pod in pods if _waits(pod) and (why := waiting(pod))), "")
    if not started:
        return replace(told, reason=reason)
    if _homeless(pods) and now > _first_start(started, now) + TOGETHER:
        # Two runs that each hold half of what they need would wait for each other for ever.
        reason = f"Only {len(pods) - _homeless(pods)} of its {_wanted(job)} nodes had room "
        return replace(told, phase="preempted", reason=f"{reason}within 5 minutes; it let them go.")
    counted = f"{len(started)} of {_wanted(job)} nodes have started."
    return replace(told, reason=f"{counted} {reason}".strip())


def waiting(pod: Raw) -> str:
    """Why this pod has not started, in a sentence; empty if that is only a moment's matter."""
    unplaced = condition(pod, "PodScheduled", "False")
    if unplaced:
        if unplaced.get("reason") == "SchedulingGated":
            return "The cluster's queue holds it back."
        return _sentence("No node has room for it: " + unplaced.get("message", ""))
    for container in _containers(pod):
        wait = container.get("state", {}).get("waiting") or {}
        reason, message = wait.get("reason", ""), wait.get("message", "")
        if reason in PULLS:
            return _sentence(f"The image {container.get('image', '')} cannot be pulled: {message}")
        if reason in MAKES:
            return _sentence(f"Its container cannot be made: {message}")
    node = pod["spec"].get("nodeName")
    return f"It has a place on {node}, which fetches its image." if node else ""


def end(pod: Raw) -> End | None:  # noqa: PLR0911 - as above.
    """How a pod ended, or None as long as it lives."""
    if pod["status"].get("phase") not in ("Failed", "Succeeded"):
        return None
    code, container = _exit(pod)
    known = _disruption(pod)
    if known is not None:
        return End(known.phase, code, known.reason)
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


def goes(pod: Raw) -> bool:
    """Whether the pod was told to go, or is about to be: what it says is not there for long."""
    return bool(pod["metadata"].get("deletionTimestamp") or condition(pod, "DisruptionTarget"))


def witness(pod: Raw, *, gone: bool = False) -> Witness | None:
    """How the pod ended, or None as long as it lives; one that is `gone` has ended."""
    found, known = end(pod), _disruption(pod)
    if found is None:
        if not gone:
            return None
        code, _ = _exit(pod)
        found = replace(known or DELETED, code=code)
    dragged = known is None and bool(pod["metadata"].get("deletionTimestamp"))
    if dragged and found.phase == "failed" and not found.reason:
        # It ended because somebody told the pod to go, whatever it made of that.
        found = replace(DELETED, code=found.code)
    return Witness(ended_at(pod), dragged, found)


def ending(job: Raw) -> bool:
    """Whether the Job's end is decided and its pods are still going: servers from 1.31 on have it
    failed or complete only when none is left."""
    return bool(condition(job, "FailureTarget") or condition(job, "SuccessCriteriaMet"))


def deadline(seconds: int | None) -> str:
    if not seconds:
        return "It reached its longest duration."
    hours = f"{seconds / 3600:.4g} h" if seconds >= 3600 else f"{seconds / 60:.4g} min"
    return f"It reached its longest duration, {hours}."


def condition(thing: Raw, kind: str, value: str = "True") -> Raw | None:
    """The condition of this type if it has this value."""
    for condition in thing.get("status", {}).get("conditions") or []:
        if condition["type"] == kind and condition["status"] == value:
            found: Raw = condition
            return found
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
    told: JobStatus, job: Raw, pods: Sequence[Raw], ends: Mapping[str, Witness]
) -> JobStatus:
    """The first of its pods that ended says why the Job did; without pods the Job itself."""
    first = _first_end(pods, ends)
    if CANCELLED in _annotations(job):
        code = first.code if first and first.code is not None else STOPPED
        reason = "It was killed after its grace had passed." if code == 137 else ""
        return replace(told, phase="failed", exit_code=code, reason=reason)
    if first is not None:
        return replace(told, phase=first.phase, exit_code=first.code, reason=first.reason)
    failed = condition(job, "Failed") or {}
    if failed.get("reason") == "DeadlineExceeded":
        seconds = job["spec"].get("activeDeadlineSeconds")
        return replace(told, phase="failed", reason=deadline(seconds))
    if failed.get("reason") == "PodFailurePolicy" and "DisruptionTarget" in failed["message"]:
        return replace(told, phase="preempted", reason="It had to make room.")
    return replace(told, phase=DELETED.phase, reason=DELETED.reason)


def _without_job(
    told: JobStatus, pods: Sequence[Raw], alive: Sequence[Raw], ends: Mapping[str, Witness]
) -> JobStatus:
    """Somebody deleted the Job. Pods that still end do so first: two must not run at once."""
    if alive:
        phase: Phase = "pending" if all(_waits(pod) for pod in alive) else "running"
        return replace(told, phase=phase, reason="Its Job was deleted; its pods are ending.")
    first = _first_end(pods, ends)
    if first is not None and first.phase != "failed" and first.reason != DELETED.reason:
        return replace(told, phase=first.phase, exit_code=first.code, reason=first.reason)
    return replace(told, phase="lost", reason="Its Job was deleted in the cluster.")


def _taken(job: Raw, pods: Sequence[Raw], now: datetime) -> End | None:
    """The end of a Job that does not know it yet: its pod is on a dead node, or was replaced.

    Servers before 1.26 replace a deleted pod; the replacement must not count as the attempt.
    """
    lost = next((pod for pod in pods if _deserted(pod, now)), None)
    if lost is not None:
        return End("lost", None, f"Node {lost['spec'].get('nodeName', '')} does not answer.")
    first = _annotations(job).get(STARTED)
    if first and pods and all(pod["metadata"]["uid"] != first for pod in pods):
        return DELETED
    return None


def _first_end(pods: Sequence[Raw], ends: Mapping[str, Witness]) -> End | None:
    """Of several ends the first: the others were ended because of it."""
    seen = {pod["metadata"]["name"]: found for pod in pods if (found := witness(pod))}
    known = {**ends, **seen}
    if not known:
        return None
    first = min(known, key=lambda name: (known[name].at, known[name].dragged, name))
    return known[first].end


def ended_at(pod: Raw) -> str:
    """When its program ended, as text that sorts; of one that goes on, after all others."""
    for container in _containers(pod):
        at = (container.get("state", {}).get("terminated") or {}).get("finishedAt")
        if at:
            return str(at)
    return "9999"


def _exit(pod: Raw) -> tuple[int | None, Raw]:
    """The exit code of its program, and all that is said about its end."""
    for container in _containers(pod):
        ended = container.get("state", {}).get("terminated")
        if ended:
            return ended.get("exitCode"), ended
    return None, {}


def _disruption(pod: Raw) -> End | None:
    """What was done to the pod, if it did not end by its own doing."""
    target = condition(pod, "DisruptionTarget")
    reason, message = pod["status"].get("reason", ""), pod["status"].get("message", "")
    if target:
        phase, words = DISRUPTIONS.get(target.get("reason", ""), ("preempted", "It was disrupted."))
        return End(phase, None, _join(words, target.get("message") or message))
    if reason in POD_REASONS or reason.startswith("OutOf"):
        phase, words = POD_REASONS.get(reason, POD_REASONS["UnexpectedAdmissionError"])
        return End(phase, None, _join(words, message))
    return None


# --- Of pods --------------------------------------------------------------------------------


def _alive(pod: Raw, now: datetime) -> bool:
    return pod["status"].get("phase") not in ("Succeeded", "Failed") and not _deserted(pod, now)


def _deserted(pod: Raw, now: datetime) -> bool:
    """Whether it was told to go and nobody is there who would end it."""
    gone = pod["metadata"].get("deletionTimestamp")
    if not gone or pod["status"].get("phase") in ("Succeeded", "Failed"):
        return False
    return now > moment(gone) + OVERDUE or _unheard(pod)


def _unheard(pod: Raw) -> bool:
    """Whether its node was silent before it was told to go.

    The control plane calls a pod of a silent node unready, while its containers still say that
    they run; without a readiness probe nothing else does.
    """
    unready = condition(pod, "Ready", "False")
    if unready is None or not any(
        "running" in container.get("state", {}) for container in _containers(pod)
    ):
        return False
    grace = timedelta(seconds=pod["metadata"].get("deletionGracePeriodSeconds") or 0)
    told = moment(pod["metadata"]["deletionTimestamp"]) - grace
    return moment(unready["lastTransitionTime"]) < told


def _waits(pod: Raw) -> bool:
    phase: str = pod["status"].get("phase", "Pending")
    return phase == "Pending"


def _homeless(pods: Sequence[Raw]) -> int:
    """How many of these pods no node has room for."""
    return sum(_waits(pod) and bool(condition(pod, "PodScheduled", "False")) for pod in pods)


def _first_start(pods: Sequence[Raw], now: datetime) -> datetime:
    """When the first of these pods was taken by its node."""
    told = [at for pod in pods if (at := pod["status"].get("startTime"))]
    return min(map(moment, told), default=now)


def _nodes(pods: Sequence[Raw], before: Collection[str]) -> str:
    """All that it has run on, also those whose pods have ended before the others."""
    names = sorted({*before, *(node for pod in pods if (node := pod["spec"].get("nodeName")))})
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _wanted(job: Raw) -> int:
    """How many pods are to run now; those that have succeeded are not among the listed ones."""
    done = job.get("status", {}).get("succeeded") or 0
    return max(1, int(job["spec"].get("parallelism") or 1) - int(done))


def _containers(pod: Raw) -> list[Raw]:
    found: list[Raw] = pod["status"].get("containerStatuses") or []
    return found


def _limit(pod: Raw) -> str:
    limits = pod["spec"]["containers"][0].get("resources", {}).get("limits", {})
    text = str(limits.get("memory", "not known"))
    for ending in ("Gi", "Mi"):
        if text.endswith(ending):
            return f"{text.removesuffix(ending)} {ending}B"
    return text


def _annotations(thing: Raw) -> dict[str, str]:
    found: dict[str, str] = thing["metadata"].get("annotations") or {}
    return found


def _join(sentence: str, message: str) -> str:
    return f"{sentence} {_sentence(message)}".strip() if message else sentence


def _sentence(text: str) -> str:
    """The cluster's own words, with a full stop and not too many of them."""
    text = " ".join(text.split()).rstrip(" :")
    if len(text) > 400:
        text = text[:399] + "…"
    return text if not text or text[-1] in ".!?…" else f"{text}."
