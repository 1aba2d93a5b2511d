"""Jobs of a Kubernetes cluster, in one namespace. The only module that imports `kubernetes`.

All state is the cluster's: a Job with its labels and annotations, a Secret of the same name with
what nobody may read in the Job, for many nodes a Service. HTTP and its errors are in kube_api.py,
lists and watches in kube_watch.py; what Jobs and pods say becomes a status in kube_status.py.
"""

import re
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from kubernetes import client, config

from workers.cluster import (
    Event,
    Job,
    JobStatus,
    Refused,
    Unavailable,
    kube_events,
    kube_memory,
    kube_queue,
    manifests,
)
from workers.cluster.kube_api import Answer, Door, Raw, refusal, trouble
from workers.cluster.kube_memory import JOB_NAME
from workers.cluster.kube_queue import QueuePosition
from workers.cluster.kube_status import CANCELLED, STARTED, condition, ended_at, is_ending, status
from workers.cluster.kube_watch import Bell, Mirror

OURS = "app.kubernetes.io/name=backline-run"
END_STORED = "backline/seen"
RANK = "batch.kubernetes.io/job-completion-index"
# Indexed and suspended Jobs are stable since this version; a much older server silently drops those
# fields and would start the wrong thing.
INDEXED_JOBS = (1, 24)
# Servers before this may start a second pod for a Job whose first one was deleted.
ONE_POD = (1, 29)
VERSION_SECONDS = 300.0
LOG_BYTES = 64 * 1024


def connect(path: str = "", context: str = "") -> client.ApiClient:
    """Connect by the kubeconfig at `path`; without it by the pod's account, else ~/.kube/config."""
    untyped: Any = config
    try:
        if not path and not context:
            with suppress(config.ConfigException):
                settings = client.Configuration()
                untyped.load_incluster_config(client_configuration=settings)
                return client.ApiClient(settings)
        api: client.ApiClient = untyped.new_client_from_config(
            path or None, context=context or None
        )
    except config.ConfigException as error:
        raise Unavailable(f"No way to the cluster (KUBE_CONFIG, KUBE_CONTEXT): {error}") from error
    return api


