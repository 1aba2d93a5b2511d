"""A whole portal whose cluster is the test cluster: a web server, and a process that reconciles."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from kubernetes import client

from portal.processes.supervisor import end
from tests import migrated
from tests.cluster.control_plane import free_ports, until
from tests.cluster.process_node import A100, H100, ProcessNode
from tests.nursery import Nursery
from tests.patience import LIMIT_SECONDS

ROOT = Path(__file__).parents[2]
PASSWORD = "a long enough password"
# A training run of seconds.
SMALL = {
    "prompts": ["ambient pad", "techno"],
    "steps": 8,
    "batch_size": 3,
    "warmup_steps": 2,
    "clip_frames": 16,
    "blocks": 1,
    "width": 16,
    "heads": 2,
    "kernel": 3,
    "patch": 2,
    "sample_every": 4,
    "final_seeds": 1,
    "sampling_steps": 2,
    "griffin_lim_rounds": 2,
    "checkpoint_every": 4,
    "precision": "fp32",
    "threads": 1,
}
ENDED = ("finished", "failed", "cancelled", "withheld")


class Web:
    """The web server, its database (a migrated one where DATABASE_URL names it) and its files."""

    def __init__(self, state: Path, nursery: Nursery, **env: str) -> None:
        self.nursery = nursery
        self.state = state
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.env = {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "STATE_DIR": str(state),
            "PORT": str(port),
            "CLUSTER": "kubernetes",
            "RUN_IMAGE": "backline-run",
            "STOP_GRACE_SECONDS": "30",
            "GPU_PRICES": f"{H100}=2.50,{A100}=1.50",
            "LOG_LEVEL": "WARNING",
            "OMP_NUM_THREADS": "1",
            **env,
        }
        if "DATABASE_URL" not in env:
            migrated.copy_to(state)
        with World(nursery, self.env) as world:
            made = world.do("people")
        self.token: str = made["token"]
        self.dataset: int = made["dataset"]
        # For the one test that takes its permission away.
        self.doomed: int = made["doomed"]
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["-m", "uvicorn", "portal.asgi:application", "--host", "127.0.0.1"]
        command += ["--port", self.env["PORT"], "--timeout-graceful-shutdown", "1"]
        with (self.state / "web.log").open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, *command, "--no-access-log"],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until("the portal answers", self._answers)

    def stop(self) -> None:
        if self._server is not None:
            end([self._server], seconds=10)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=20).is_success
        except httpx.TransportError:
            return False


@contextmanager
def serving(state: Path, nursery: Nursery, **env: str) -> Iterator[Web]:
    """A web server of its own, with people and music, until the block is left."""
    made = Web(state, nursery, **env)
    try:
        made.start()
        yield made
    finally:
        made.stop()


class World:
    """world.py as a process, one line for each verb."""

    def __init__(self, nursery: Nursery, env: Mapping[str, str]) -> None:
        self.process = nursery.start(env=env)

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def do(self, verb: str, **how: Any) -> Any:
        self.send(verb, **how)
        return self.receive()

    def send(self, verb: str, **how: Any) -> None:
        self.process.stdin.write(json.dumps({"verb": verb, **how}) + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        said = self.receive_anything()
        assert "answer" in said, said["error"]
        return said["answer"]

    def receive_anything(self) -> dict[str, Any]:
        """The answer or the error."""
        line = self.process.stdout.readline()
        assert line, "The process that reconciles has ended."
        said: dict[str, Any] = json.loads(line)
        return said

    def kill(self) -> None:
        """As the machine's end does: nothing is said, nothing is closed."""
        self.process.kill()
        self.process.close()

    def close(self) -> None:
        self.process.terminate()
        self.process.close()


