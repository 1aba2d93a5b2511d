"""A node of the test cluster that runs its pods as processes of this machine.

It has a node's identity and does a kubelet's work: registers with GPUs, renews its lease, runs
the pods bound to it (containers.py), reports how they are, honours deletion and grace, and
answers for their logs. A test may let it die, come back, run out of memory or evict a pod.
"""

import json
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.cluster.containers import Container, Gone, Json, Pod, kill_all, now
from tests.cluster.control_plane import ControlPlane

ROOT = Path(__file__).parents[2]
H100, A100 = "NVIDIA-H100-80GB-HBM3", "NVIDIA-A100-SXM4-80GB"
HEARTBEAT_SECONDS = 2.0
WATCH_SECONDS = 2
AGAIN_SECONDS = 0.2
PATCH = "application/strategic-merge-patch+json"
# What the lab's image brings: this tree and this interpreter's libraries.
IMAGE = {
    "PYTHONPATH": str(ROOT),
    "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
    **{name: os.environ[name] for name in ("LD_LIBRARY_PATH", "LANG") if name in os.environ},
}


class ProcessNode:
    def __init__(
        self,
        plane: ControlPlane,
        name: str,
        *,
        cpus: int = 8,
        memory_gb: int = 32,
        gpus: int = 0,
        product: str = H100,
        pods: int = 600,
    ) -> None:
        self.name = name
        self.image: Mapping[str, str] = IMAGE
        self.missing_images: set[str] = set()
        self.instead: list[str] | None = None
        self.started: list[str] = []
        self._plane = plane
        self._folder = plane.folder / "nodes" / name
        self._release = plane.release
        self._labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        }
        self._capacity = {"cpu": str(cpus), "memory": f"{memory_gb}Gi", "pods": str(pods)}
        if gpus:
            self._labels["nvidia.com/gpu.product"] = product
            self._capacity["nvidia.com/gpu"] = str(gpus)
        user = plane.authority.issue(
            f"system:node:{name}", group="system:nodes", serves=(name, "localhost")
        )
        self._context = plane.authority.client_context(user)
        self._server_context = plane.authority.server_context(user)
        self._pods: dict[str, Pod] = {}
        self._off = threading.Event()
        self._threads: list[threading.Thread] = []

    # --- What a test lets happen --------------------------------------------------------

    def start(self) -> None:
        """Come up, also again after `die`: what ran before has ended with the machine."""
        self._off = threading.Event()
        self._pods = {}
        self._http = httpx.Client(base_url=self._plane.url, verify=self._context, timeout=30)
        self._door = _Door(self)
        self._register()
        # `follow` first: the pods of an earlier life are told before anything new arrives.
        self._threads = [
            threading.Thread(target=work, args=(self._off,), name=f"{self.name} {work.__name__}")
            for work in (self._follow, self._beat, self._door.serve)
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def die(self) -> None:
        """Power off: every process ends, nothing is reported, the lease goes stale."""
        self._off.set()
        pods, self._pods = list(self._pods.values()), {}
        for pod in pods:
            for container in pod.container_logs.values():
                kill_all(container.mark)
        for thread in (*pods, *self._threads):
            if thread.is_alive():
                thread.join(10)
        self._http.close()

    def stop(self) -> None:
        """The end of a test: nothing of the node stays."""
        if not self._off.is_set():
            self.die()
        with httpx.Client(
            base_url=self._plane.url,
            verify=self._plane.authority.client_context(self._plane.authority.issue("admin")),
            timeout=30,
        ) as admin:
            admin.delete(f"/api/v1/nodes/{self.name}")

    def out_of_memory(self, pod: str) -> None:
        self.pod(pod).out_of_memory()

    def evict(self, pod: str) -> None:
        """As under memory pressure: killed, and the pod says so."""
        message = "The node was low on resource: memory. Container run was using 31Gi."
        self.pod(pod).end_as(self._ending("Evicted", message))

    def shut_down(self, pod: str, grace: float) -> None:
        """The machine is about to go, as spot machines do: the pod has `grace` seconds."""
        message = "Pod was terminated in response to imminent node shutdown."
        self.pod(pod).end_as(self._ending("Terminated", message), grace=grace)

    def pod(self, name: str) -> Pod:
        return next(one for one in self.pods() if one.manifest["metadata"]["name"] == name)

    def pods(self) -> list[Pod]:
        return list(self._pods.values())

    def _ending(self, reason: str, message: str) -> Json:
        ending: Json = {"reason": reason, "message": message}
        if self._plane.version >= (1, 26):
            target = {"type": "DisruptionTarget", "status": "True", "message": message}
            times = {"lastTransitionTime": now(), "reason": "TerminationByKubelet"}
            ending["conditions"] = [target | times]
        return ending

    # --- What its pods ask --------------------------------------------------------------

    def read(self, path: str) -> Json | None:
        answer = self._call("GET", path)
        return answer.json() if answer.is_success else None

    def report(self, pod: Json, status: Json) -> None:
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
        self._call("PATCH", f"{_path(pod)}/status", body)

    def removed(self, pod: Json) -> None:
        """The last word on a deleted pod: it may leave the API server."""
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        self._call("DELETE", _path(pod), body)

    def _call(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        """Until the API server answers: a kubelet outlives it. Raises Gone when powered off."""
        kind = PATCH if method == "PATCH" else "application/json"
        content = None if body is None else json.dumps(body)
        while not self._off.is_set():
            try:
                answer = self._http.request(
                    method, path, content=content, headers={"Content-Type": kind}
                )
            except (httpx.TransportError, RuntimeError):
                pass
            else:
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
            self._off.wait(AGAIN_SECONDS)
        raise Gone(self.name)

    # --- Being a node -------------------------------------------------------------------

    def _register(self) -> None:
        node = {"metadata": {"name": self.name, "labels": self._labels}, "spec": {}}
        self._call("POST", "/api/v1/nodes", node)
        self._renew()

    def _beat(self, off: threading.Event) -> None:
        try:
            while not off.wait(HEARTBEAT_SECONDS):
                self._renew()
        except Gone:
            pass

    def _renew(self) -> None:
        """Lease and conditions: one says that the node lives, the other that it takes pods."""
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec = {
            "holderIdentity": self.name,
            "leaseDurationSeconds": 40,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        answer = self._call("PATCH", f"{leases}/{self.name}", {"spec": spec})
        if answer.status_code == 404:
            self._call("POST", leases, {"metadata": {"name": self.name}, "spec": spec})
        self._call("PATCH", f"/api/v1/nodes/{self.name}/status", {"status": self._status()})

    def _status(self) -> Json:
        healthy = {
            "Ready": "True",
            "MemoryPressure": "False",
            "DiskPressure": "False",
            "PIDPressure": "False",
        }
        return {
            "capacity": self._capacity,
            "allocatable": self._capacity,
            "addresses": [
                {"type": "InternalIP", "address": "127.0.0.1"},
                {"type": "Hostname", "address": self.name},
            ],
            # With a capital P, unlike everything else.
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._door.port}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": self.name,
                "containerRuntimeVersion": "process://1.0",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": "",
                "kubeletVersion": self._release,
                "machineID": self.name,
                "operatingSystem": "linux",
                "osImage": "processes",
                "systemUUID": self.name,
            },
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "reason": "ProcessNode",
                    "lastHeartbeatTime": now(),
                }
                for kind, status in healthy.items()
            ],
        }

    def _follow(self, off: threading.Event) -> None:
        """List and watch the pods bound here, for as long as the machine is on."""
        version = ""
        while not off.is_set():
            try:
                version = self._watch(version or self._list())
            except (httpx.HTTPError, RuntimeError, ValueError):
                # The API server is away or has forgotten our version: begin again.
                version = ""
                off.wait(AGAIN_SECONDS)
            except Gone:
                return

    def _list(self) -> str:
        answer = self._http.get(self._mine())
        answer.raise_for_status()
        listed = answer.json()
        for pod in listed["items"]:
            self._see(pod)
        known = {pod["metadata"]["uid"] for pod in listed["items"]}
        for uid in self._pods.keys() - known:
            self._forget(uid)
        version: str = listed["metadata"]["resourceVersion"]
        return version

    def _watch(self, version: str) -> str:
        with self._http.stream(
            "GET", self._mine(watch="true", resourceVersion=version, timeoutSeconds=WATCH_SECONDS)
        ) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ValueError(event["object"].get("message", ""))
                if event["type"] == "DELETED":
                    self._forget(event["object"]["metadata"]["uid"])
                else:
                    self._see(event["object"])
                version = event["object"]["metadata"]["resourceVersion"]
        return version

    def _mine(self, **more: Any) -> str:
        query = httpx.QueryParams({"fieldSelector": f"spec.nodeName={self.name}", **more})
        return f"/api/v1/pods?{query}"

    def _see(self, manifest: Json) -> None:
        if self._off.is_set():
            return
        meta, phase = manifest["metadata"], manifest.get("status", {}).get("phase", "Pending")
        pod = self._pods.get(meta["uid"])
        if pod is not None:
            pod.manifest["metadata"] = meta
            if meta.get("deletionTimestamp"):
                pod.stop(meta.get("deletionGracePeriodSeconds") or 0)
        elif meta.get("deletionTimestamp"):
            self.removed(manifest)
        elif phase == "Pending":
            folder = self._folder / f"{meta['namespace']}_{meta['name']}_{meta['uid']}"
            self._pods[meta["uid"]] = pod = Pod(manifest, node=self, folder=folder)
            pod.start()
        elif phase == "Running":
            self.report(manifest, _ended_with_the_machine(manifest))

    def _forget(self, uid: str) -> None:
        if pod := self._pods.pop(uid, None):
            pod.stop(0)