class KubernetesCluster:
    """`wake` is called, from another thread, when something in the cluster has changed."""

    slots: int | None = None

    def __init__(
        self,
        api: Any,
        *,
        namespace: str,
        image: str,
        priority: str = "",
        queue: str = "",
        context: str = "",
        wake: Callable[[], None] | None = None,
    ) -> None:
        self._door = Door(api)
        self._namespace = namespace
        self._image = image
        self._priority = priority
        self._queue = queue
        self._context = context
        changed = Bell(wake).changed if wake else lambda: None
        self._jobs = Mirror(
            self._door,
            self._job(),
            {"labelSelector": f"{OURS},!{END_STORED}"},
            changed=changed,
            missed=lambda job: END_STORED not in job["metadata"]["labels"],
        )
        # The Job has the end of a pod that succeeded; without those pods the list stays short.
        pods = {"labelSelector": OURS, "fieldSelector": "status.phase!=Succeeded"}
        self._pods = Mirror(
            self._door,
            self._core("pods"),
            pods,
            changed=changed,
            missed=kube_memory.has_information,
        )
        self._events = Mirror(self._door, self._core("events"))
        self._events_read: tuple[int, dict[str, list[Event]]] = (-1, {})
        self._version_read: tuple[float, tuple[int, int]] | None = None

    # --- What the portal calls ------------------------------------------------------------

    def create(self, job: Job) -> None:
        try:
            self._refuse_if_too_old(job)
            self._make(job)
        except Answer as answer:
            raise refusal(answer) from answer

    def observe(self) -> dict[str, JobStatus]:
        """Return statuses from the watched lists: no call at all while the watches respond."""
        try:
            return self._observe()
        except Answer as answer:
            raise trouble(answer) from answer

    def names(self) -> set[str]:
        """Ask the server: the watched lists leave out Jobs whose end was stored."""
        try:
            response = self._door.get(self._job(), {"labelSelector": OURS})
        except Answer as answer:
            raise trouble(answer) from answer
        return {job["metadata"]["name"] for job in response["items"]}

    def cancel(self, name: str, grace: float) -> None:
        """The Job stays, as the record of its end: its deadline is moved to now."""
        # A grace of zero would remove the pod from the server while its program still runs.
        change = {
            "metadata": {"annotations": {CANCELLED: str(max(1, round(grace)))}},
            "spec": {"activeDeadlineSeconds": 1},
        }
        job = self._jobs.get(name)
        if job is not None and (_finished(job) or CANCELLED in _annotations(job)):
            return
        with _unknown_is_no_error():
            if job is not None or not _finished(self._door.get(self._job(name))):
                self._jobs.put(self._door.patch(self._job(name), change))

    def logs(self, name: str, lines: int = 50) -> list[str]:
        """Return the lines; the node that ended first comes last: it says why the others ended."""
        try:
            pods = self._pods_of(name)
        except Answer as answer:
            raise trouble(answer) from answer
        output: list[str] = []
        for pod in sorted(pods, key=lambda pod: (ended_at(pod), _rank(pod)), reverse=True):
            path = self._core("pods", pod["metadata"]["name"]) + "/log"
            query = {"tailLines": str(lines), "limitBytes": str(LOG_BYTES)}
            # If the pod has not started, or its node is gone, there are none.
            with suppress(Answer):
                text = self._door.text(path, query).splitlines()[-lines:]
                output += (
                    [f"[node {_rank(pod)}] {line}" for line in text] if len(pods) > 1 else text
                )
        return output

    def forget(self, name: str) -> None:
        with _unknown_is_no_error():
            listed = self._jobs.get(name)
            self._jobs.drop(name)
            for pod in kube_memory.by_job(self._pods.vanished().values())[name]:
                self._pods.drop(pod["metadata"]["name"])
            job = listed or self._door.get(self._job(name))
            if _finished(job):
                self._door.patch(self._job(name), {"metadata": {"labels": {END_STORED: "true"}}})
            else:
                # It would start, or go on, and nobody would read its end.
                self._delete(self._job(name))
        self._delete(self._core("secrets", name))

    def purge(self, before: float, keep: Container[str]) -> list[str]:  # noqa: ARG002
        """Delete nothing: Jobs have `ttlSecondsAfterFinished` (k8s/jobs/run.yaml)."""
        return []

    def events(self, name: str) -> list[Event]:
        try:
            objects = self._events.objects()
            self._events.follow()
        except Answer as answer:
            raise trouble(answer) from answer
        revision, events = self._events_read
        if revision != self._events.revision:
            events = kube_events.by_job(objects)
            self._events_read = (self._events.revision, events)
        return events.get(name, [])

    def look(self, name: str) -> str:
        context = f" --context {self._context}" if self._context else ""
        return f"kubectl{context} -n {self._namespace} describe job {name}"

    def version(self) -> tuple[int, int]:
        """Return e.g. (1, 29), asked again now and then: servers are upgraded meanwhile."""
        now = time.monotonic()
        if self._version_read is None or now - self._version_read[0] > VERSION_SECONDS:
            response = self._door.get("/version")
            # Some vendors write "29+".
            minor = int(re.sub(r"\D.*", "", response["minor"]) or 0)
            self._version_read = (now, (int(response["major"]), minor))
        return self._version_read[1]

    def close(self) -> None:
        for mirror in (self._jobs, self._pods, self._events):
            mirror.close()

    # --- Creating -------------------------------------------------------------------------

    def _refuse_if_too_old(self, job: Job) -> None:
        if job.nodes > 1 and (server := self.version()) < INDEXED_JOBS:
            raise Refused(
                f"This cluster runs Kubernetes {server[0]}.{server[1]}, which has no Indexed Jobs: "
                f"a run on {job.nodes} nodes needs 1.24 or newer. Choose one node."
            )

    def _make(self, job: Job) -> None:
        """Create Secret, Service and Job, then make the Job the owner of the other two."""
        manifest = manifests.kubernetes(
            job,
            image=job.image or self._image,
            priority=job.priority or self._priority,
            queue=self._queue_of(job),
        )
        companions = {self._core("secrets"): manifests.secret(job)}
        if job.nodes > 1:
            companions[self._core("services")] = manifests.service(job)
        for path, body in companions.items():
            self._put(path, body)
        try:
            created = self._door.post(self._job(), manifest)
        except Answer as answer:
            if answer.status != 409:
                for path in companions:
                    self._delete(f"{path}/{job.name}")
                raise
            # "Already exists": a response to us was lost, or another pass was faster.
            created = self._door.get(self._job(job.name))
            if END_STORED in created["metadata"]["labels"] or STARTED in _annotations(created):
                self._delete(self._core("secrets", job.name))
                return
        self._jobs.put(created)
        ownership = {"metadata": {"ownerReferences": [manifests.owner(created)]}}
        for path in companions:
            self._door.patch(f"{path}/{job.name}", ownership)

    def _put(self, path: str, body: Raw) -> None:
        try:
            self._door.post(path, body)
        except Answer as answer:
            if answer.status != 409:
                raise
            if "stringData" in body:
                name = body["metadata"]["name"]
                self._door.patch(f"{path}/{name}", {"stringData": body["stringData"]})

    def _queue_of(self, job: Job) -> str:
        """Return the named queue, if this cluster can suspend a Job and has Kueue to resume it."""
        queue = job.queue or self._queue
        if not queue or self.version() < INDEXED_JOBS:
            return ""
        return queue if kube_queue.group_version(self._door, kube_queue.GROUP) else ""

    # --- Observing ------------------------------------------------------------------------

    def _observe(self) -> dict[str, JobStatus]:
        # Jobs before pods: a Job that is seen to have ended then has no unknown pod.
        jobs = {job["metadata"]["name"]: job for job in self._jobs.objects()}
        self._jobs.follow()
        pods = kube_memory.by_job(self._pods.objects())
        self._pods.follow()
        vanished = kube_memory.by_job(self._pods.vanished().values())
        self._maintain(jobs, pods, vanished)
        suspended = [job for job in jobs.values() if job["spec"].get("suspend")]
        positions = (
            kube_queue.queue_positions(self._door, self._namespace, suspended) if suspended else {}
        )
        statuses = {
            name: self._status(
                name, job, pods[name], vanished[name], positions.get(name, QueuePosition())
            )
            for name, job in jobs.items()
        }
        # What is left of Jobs that somebody deleted.
        deleted = self._jobs.vanished()
        for name in deleted.keys() - jobs.keys():
            remembered = kube_memory.read(deleted[name], vanished[name])
            now = self._door.now()
            statuses[name] = status(
                name, None, pods[name], now=now, nodes=remembered.nodes, ends=remembered.ends
            )
        for name in vanished.keys() - statuses.keys():
            # Another process has stored how that Job ended.
            for pod in vanished[name]:
                self._pods.drop(pod["metadata"]["name"])
        return statuses

    def _status(
        self,
        name: str,
        job: Raw,
        pods: Sequence[Raw],
        vanished: Sequence[Raw],
        position: QueuePosition,
    ) -> JobStatus:
        warning = ""
        remembered = kube_memory.read(self._jobs.get(name) or job, vanished)
        if not pods and not remembered.ends and condition(job, "Failed"):
            # The watch of the pods may be behind that of the Jobs.
            pods = self._pods_of(name)
        elif not (pods or _finished(job) or is_ending(job) or job["spec"].get("suspend")):
            warnings = [event.message for event in self.events(name) if event.kind == "Warning"]
            warning = warnings[-1] if warnings else ""
        return status(
            name,
            job,
            pods,
            now=self._door.now(),
            warning=warning,
            queue=position.reason,
            evicted=position.evicted,
            nodes=remembered.nodes,
            ends=remembered.ends,
        )

    def _pods_of(self, name: str) -> list[Raw]:
        query = {"labelSelector": f"{JOB_NAME}={name}"}
        pods: list[Raw] = self._door.get(self._core("pods"), query)["items"]
        return pods

    def _maintain(
        self,
        jobs: Mapping[str, Raw],
        pods: Mapping[str, Sequence[Raw]],
        vanished: Mapping[str, Sequence[Raw]],
    ) -> None:
        """Do what the controllers do not do for us, once for each Job that needs it."""
        for name, job in jobs.items():
            if notes := kube_memory.missing_annotations(
                job, pods.get(name, ()), vanished.get(name, ())
            ):
                with _unknown_is_no_error():
                    change = {"metadata": {"annotations": notes}}
                    self._jobs.put(self._door.patch(self._job(name), change))
            grace = _annotations(job).get(CANCELLED)
            if grace is not None:
                self._shorten_grace(pods.get(name, ()), int(grace))
            elif not (_finished(job) or STARTED in _annotations(job) or _has_ranks(job)):
                self._hold_to_one_pod(name, pods.get(name, ()))

    def _shorten_grace(self, pods: Sequence[Raw], grace: int) -> None:
        """Shorten the pods' grace: the controller ends them with their own; we were asked for less.

        Whatever the Job's status: since 1.31 it has failed only when they are gone.
        """
        for pod in pods:
            pod_grace = pod["metadata"].get("deletionGracePeriodSeconds")
            if pod_grace is not None and pod_grace > grace:
                path = self._core("pods", pod["metadata"]["name"])
                with _unknown_is_no_error():
                    self._pods.put(self._door.delete(path, gracePeriodSeconds=grace))

    def _hold_to_one_pod(self, name: str, pods: Sequence[Raw]) -> None:
        """On an old server, note which pod has the Job, and delete the Secret that others need.

        The program of a second pod would run under the same attempt. Without the Secret its
        container is never made.
        """
        started = [pod for pod in pods if pod["status"].get("phase") == "Running"]
        if started and self.version() < ONE_POD:
            note = {"metadata": {"annotations": {STARTED: started[0]["metadata"]["uid"]}}}
            with _unknown_is_no_error():
                self._jobs.put(self._door.patch(self._job(name), note))
                self._delete(self._core("secrets", name))

    # --- Paths and helpers ----------------------------------------------------------------

    def _delete(self, path: str) -> None:
        with _unknown_is_no_error():
            self._door.delete(path, propagationPolicy="Background")

    def _job(self, name: str = "") -> str:
        return f"/apis/batch/v1/namespaces/{self._namespace}/jobs" + (f"/{name}" if name else "")

    def _core(self, kind: str, name: str = "") -> str:
        return f"/api/v1/namespaces/{self._namespace}/{kind}" + (f"/{name}" if name else "")


@contextmanager
def _unknown_is_no_error() -> Iterator[None]:
    try:
        yield
    except Answer as answer:
        if answer.status != 404:
            raise trouble(answer) from answer


def _has_ranks(job: Raw) -> bool:
    return int(job["spec"].get("parallelism") or 1) > 1


def _finished(job: Raw) -> bool:
    return bool(condition(job, "Complete") or condition(job, "Failed"))


def _annotations(item: Raw) -> dict[str, str]:
    annotations: dict[str, str] = item["metadata"].get("annotations") or {}
    return annotations


def _rank(pod: Raw) -> int:
    return int(_annotations(pod).get(RANK, 0))
