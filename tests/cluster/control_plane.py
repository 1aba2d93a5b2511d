"""A Kubernetes control plane on loopback: etcd, API server, controllers, scheduler.

KUBE_ASSETS names the folder with the four programs. What runs on its nodes is played by
process_node.py. Everything is ended by its own process; should this process die first, the
kernel ends them.
"""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from kubernetes import client, config

from tests.cluster.certificates import Authority

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
READY_SECONDS = 180.0
STOP_SECONDS = 30.0
ADMINS = "system:masters"
# How long a node may be silent before it counts as gone, and its pods are told to go.
SILENT_SECONDS = 8
TOLERATED_SECONDS = 2

# Started through this, a program does not outlive us. Its input is a pipe that only this process
# holds: the kernel closes it with us, from whichever thread we started it (PR_SET_PDEATHSIG would
# be that thread's death). The program itself is tied to this guardian, which has one thread.
TIED = """
import ctypes, os, select, signal, subprocess, sys
tie = lambda: ctypes.CDLL(None).prctl(1, 9)
program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, preexec_fn=tie)
signal.signal(signal.SIGTERM, lambda *_: program.terminate())
signal.signal(signal.SIGUSR1, lambda *_: program.kill())
while program.poll() is None:
    if select.select([0], [], [], 0.05)[0]:
        program.kill()
code = program.wait()
sys.exit(code if code >= 0 else 128 - code)
"""


class NotReady(RuntimeError):
    """Something did not come up; the sentence says what, and its last words."""


def assets() -> Path | None:
    """The folder of KUBE_ASSETS, if it holds what a control plane needs."""
    folder = Path(os.environ.get("KUBE_ASSETS") or "/nowhere")
    return folder if all((folder / program).exists() for program in PROGRAMS) else None


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at; held together, so that they differ."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def until(what: str, condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"It did not happen in {seconds:g} s: {what}."
        time.sleep(0.05)


def tied(command: list[str], life: int, **how: Any) -> "subprocess.Popen[bytes]":
    """The command as a process that ends with whoever holds the other end of the pipe `life`."""
    return subprocess.Popen([sys.executable, "-ISc", TIED, *command], stdin=life, **how)


