"""Jobs of a Kubernetes cluster, in one namespace. The only door to the `kubernetes` package.

All state is the cluster's: a Job with its labels and annotations, a Secret of the same name with
what nobody may read in the Job, for many nodes a Service. What the Jobs and pods say becomes a
status in kube_words.py; HTTP and its errors are in kube_api.py.
"""

import re
from collections import defaultdict
from contextlib import suppress
from typing import Any

from kubernetes import client, config

from workers import manifests
from workers.cluster import Event, Job, JobStatus, Refused, Unavailable
from workers.cluster.kube_api import Answer, Door, Raw, refusal, trouble
from workers.cluster.kube_words import CANCELLED, condition, status

OURS = "app.kubernetes.io/name=backline-run"
SEEN = "backline/seen"
# Stable since then; before, the server drops the fields without a word.
INDEXED_JOBS = (1, 24)


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
    ) -> None:
        self._door = Door(api)
        self._namespace = namespace
        self._image = image
        self._priority = priority
        self._queue = queue
        self._context = context

    def create(self, job: Job) -> None:
        try:
            self._refuse_if_too_old(job)
            self._make(job)
        except Answer as answer:
            raise refusal(answer) from answer

    def observe(self) -> dict[str, JobStatus]:
        try:
            jobs = self._door.get(self._jobs(), {"labelSelector": f"{OURS},!{SEEN}"})["items"]
            found = self._door.get(
                self._core("pods"),
                {"labelSelector": OURS, "fieldSelector": "status.phase!=Succeeded"},
            )["items"]
        except Answer as answer:
            raise trouble(answer) from answer
        pods: dict[str, list[Raw]] = defaultdict(list)
        for pod in found:
            pods[pod["metadata"]["labels"].get("job-name", "")].append(pod)
        now = self._door.now()
        return {
            job["metadata"]["name"]: status(name, job, pods[name], now=now)
            for job in jobs
            if (name := job["metadata"]["name"])
        }

    def cancel(self, name: str, grace: float) -> None:
        """The Job stays, as the record of its end: its deadline is moved to now."""
        change = {
            "metadata": {"annotations": {CANCELLED: str(int(grace))}},
            "spec": {"activeDeadlineSeconds": 1},
        }
        try:
            job = self._door.get(self._jobs(name))
            if not condition(job, "Failed") and not condition(job, "Complete"):
                self._door.patch(self._jobs(name), change)
        except Answer as answer:
            if answer.status != 404:
                raise trouble(answer) from answer

    def logs(self, name: str, lines: int = 50) -> list[str]:
        try:
            query = {"labelSelector": f"job-name={name}"}
            pods = self._door.get(self._core("pods"), query)["items"]
        except Answer as answer:
            raise trouble(answer) from answer
        told: list[str] = []
        for pod in pods:
            try:
                path = self._core("pods", pod["metadata"]["name"]) + "/log"
                text = self._door.text(path, {"tailLines": str(lines), "limitBytes": "65536"})
            except Answer:
                continue
            told += text.splitlines()[-lines:]
        return told

    def forget(self, name: str) -> None:
        try:
            job = self._door.get(self._jobs(name))
            if condition(job, "Failed") or condition(job, "Complete"):
                self._door.patch(self._jobs(name), {"metadata": {"labels": {SEEN: "true"}}})
            else:
                self._delete(self._jobs(name))
        except Answer as answer:
            if answer.status != 404:
                raise trouble(answer) from answer
        self._delete(self._core("secrets", name))

    def events(self, name: str) -> list[Event]:  # noqa: ARG002
        return []

    def look(self, name: str) -> str:
        context = f" --context {self._context}" if self._context else ""
        return f"kubectl{context} -n {self._namespace} describe job {name}"

    def version(self) -> tuple[int, int]:
        told = self._door.get("/version")
        # Some vendors write "29+".
        return int(told["major"]), int(re.sub(r"\D.*", "", told["minor"]) or 0)

    def _refuse_if_too_old(self, job: Job) -> None:
        if job.nodes > 1 and (found := self.version()) < INDEXED_JOBS:
            raise Refused(
                f"This cluster runs Kubernetes {found[0]}.{found[1]}, which has no Indexed Jobs: "
                f"a run on {job.nodes} nodes needs 1.24 or newer. Choose one node."
            )

    def _make(self, job: Job) -> None:
        """Secret, Service, Job, and then the Job as the owner of the other two."""
        beside = [("secrets", manifests.secret(job))]
        if job.nodes > 1:
            beside.append(("services", manifests.service(job)))
        for kind, body in beside:
            self._put(kind, body)
        manifest = manifests.kubernetes(
            job,
            image=job.image or self._image,
            priority=job.priority or self._priority,
        )
        try:
            made = self._door.post(self._jobs(), manifest)
        except Answer as answer:
            if answer.status != 409:
                for kind, body in beside:
                    self._delete(self._core(kind, body["metadata"]["name"]))
                raise
            made = self._door.get(self._jobs(job.name))
            if SEEN in made["metadata"]["labels"]:
                self._delete(self._core("secrets", job.name))
                return
        owner = manifests.owner(made)
        for kind, body in beside:
            path = self._core(kind, body["metadata"]["name"])
            self._door.patch(path, {"metadata": {"ownerReferences": [owner]}})

    def _put(self, kind: str, body: Raw) -> None:
        try:
            self._door.post(self._core(kind), body)
        except Answer as answer:
            if answer.status != 409:
                raise
            if kind == "secrets":
                path = self._core(kind, body["metadata"]["name"])
                self._door.patch(path, {"stringData": body["stringData"]})

    def _delete(self, path: str) -> None:
        try:
            self._door.delete(path, propagationPolicy="Background")
        except Answer as answer:
            if answer.status != 404:
                raise trouble(answer) from answer

    def _jobs(self, name: str = "") -> str:
        return f"/apis/batch/v1/namespaces/{self._namespace}/jobs" + (f"/{name}" if name else "")

    def _core(self, kind: str, name: str = "") -> str:
        return f"/api/v1/namespaces/{self._namespace}/{kind}" + (f"/{name}" if name else "")
