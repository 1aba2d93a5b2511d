"""The pods of a process node: every container is a process of this machine.

What a container would give, as far as a program can tell: its environment, a scratch folder of
its own, SIGTERM to its first process, and an end for all that it started when that one ends.
Images, users and limits are not played.
"""

import base64
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]
# In the environment of every process of a container: how its descendants are found.
MARK = "PROCESS_NODE_CONTAINER"
FIELDS = {
    "metadata.name": ("metadata", "name"),
    "metadata.namespace": ("metadata", "namespace"),
    "metadata.uid": ("metadata", "uid"),
    "spec.nodeName": ("spec", "nodeName"),
}
RETRY_SECONDS = 0.3
# How much of its log a container that failed shows as its termination message.
LAST_BYTES = 2_048


class Waits(RuntimeError):
    """The container cannot start yet: the reason in Kubernetes' word, and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Gone(RuntimeError):
    """The node is dead: nothing of it is heard any more."""


class Node(Protocol):
    """What a pod asks of the node that it runs on."""

    name: str
    image: Mapping[str, str]
    missing_images: set[str]
    # Names of pods in the order in which their programs were started here.
    started: list[str]
    # What every container runs instead of its own command, where a test is about their number.
    instead: list[str] | None

    def read(self, path: str) -> Json | None: ...
    def report(self, pod: Json, status: Json) -> None: ...
    def removed(self, pod: Json) -> None: ...


@dataclass
class Container:
    """One container of a pod: its process, and how it ended."""

    spec: Json
    folder: Path
    mark: str
    process: subprocess.Popen[bytes] | None = None
    began: str = ""
    waiting: Json = field(default_factory=lambda: {"reason": "ContainerCreating"})
    terminated: Json | None = None
    # What the kernel or the kubelet did to it, where the exit code does not tell.
    cause: str = ""

    @property
    def name(self) -> str:
        name: str = self.spec["name"]
        return name

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.began = now()
        with self.log.open("ab") as log:
            try:
                self.process = subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=environment | {MARK: self.mark},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                log.write(f"{error}\n".encode())
                self._ended(128, "StartError", str(error))

    def wait(self) -> int:
        """The exit code; like the first process of a container, it takes the others along."""
        if self.process is not None and self.terminated is None:
            code = self.process.wait()
            kill_all(self.mark)
            self._ended(code if code >= 0 else 128 - code, self.cause, self._last_words(code))
        assert self.terminated is not None
        ended: int = self.terminated["exitCode"]
        return ended

    def _last_words(self, code: int) -> str:
        if code == 0 or self.spec.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return ""
        return self.log.read_bytes()[-LAST_BYTES:].decode(errors="replace")

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def _ended(self, code: int, reason: str = "", message: str = "") -> None:
        self.terminated = {
            "exitCode": code,
            "reason": reason or ("Error" if code else "Completed"),
            "message": message,
            "startedAt": self.began,
            "finishedAt": now(),
        }

    def status(self) -> Json:
        if self.terminated is not None:
            state: Json = {"terminated": self.terminated}
        elif self.process is not None:
            state = {"running": {"startedAt": self.began}}
        else:
            state = {"waiting": self.waiting}
        image = self.spec.get("image", "")
        return {
            "name": self.name,
            "image": image,
            "imageID": image,
            "containerID": f"process://{self.mark}" if self.began else "",
            "restartCount": 0,
            "ready": "running" in state,
            "started": "running" in state,
            "state": state,
        }


class Pod(threading.Thread):
    """Runs one pod from start to end and reports each change. `restartPolicy: Never` only."""

    def __init__(self, manifest: Json, *, node: Node, folder: Path) -> None:
        super().__init__(name=f"pod {manifest['metadata']['name']}", daemon=True)
        self.manifest = manifest
        self.node = node
        self.folder = folder
        uid = manifest["metadata"]["uid"]
        self.first = [self._container(one, uid) for one in self._listed("initContainers")]
        self.main = [self._container(one, uid) for one in self._listed("containers")]
        self._began = now()
        self._stopping = threading.Event()
        self._told = threading.Lock()
        self._over = False
        # Phase Failed with these words, whatever the exit codes say: eviction, shutdown.
        self._ended_as: Json = {}

    @property
    def container_logs(self) -> dict[str, Container]:
        return {one.name: one for one in (*self.first, *self.main)}

    def run(self) -> None:
        try:
            self._live()
            with self._told:
                self._over = True
            if self.deleted:
                self.node.removed(self.manifest)
        except Gone:
            pass

    @property
    def deleted(self) -> bool:
        return bool(self.manifest["metadata"].get("deletionTimestamp"))

    def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after the grace; asked again, the shorter grace counts."""
        began = self._stopping.is_set()
        self._stopping.set()
        with self._told:
            over = self._over
        if over:
            if self.deleted:
                self.node.removed(self.manifest)
            return
        if grace > 0 and not began:
            self._signal(signal.SIGTERM)
        self._later(grace, self._signal, signal.SIGKILL)

    def end_as(self, status: Json, *, grace: float = 0.0) -> None:
        """The kubelet ends the pod for a reason of its own; one that has ended stays as it is."""
        if self._over:
            return
        self._ended_as = status
        self.stop(grace)

    def out_of_memory(self) -> None:
        """The kernel kills the first process of each container."""
        for one in self.main:
            one.cause = "OOMKilled"
        self._signal(signal.SIGKILL)

    def status(self) -> Json:
        codes = [one.terminated["exitCode"] for one in self.main if one.terminated]
        broken = any(one.terminated and one.terminated["exitCode"] for one in self.first)
        running = any(one.process for one in self.main)
        if self._ended_as and not any(one.terminated is None for one in self.main if one.process):
            phase = "Failed"
        elif broken or len(codes) == len(self.main):
            phase = "Failed" if broken or any(codes) else "Succeeded"
        else:
            phase = "Running" if running else "Pending"
        ready = "True" if phase == "Running" else "False"
        conditions = {"Initialized": "True", "ContainersReady": ready, "Ready": ready}
        return {
            "phase": phase,
            "startTime": self._began,
            "hostIP": "127.0.0.1",
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
            "initContainerStatuses": [one.status() for one in self.first],
            "containerStatuses": [one.status() for one in self.main],
            "conditions": [
                {"type": kind, "status": value, "lastTransitionTime": now()}
                for kind, value in conditions.items()
            ],
        } | (self._ended_as if phase == "Failed" else {})

    # --- Its life -----------------------------------------------------------------------

    def _live(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for container in self.first:
            if not self._start(container) or container.wait():
                return self._report()
        for container in self.main:
            if not self._start(container):
                return self._report()
        self.node.started.append(self.manifest["metadata"]["name"])
        self._report()
        if seconds := self.manifest["spec"].get("activeDeadlineSeconds"):
            self._later(seconds, self._reach_deadline)
        for container in self.main:
            container.wait()
        return self._report()

    def _start(self, container: Container) -> bool:
        """False if the pod was told to go before the container could start."""
        told: Json = {}
        while not self._stopping.is_set():
            try:
                environment = self._environment(container.spec)
                command = [*container.spec.get("command", []), *container.spec.get("args", [])]
                started = [self._inside(part, container.spec) for part in command]
                started = self.node.instead or as_here(started)
                with self._told:
                    if not self._stopping.is_set():
                        container.start(started, environment)
                        return True
            except Waits as why:
                container.waiting = {"reason": why.reason, "message": str(why)}
                if told != container.waiting:
                    told = container.waiting
                    self._report()
                self._stopping.wait(RETRY_SECONDS)
        return False

    def _reach_deadline(self) -> None:
        message = "Pod was active on the node longer than the specified deadline"
        grace = self.manifest["spec"].get("terminationGracePeriodSeconds", 30)
        self.end_as({"reason": "DeadlineExceeded", "message": message}, grace=grace)

    def _later(self, seconds: float, act: Callable[..., None], *args: object) -> None:
        timer = threading.Timer(seconds, act, args)
        timer.daemon = True
        timer.start()

    def _signal(self, number: int) -> None:
        with self._told:
            for container in (*self.first, *self.main):
                container.signal(number)

    def _report(self) -> None:
        self.node.report(self.manifest, self.status())

    def _listed(self, name: str) -> list[Json]:
        listed: list[Json] = self.manifest["spec"].get(name) or []
        return listed

    def _container(self, spec: Json, uid: str) -> Container:
        return Container(spec=spec, folder=self.folder, mark=f"{uid}-{spec['name']}")

    # --- What its containers see --------------------------------------------------------

    def _environment(self, spec: Json) -> dict[str, str]:
        """Raises Waits where the image, a Secret or a ConfigMap is not there (yet)."""
        if (image := spec.get("image", "")) in self.node.missing_images:
            raise Waits("ImagePullBackOff", f'Back-off pulling image "{image}"')
        # What the image brings is of this machine already; only the manifest speaks of mounts.
        given: dict[str, str] = {"HOSTNAME": self.manifest["metadata"]["name"], **self.node.image}
        for source in spec.get("envFrom") or []:
            for kind in ("secretRef", "configMapRef"):
                if kind in source:
                    found = self._values(kind, source[kind]["name"])
                    given |= {source.get("prefix", "") + key: text for key, text in found.items()}
        for one in spec.get("env") or []:
            text = re.sub(
                r"\$\((\w+)\)", lambda found: given.get(found[1], found[0]), self._value(one)
            )
            given[one["name"]] = self._inside(text, spec)
        for name in ("HOME", "TMPDIR"):
            folder = Path(given.get(name, "/"))
            if not folder.is_relative_to(self.folder):
                folder = self.folder / name.lower()
            folder.mkdir(parents=True, exist_ok=True)
            given[name] = str(folder)
        return given

    def _value(self, one: Json) -> str:
        source = one.get("valueFrom")
        if source is None:
            return str(one.get("value", ""))
        if "fieldRef" in source:
            return self._field(source["fieldRef"]["fieldPath"])
        for kind in ("secretKeyRef", "configMapKeyRef"):
            if kind in source:
                wanted = source[kind]
                found = self._values(kind, wanted["name"])
                if wanted["key"] not in found:
                    where = f"{wanted['name']} has no key {wanted['key']}"
                    raise Waits("CreateContainerConfigError", where)
                return found[wanted["key"]]
        raise Waits("CreateContainerConfigError", f"This node cannot give {source}.")

    def _values(self, kind: str, name: str) -> dict[str, str]:
        secret = kind.startswith("secret")
        space = self.manifest["metadata"]["namespace"]
        plural = "secrets" if secret else "configmaps"
        found = self.node.read(f"/api/v1/namespaces/{space}/{plural}/{name}")
        if found is None:
            said = f'{"secret" if secret else "configmap"} "{name}" not found'
            raise Waits("CreateContainerConfigError", said)
        data: dict[str, str] = found.get("data") or {}
        if not secret:
            return data
        return {key: base64.b64decode(text).decode() for key, text in data.items()}

    def _field(self, path: str) -> str:
        if match := re.fullmatch(r"metadata\.(annotations|labels)\['(.+)'\]", path):
            named = self.manifest["metadata"].get(match[1]) or {}
            return str(named.get(match[2], ""))
        if path in FIELDS:
            part, key = FIELDS[path]
            return str(self.manifest[part][key])
        return "127.0.0.1" if path in {"status.podIP", "status.hostIP"} else ""

    def _inside(self, text: str, spec: Json) -> str:
        """Paths below an emptyDir's mount, and names of the pod's siblings, as they are here."""
        empty = {one["name"] for one in self._listed("volumes") if "emptyDir" in one}
        for mount in spec.get("volumeMounts") or []:
            path = mount["mountPath"].rstrip("/")
            if mount["name"] in empty and (text == path or text.startswith(f"{path}/")):
                folder = self.folder / "volumes" / mount["name"]
                folder.mkdir(parents=True, exist_ok=True)
                return str(folder) + text[len(path) :]
        if subdomain := self.manifest["spec"].get("subdomain"):
            # There is no DNS here: every pod answers at this machine's own address.
            name = rf"[\w-]+\.{re.escape(subdomain)}(\.[\w-]+\.svc(\.cluster\.local)?)?\b"
            return re.sub(name, "127.0.0.1", text)
        return text


def as_here(command: list[str]) -> list[str]:
    """Whatever Python the image has, here it is this one."""
    return [sys.executable, *command[1:]] if command[:1] in (["python"], ["python3"]) else command


def kill_all(mark: str) -> None:
    """End every process that carries the mark; a process that forks meanwhile is met again."""
    while True:
        found = [pid for pid in _pids() if _carries(pid, mark)]
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _carries(pid: int, mark: str) -> bool:
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    # A zombie's environment is empty, so what was killed is not found again.
    return f"{MARK}={mark}\0".encode() in content


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