class ControlPlane:
    """The four programs, their certificates and the ways to reach the API server."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self.folder = folder
        self.authority = Authority(folder / "pki")
        etcd, peer, api, controllers, scheduler = free_ports(5)
        self.url = f"https://127.0.0.1:{api}"
        self._etcd_url = f"http://127.0.0.1:{etcd}"
        self._ports = {
            "etcd": etcd,
            "peer": peer,
            "kube-apiserver": api,
            "kube-controller-manager": controllers,
            "kube-scheduler": scheduler,
        }
        self._keys = self.authority.signing_keys()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._life, self._held = os.pipe()
        admin = self.authority.issue("admin", group=ADMINS)
        self._http = httpx.Client(
            base_url=self.url, verify=self.authority.client_context(admin), timeout=60
        )
        self._generation = _generation(programs / "kube-apiserver")
        (folder / "logs").mkdir()

    # --- Life ---------------------------------------------------------------------------

    def start(self) -> None:
        self._spawn("etcd", *self._etcd())
        self.start_api_server()
        self._spawn("kube-controller-manager", *self._controllers())
        self._spawn("kube-scheduler", *self._scheduler())
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait("kube-controller-manager", lambda: self._http.get(account).status_code == 200)

    def start_api_server(self) -> None:
        self._spawn("kube-apiserver", *self._api_server())
        self._wait("kube-apiserver", lambda: self._http.get("/readyz").status_code == 200)

    def kill_api_server(self) -> None:
        """At once, as a crash does: whoever watches or waits loses the connection."""
        process = self._running.pop("kube-apiserver")
        process.send_signal(signal.SIGUSR1)
        process.wait()

    def stop(self) -> None:
        self._http.close()
        for process in reversed(self._running.values()):
            process.terminate()
        for process in reversed(self._running.values()):
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        os.close(self._held)
        os.close(self._life)

    # --- Ways in ------------------------------------------------------------------------

    @property
    def version(self) -> tuple[int, int]:
        """(1, 29) for v1.29.3, as the API server says it."""
        said = self._http.get("/version").json()
        return int(said["major"]), int(re.sub(r"\D", "", said["minor"]))

    @property
    def release(self) -> str:
        """As v1.29.3: what a kubelet of the same release calls itself."""
        said: str = self._http.get("/version").json()["gitVersion"]
        return said

    def kubeconfig(
        self, user: str, *, group: str = "", namespace: str = "default", url: str = ""
    ) -> Path:
        """The file with which `user` reaches the API server, with all certificates inside.

        `url` is another way to it, such as a door that a test holds.
        """
        pair = self.authority.issue(user, group=group)
        way = url.rpartition(":")[2]
        path = self.folder / f"{user.replace(':', '-')}.{namespace}.{way}.kubeconfig"
        cluster = {
            "server": url or self.url,
            "certificate-authority-data": _inline(self.authority.pair.certificate),
        }
        person = {
            "client-certificate-data": _inline(pair.certificate),
            "client-key-data": _inline(pair.key),
        }
        context = {"cluster": "test", "user": user, "namespace": namespace}
        content: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": person}],
            "contexts": [{"name": "test", "context": context}],
        }
        path.write_text(json.dumps(content))
        return path

    def api(self, user: str = "admin", *, group: str = ADMINS) -> client.ApiClient:
        path = self.kubeconfig(user, group=group)
        return config.new_client_from_config(str(path))

    def log(self, program: str) -> str:
        return (self.folder / "logs" / f"{program}.log").read_text(errors="replace")

    # --- The programs and their flags ---------------------------------------------------

    def _etcd(self) -> list[str]:
        peer = f"http://127.0.0.1:{self._ports['peer']}"
        return [
            "--name=test",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=test={peer}",
            # A test's cluster need not survive a power cut.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _api_server(self) -> list[str]:
        server = self.authority.issue("kube-apiserver", serves=("localhost", "kubernetes"))
        kubelets = self.authority.issue("kube-apiserver-kubelet-client", group=ADMINS)
        return [
            f"--etcd-servers={self._etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._ports['kube-apiserver']}",
            # Loopback is no address that an Endpoints object may hold.
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--cert-dir={self.folder / 'certs'}",
            f"--tls-cert-file={server.certificate}",
            f"--tls-private-key-file={server.key}",
            f"--client-ca-file={self.authority.pair.certificate}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={self._keys.key}",
            f"--service-account-key-file={self._keys.certificate}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--default-unreachable-toleration-seconds={TOLERATED_SECONDS}",
            f"--default-not-ready-toleration-seconds={TOLERATED_SECONDS}",
            f"--kubelet-client-certificate={kubelets.certificate}",
            f"--kubelet-client-key={kubelets.key}",
            f"--kubelet-certificate-authority={self.authority.pair.certificate}",
            "--kubelet-preferred-address-types=InternalIP,Hostname",
            "--allow-privileged=true",
            "--profiling=false",
            *self._gates(),
        ]

    def _controllers(self) -> list[str]:
        return [
            *self._controller("system:kube-controller-manager", "kube-controller-manager"),
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self._keys.key}",
            f"--root-ca-file={self.authority.pair.certificate}",
            f"--cluster-signing-cert-file={self.authority.pair.certificate}",
            f"--cluster-signing-key-file={self.authority.pair.key}",
            "--allocate-node-cidrs=false",
            "--node-monitor-period=1s",
            f"--node-monitor-grace-period={SILENT_SECONDS}s",
            *self._gates(),
        ]

    def _scheduler(self) -> list[str]:
        return self._controller("system:kube-scheduler", "kube-scheduler")

    def _controller(self, user: str, program: str) -> list[str]:
        access = self.kubeconfig(user)
        flags = [
            f"--kubeconfig={access}",
            f"--authentication-kubeconfig={access}",
            f"--authorization-kubeconfig={access}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._ports[program]}",
            f"--cert-dir={self.folder / 'certs'}",
            "--leader-elect=false",
            "--profiling=false",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]
        # Until 1.23 they also opened a plain port, on every address.
        return [*flags, "--port=0"] if self._generation < (1, 24) else flags

    def _gates(self) -> list[str]:
        """What newer servers do by themselves."""
        return ["--feature-gates=TTLAfterFinished=true"] if self._generation < (1, 21) else []

    # --- Processes ----------------------------------------------------------------------

    def _spawn(self, program: str, *flags: str) -> None:
        with (self.folder / "logs" / f"{program}.log").open("ab") as log:
            self._running[program] = tied(
                [str(self.programs / program), *flags],
                self._life,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            )

    def _wait(self, program: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                if ready():
                    return
            except httpx.TransportError:
                pass
            if self._running[program].poll() is not None or time.monotonic() > end:
                raise NotReady(f"{program} did not come up. {self.log(program)[-2_000:]}")
            time.sleep(0.05)


def _generation(program: Path) -> tuple[int, int]:
    """(1, 29) for a program that calls itself v1.29.3."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    match = re.search(r"v(\d+)\.(\d+)", said.stdout)
    assert match, said.stdout
    return int(match[1]), int(match[2])


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