def _path(pod: Json) -> str:
    meta = pod["metadata"]
    return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"


def _ended_with_the_machine(pod: Json) -> Json:
    """What a kubelet says after a reboot of the containers that it finds gone."""
    gone = {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": now()}
    gone["message"] = "The container could not be located when the pod was terminated"
    statuses = pod["status"].get("containerStatuses") or []
    return {
        "phase": "Failed",
        "containerStatuses": [
            status | {"ready": False, "started": False, "state": {"terminated": gone}}
            for status in statuses
        ],
    }


class _Door:
    """The kubelet's server: the API server fetches logs here, over mutual TLS."""

    def __init__(self, node: ProcessNode) -> None:
        class Handler(_LogHandler):
            owner = node

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # The handshake happens at the first read, in the thread of that connection.
        self._server.socket = node._server_context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_address[1]

    def serve(self, off: threading.Event) -> None:
        threading.Thread(target=self._close, args=(off,), daemon=True).start()
        self._server.serve_forever(0.1)
        self._server.server_close()

    def _close(self, off: threading.Event) -> None:
        off.wait()
        self._server.shutdown()


class _LogHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: ProcessNode

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        match parts.path.strip("/").split("/"):
            case ["containerLogs", space, name, container]:
                found = self._find(space, name, container)
                if found is None:
                    self._answer(404, b"There is no such container here.\n")
                elif query.get("follow") == "true":
                    self._follow(found, query)
                else:
                    self._answer(200, _tail(found, query))
            case _:
                self._answer(404, b"Only /containerLogs is served here.\n")

    def log_message(self, *_: object) -> None:
        pass

    def _find(self, space: str, name: str, container: str) -> Container | None:
        for pod in self.owner.pods():
            meta = pod.manifest["metadata"]
            if (meta["namespace"], meta["name"]) == (space, name):
                return pod.container_logs.get(container)
        return None

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _follow(self, container: Container, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        at = container.log.stat().st_size if container.log.exists() else 0
        piece = _tail(container, query)
        while True:
            ended = container.terminated is not None
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            elif ended:
                break
            else:
                time.sleep(AGAIN_SECONDS)
            with container.log.open("rb") as log:
                log.seek(at)
                piece = log.read()
            at += len(piece)
        self.wfile.write(b"0\r\n\r\n")


def _tail(container: Container, query: dict[str, str]) -> bytes:
    if not container.log.exists():
        return b""
    content = container.log.read_bytes()
    if (lines := int(query.get("tailLines", -1))) >= 0:
        content = b"".join(content.splitlines(keepends=True)[-lines:] if lines else [])
    return content[: int(query.get("limitBytes", len(content)))]


@contextmanager
def running(plane: ControlPlane, name: str, **how: Any) -> Iterator[ProcessNode]:
    node = ProcessNode(plane, name, **how)
    node.start()
    try:
        yield node
    finally:
        node.stop()