class Lab:
    """A person at the portal, and the portal's worker, over one namespace of the cluster."""

    def __init__(
        self, web: Web, core: client.CoreV1Api, *, kubeconfig: Path, namespace: str
    ) -> None:
        self.web = web
        self.namespace = namespace
        self._core = core
        self._batch = client.BatchV1Api(core.api_client)
        # The nodes on which its pods may run.
        self.nodes: list[ProcessNode] = []
        self.env = web.env | {"KUBE_CONFIG": str(kubeconfig), "KUBE_NAMESPACE": namespace}
        self.world = World(web.nursery, self.env)
        self.world.do("forget_runs")
        self._http = httpx.Client(
            base_url=web.url, headers={"Authorization": f"Bearer {web.token}"}, timeout=60
        )

    def close(self) -> None:
        self.world.close()
        self._http.close()

    def restart_worker(self, **env: str) -> None:
        """Another process takes over, with nothing but what rows and cluster say."""
        if self.world.process.poll() is None:
            self.world.close()
        self.world = World(self.web.nursery, self.env | env)

    # --- What a person does -------------------------------------------------------------

    def submit(self, recipe: str, *, dataset: int | None = None, **config: Any) -> str:
        """Queue a run through the API; its id."""
        body = {"project": "p", "recipe": recipe, "config": config, "dataset": dataset}
        answer = self._http.post("/api/v1/submissions", json=body)
        assert answer.is_success, answer.text
        made: str = answer.json()["id"]
        return made

    def run(self, run: str) -> dict[str, Any]:
        answer = self._http.get(f"/api/v1/runs/{run}")
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def cancel(self, run: str) -> None:
        with self.browser() as browser:
            path = f"{self.run(run)['url']}cancel/"
            answer = browser.post(path, headers=_csrf(browser))
            assert answer.is_success or answer.is_redirect, answer.text

    def page(self, path: str) -> str:
        """A page as text without tags."""
        with self.browser() as browser:
            answer = browser.get(path)
            assert answer.is_success, answer.text
            return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())

    @contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """Ada, logged in by the page."""
        with httpx.Client(base_url=self.web.url, timeout=60) as browser:
            browser.get("/account/login/")
            form = {"login": "ada", "password": PASSWORD}
            answer = browser.post("/account/login/", data=form, headers=_csrf(browser))
            assert answer.is_redirect, answer.text
            yield browser

    # --- What the portal does -----------------------------------------------------------

    def do(self, verb: str, **how: Any) -> Any:
        return self.world.do(verb, **how)

    def attempts(self, run: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.do("attempts", run=run)
        return found

    def becomes(self, run: str, state: str, *, seconds: float = LIMIT_SECONDS) -> dict[str, Any]:
        """Rounds until the run is in this state; fails at once if it ended in another."""
        end = time.monotonic() + seconds
        while True:
            self.do("reconcile")
            found = self.run(run)
            if found["state"] == state:
                return found
            told = f"{found['state']}: {found['state_reason']}, {self.attempts(run)}"
            assert found["state"] not in ENDED, told
            assert time.monotonic() < end, f"Not {state} in {seconds:g} s. {told}"
            time.sleep(0.2)

    def reconcile_until(
        self, what: str, condition: Callable[[], object], *, seconds: float = LIMIT_SECONDS
    ) -> None:
        def one() -> bool:
            self.do("reconcile")
            return bool(condition())

        until(what, one, seconds)

    # --- What the cluster has -----------------------------------------------------------

    def pods(self, run: str) -> list[str]:
        """Names of the run's pods that have not ended and are not about to."""
        listed = self._core.list_namespaced_pod(self.namespace).items
        return [
            pod.metadata.name
            for pod in listed
            if pod.metadata.name.startswith(_prefix(run))
            and pod.status.phase in ("Pending", "Running")
            and pod.metadata.deletion_timestamp is None
        ]

    def starts(self, run: str) -> list[str]:
        """The jobs of the run whose program a node has started, one entry for each start."""
        names = [name for node in self.nodes for name in node.started]
        return sorted(job_of(name) for name in names if name.startswith(_prefix(run)))

    def leftovers(self) -> list[str]:
        """What should not be there once every run has ended and was written down."""
        pods = self._core.list_namespaced_pod(self.namespace).items
        alive = [pod for pod in pods if pod.status.phase in ("Pending", "Running")]
        jobs = self._batch.list_namespaced_job(self.namespace).items
        unseen = [job for job in jobs if "backline/seen" not in (job.metadata.labels or {})]
        secrets = self._core.list_namespaced_secret(self.namespace).items
        tokens = [secret for secret in secrets if secret.metadata.name.startswith("run-")]
        return sorted(f"{one.metadata.name}" for one in (*alive, *unseen, *tokens))

    def settles(self, *, seconds: float = LIMIT_SECONDS) -> None:
        """Nothing is orphaned: after some rounds nothing of us is left in the cluster."""
        end = time.monotonic() + seconds
        while left := self.leftovers():
            assert time.monotonic() < end, f"Left in the cluster: {left}"
            self.do("reconcile")
            time.sleep(0.2)


def job_of(pod: str) -> str:
    """The name of a pod's Job, of an Indexed one too, whose pods have their index before the
    letters that chance adds."""
    found = re.match(r"run-[0-9a-f]+-\d+(?=-)", pod)
    assert found, pod
    return found[0]


def _prefix(run: str) -> str:
    return f"run-{run.replace('-', '')[:12]}-"


def _csrf(browser: httpx.Client) -> dict[str, str]:
    return {"X-CSRFToken": browser.cookies.get("csrftoken", ""), "Referer": str(browser.base_url)}
