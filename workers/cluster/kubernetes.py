"""Jobs of a Kubernetes cluster, in one namespace. The only door to the `kubernetes` package.

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
    kube_kept,
    kube_queue,
    manifests,
)
from workers.cluster.kube_api import Answer, Door, Raw, refusal, trouble
from workers.cluster.kube_kept import JOB_NAME
from workers.cluster.kube_queue import QueuePosition
from workers.cluster.kube_status import CANCELLED, STARTED, condition, ended_at, ending, status
from workers.cluster.kube_watch import Bell, Mirror

OURS = "app.kubernetes.io/name=backline-run"
SEEN = "backline/seen"
RANK = "batch.kubernetes.io/job-completion-index"
# Indexed and suspended Jobs are stable since then; long before, a server drops those fields
# without a word and would start the wrong thing.
INDEXED_JOBS = (1, 24)
# Servers before this may start a second pod for a Job whose first one was deleted.
ONE_POD = (1, 29)
VERSION_SECONDS = 300.0
LOG_BYTES = 64 * 1024


def connect(path: str = "", context: str = "") -> client.ApiClient:
    """By the kubeconfig at `path`; without one by the pod's own account, else ~/.kube/config."""
    untyped: Any = config
    try:
        if not path and not context:
            with suppress(config.ConfigException):
                settings = client.Configuration()
                untyped.load_incluster_config(client_configuration=settings)
                return client.ApiClient(settings)
        found: client.ApiClient = untyped.new_client_from_config(
            path or None, context=context or None
        )
    except config.ConfigException as error:
        raise Unavailable(f"No way to the cluster (KUBE_CONFIG, KUBE_CONTEXT): {error}") from error
    return found


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
        told = Bell(wake).changed if wake else lambda: None
        self._jobs = Mirror(
            self._door,
            self._job(),
            {"labelSelector": f"{OURS},!{SEEN}"},
            changed=told,
            missed=lambda job: SEEN not in job["metadata"]["labels"],
        )
        # The end of a pod that succeeded is its Job's; without them a list stays short.
        pods = {"labelSelector": OURS, "fieldSelector": "status.phase!=Succeeded"}
        self._pods = Mirror(
            self._door, self._core("pods"), pods, changed=told, missed=kube_kept.spoke
        )
        self._events = Mirror(self._door, self._core("events"))
        self._events_read: tuple[int, dict[str, list[Event]]] = (-1, {})
        self._version_read: tuple[float, tuple[int, int]] | None = None

    # --- What the portal asks -------------------------------------------------------------

    def create(self, job: Job) -> None:
        try:
            self._refuse_if_too_old(job)
            self._make(job)
        except Answer as answer:
            raise refusal(answer) from answer

    def observe(self) -> dict[str, JobStatus]:
        """From the lists that the watches keep: no call at all as long as those are heard."""
        try:
            return self._observe()
        except Answer as answer:
            raise trouble(answer) from answer

    def names(self) -> set[str]:
        """Asked of the server: the lists that are kept leave out what was seen to end."""
        try:
            found = self._door.get(self._job(), {"labelSelector": OURS})
        except Answer as answer:
            raise trouble(answer) from answer
        return {job["metadata"]["name"] for job in found["items"]}

    def cancel(self, name: str, grace: float) -> None:
        """The Job stays, as the record of its end: its deadline is moved to now."""
        # A grace of none would take the pod out of the books while its program still runs.
        change = {
            "metadata": {"annotations": {CANCELLED: str(max(1, round(grace)))}},
            "spec": {"activeDeadlineSeconds": 1},
        }
        known = self._jobs.get(name)
        if known is not None and (_finished(known) or CANCELLED in _annotations(known)):
            return
        with _unknown_is_no_error():
            if known is not None or not _finished(self._door.get(self._job(name))):
                self._jobs.put(self._door.patch(self._job(name), change))

    def logs(self, name: str, lines: int = 50) -> list[str]:
        """Of many nodes the one that ended first comes last: it says why the others ended."""
        try:
            pods = self._pods_of(name)
        except Answer as answer:
            raise trouble(answer) from answer
        told: list[str] = []
        for pod in sorted(pods, key=lambda pod: (ended_at(pod), _rank(pod)), reverse=True):
            path = self._core("pods", pod["metadata"]["name"]) + "/log"
            query = {"tailLines": str(lines), "limitBytes": str(LOG_BYTES)}
            # It has not started, or its node is gone: then there are none.
            with suppress(Answer):
                text = self._door.text(path, query).splitlines()[-lines:]
                told += [f"[node {_rank(pod)}] {line}" for line in text] if len(pods) > 1 else text
        return told

    def forget(self, name: str) -> None:
        with _unknown_is_no_error():
            known = self._jobs.get(name)
            self._jobs.drop(name)
            for pod in kube_kept.by_job(self._pods.vanished().values())[name]:
                self._pods.drop(pod["metadata"]["name"])
            job = known or self._door.get(self._job(name))
            if _finished(job):
                self._door.patch(self._job(name), {"metadata": {"labels": {SEEN: "true"}}})
            else:
                # It would start, or go on, with nobody who reads its end.
                self._delete(self._job(name))
        self._delete(self._core("secrets", name))

    def purge(self, before: float, keep: Container[str]) -> list[str]:  # noqa: ARG002
        """Jobs go by themselves: `ttlSecondsAfterFinished` in k8s/jobs/run.yaml."""
        return []

    def events(self, name: str) -> list[Event]:
        try:
            found = self._events.objects()
            self._events.follow()
        except Answer as answer:
            raise trouble(answer) from answer
        revision, known = self._events_read
        if revision != self._events.revision:
            known = kube_events.by_job(found)
            self._events_read = (self._events.revision, known)
        return known.get(name, [])

    def look(self, name: str) -> str:
        context = f" --context {self._context}" if self._context else ""
        return f"kubectl{context} -n {self._namespace} describe job {name}"

    def version(self) -> tuple[int, int]:
        """(1, 29), asked again now and then: servers are upgraded under way."""
        now = time.monotonic()
        if self._version_read is None or now - self._version_read[0] > VERSION_SECONDS:
            told = self._door.get("/version")
            # Some vendors write "29+".
            minor = int(re.sub(r"\D.*", "", told["minor"]) or 0)
            self._version_read = (now, (int(told["major"]), minor))
        return self._version_read[1]

    def close(self) -> None:
        for mirror in (self._jobs, self._pods, self._events):
            mirror.close()

    # --- Creating -------------------------------------------------------------------------

    def _refuse_if_too_old(self, job: Job) -> None:
        if job.nodes > 1 and (found := self.version()) < INDEXED_JOBS:
            raise Refused(
                f"This cluster runs Kubernetes {found[0]}.{found[1]}, which has no Indexed Jobs: "
                f"a run on {job.nodes} nodes needs 1.24 or newer. Choose one node."
            )

    def _make(self, job: Job) -> None:
        """Secret, Service, Job, and then the Job as the owner of the other two."""
        manifest = manifests.kubernetes(
            job,
            image=job.image or self._image,
            priority=job.priority or self._priority,
            queue=self._queue_of(job),
        )
        beside = {self._core("secrets"): manifests.secret(job)}
        if job.nodes > 1:
            beside[self._core("services")] = manifests.service(job)
        for path, body in beside.items():
            self._put(path, body)
        try:
            made = self._door.post(self._job(), manifest)
        except Answer as answer:
            if answer.status != 409:
                for path in beside:
                    self._delete(f"{path}/{job.name}")
                raise
            # "Already exists": an answer to us was lost, or another round was faster.
            made = self._door.get(self._job(job.name))
            if SEEN in made["metadata"]["labels"] or STARTED in _annotations(made):
                self._delete(self._core("secrets", job.name))
                return
        self._jobs.put(made)
        owned = {"metadata": {"ownerReferences": [manifests.owner(made)]}}
        for path in beside:
            self._door.patch(f"{path}/{job.name}", owned)

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
        """The queue that was named, if this cluster can suspend a Job and has who resumes it."""
        queue = job.queue or self._queue
        if not queue or self.version() < INDEXED_JOBS:
            return ""
        return queue if kube_queue.group_version(self._door, kube_queue.GROUP) else ""

    # --- Observing ------------------------------------------------------------------------

    def _observe(self) -> dict[str, JobStatus]:
        # Jobs before pods: whoever is seen to have ended has no pod that is not known yet.
        jobs = {job["metadata"]["name"]: job for job in self._jobs.objects()}
        self._jobs.follow()
        pods = kube_kept.by_job(self._pods.objects())
        self._pods.follow()
        gone = kube_kept.by_job(self._pods.vanished().values())
        self._tend(jobs, pods, gone)
        suspended = [job for job in jobs.values() if job["spec"].get("suspend")]
        places = (
            kube_queue.queue_positions(self._door, self._namespace, suspended) if suspended else {}
        )
        seen = {
            name: self._status(name, job, pods[name], gone[name], places.get(name, QueuePosition()))
            for name, job in jobs.items()
        }
        # Of a Job that somebody deleted, what is left of it.
        deleted = self._jobs.vanished()
        for name in deleted.keys() - jobs.keys():
            kept = kube_kept.read(deleted[name], gone[name])
            now = self._door.now()
            seen[name] = status(name, None, pods[name], now=now, nodes=kept.nodes, ends=kept.ends)
        for name in gone.keys() - seen.keys():
            # Somebody else has written down how that Job ended.
            for pod in gone[name]:
                self._pods.drop(pod["metadata"]["name"])
        return seen

    def _status(
        self, name: str, job: Raw, pods: Sequence[Raw], gone: Sequence[Raw], place: QueuePosition
    ) -> JobStatus:
        warning = ""
        kept = kube_kept.read(self._jobs.get(name) or job, gone)
        if not pods and not kept.ends and condition(job, "Failed"):
            # The watch of the pods may be behind that of the Jobs.
            pods = self._pods_of(name)
        elif not (pods or _finished(job) or ending(job) or job["spec"].get("suspend")):
            said = [event.message for event in self.events(name) if event.kind == "Warning"]
            warning = said[-1] if said else ""
        return status(
            name,
            job,
            pods,
            now=self._door.now(),
            warning=warning,
            queue=place.reason,
            evicted=place.evicted,
            nodes=kept.nodes,
            ends=kept.ends,
        )

    def _pods_of(self, name: str) -> list[Raw]:
        query = {"labelSelector": f"{JOB_NAME}={name}"}
        found: list[Raw] = self._door.get(self._core("pods"), query)["items"]
        return found

    def _tend(
        self,
        jobs: Mapping[str, Raw],
        pods: Mapping[str, Sequence[Raw]],
        gone: Mapping[str, Sequence[Raw]],
    ) -> None:
        """What the controllers do not do for us, once for each Job that needs it."""
        for name, job in jobs.items():
            if notes := kube_kept.notes(job, pods.get(name, ()), gone.get(name, ())):
                with _unknown_is_no_error():
                    change = {"metadata": {"annotations": notes}}
                    self._jobs.put(self._door.patch(self._job(name), change))
            asked = _annotations(job).get(CANCELLED)
            if asked is not None:
                self._shorten_grace(pods.get(name, ()), int(asked))
            elif not (_finished(job) or STARTED in _annotations(job) or _has_ranks(job)):
                self._hold_to_one_pod(name, pods.get(name, ()))

    def _shorten_grace(self, pods: Sequence[Raw], grace: int) -> None:
        """The controller ends pods with the grace of their own; a person asked for less.

        Whatever the Job says of itself: since 1.31 it has failed only when they are gone.
        """
        for pod in pods:
            left = pod["metadata"].get("deletionGracePeriodSeconds")
            if left is not None and left > grace:
                path = self._core("pods", pod["metadata"]["name"])
                with _unknown_is_no_error():
                    self._pods.put(self._door.delete(path, gracePeriodSeconds=grace))

    def _hold_to_one_pod(self, name: str, pods: Sequence[Raw]) -> None:
        """On an old server: note which pod has it, and take the key away from any other.

        The program of a second pod would run under the same attempt. Without the Secret its
        container is never made.
        """
        started = [pod for pod in pods if pod["status"].get("phase") == "Running"]
        if started and self.version() < ONE_POD:
            note = {"metadata": {"annotations": {STARTED: started[0]["metadata"]["uid"]}}}
            with _unknown_is_no_error():
                self._jobs.put(self._door.patch(self._job(name), note))
                self._delete(self._core("secrets", name))

    # --- Paths and small change -----------------------------------------------------------

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


def _annotations(thing: Raw) -> dict[str, str]:
    found: dict[str, str] = thing["metadata"].get("annotations") or {}
    return found


def _rank(pod: Raw) -> int:
    return int(_annotations(pod).get(RANK, 0))
