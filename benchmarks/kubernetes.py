"""A real control plane: how long a run waits for it, and what a thousand jobs cost a round.

Submit to a running pod, in turns beside the peer: the same Job manifest posted to the API server
by itself, as `kubectl create` does. Then a thousand waiting jobs: time, calls to the API server
and queries of one round of reconcile. KUBE_ASSETS names the programs (tests/cluster/README.md).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes import client

from benchmarks.portal import ROOT
from tests.cluster import control_plane, process_node
from tests.cluster.control_plane import ADMINS, ControlPlane
from tests.cluster.lab import Lab, Web

TURNS = 7
JOBS = 1_000
SPACE = "bench"
TARGET_SECONDS = {"more than kubectl create": 1.0, "a round": 2.0}

# Counts at the two doors that a round goes through: HTTP connections and the database.
ROUNDS = """
import json, time
import django; django.setup()
import urllib3
from django.db import connection
from experiments.models import Run
from workers import tasks

calls = queries = 0
urlopen = urllib3.HTTPConnectionPool.urlopen

def counted(self, *args, **kwargs):
    global calls
    calls += 1
    return urlopen(self, *args, **kwargs)

def asked(execute, *args):
    global queries
    queries += 1
    return execute(*args)

urllib3.HTTPConnectionPool.urlopen = counted
MEASURED = 5
left = 120
with connection.execute_wrapper(asked):
    while left:
        left -= 1
        calls = queries = 0
        start, used = time.perf_counter(), time.process_time()
        tasks.reconcile()
        print(json.dumps({
            "seconds": time.perf_counter() - start, "cpu": time.process_time() - used,
            "calls": calls, "queries": queries,
        }), flush=True)
        time.sleep(1)
        if left > MEASURED and not Run.objects.filter(state="queued").exists():
            left = MEASURED
"""


def until_running(core: client.CoreV1Api, prefix: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pods = core.list_namespaced_pod(SPACE, field_selector="status.phase!=Pending").items
        if any(pod.metadata.name.startswith(prefix) for pod in pods):
            return
        time.sleep(0.02)
    raise TimeoutError(f"No pod of {prefix} ran.")


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def by_portal(lab: Lab, core: client.CoreV1Api) -> str:
    """The web form's way: the API, consent, the row, and the round that the nudge wakes."""
    run = lab.submit("tone_check")
    lab.do("reconcile")
    name = f"run-{run.replace('-', '')[:12]}-1"
    until_running(core, name)
    return name


def by_hand(batch: client.BatchV1Api, core: client.CoreV1Api, like: dict[str, Any]) -> None:
    name = f"hand-{time.monotonic_ns()}"
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": like}
    batch.create_namespaced_job(SPACE, manifest)
    until_running(core, name)


def spec_of(core: client.CoreV1Api, batch: client.BatchV1Api, name: str) -> dict[str, Any]:
    """The Job that the portal made, as a person would send it again; its Secret is kept."""
    made = batch.read_namespaced_job(name, SPACE)
    spec: dict[str, Any] = core.api_client.sanitize_for_serialization(made.spec)
    for key in ("selector", "suspend"):
        spec.pop(key, None)
    spec["template"]["metadata"] = {}
    for variable in spec["template"]["spec"]["containers"][0]["env"]:
        if "valueFrom" in variable:
            variable |= {"value": "none"}
            del variable["valueFrom"]
    return spec


def waits(lab: Lab, core: client.CoreV1Api) -> tuple[list[float], list[float]]:
    batch = client.BatchV1Api(core.api_client)
    like = spec_of(core, batch, by_portal(lab, core))
    ours, theirs = [], []
    for _ in range(TURNS):
        ours.append(seconds(lambda: by_portal(lab, core)))
        theirs.append(seconds(lambda: by_hand(batch, core, like)))
    return ours, theirs


Round = dict[str, float]


def rounds(lab: Lab) -> tuple[list[Round], list[Round]]:
    """The rounds that make the jobs, and those of a worker that was started afterwards: its
    first one lists them, the later ones are everyday."""
    lab.do("forget_runs")
    # More GPUs than any node has: they wait, and the cluster says why.
    lab.do("submit", recipe="tone_check", count=JOBS, resources={"gpus": 8})
    lab.world.close()
    return worker(lab), worker(lab)


def worker(lab: Lab) -> list[Round]:
    """Rounds of a process of its own until nothing is queued, and five more."""
    done = subprocess.run(
        [sys.executable, "-c", ROUNDS], cwd=ROOT, env=dict(lab.env), check=True,
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    programs = control_plane.assets()
    if programs is None:
        print("KUBE_ASSETS names no folder with a control plane (tests/cluster/README.md).")
        return
    with tempfile.TemporaryDirectory(prefix="backline-bench-") as folder:
        plane, web = ControlPlane(programs, Path(folder)), Web(Path(folder) / "web")
        try:
            plane.start()
            web.start()
            core = client.CoreV1Api(plane.api())
            core.create_namespace({"metadata": {"name": SPACE}})
            with process_node.running(plane, "node-a", gpus=4):
                access = plane.kubeconfig("bench", group=ADMINS, namespace=SPACE)
                lab = Lab(web, core, kubeconfig=access, namespace=SPACE)
                ours, theirs = waits(lab, core)
                making, found = rounds(lab)
        finally:
            web.stop()
            plane.stop()
    more = statistics.median(ours) - statistics.median(theirs)
    print(f"| To a running pod, median of {TURNS} | s |")
    print("|---|--:|")
    print(f"| Backline: submit, consent, row, round, Secret, Job | {statistics.median(ours):.2f} |")
    print(f"| the same Job posted by itself | {statistics.median(theirs):.2f} |")
    print(
        f"\nMore by {more:.2f} s (target at most {TARGET_SECONDS['more than kubectl create']}).\n"
    )
    first = sum(run["seconds"] for run in making[:-5])
    print(f"Making {JOBS:,} jobs took {first:.0f} s in {len(making) - 5} rounds.\n")
    print(f"| A round with {JOBS:,} jobs | s | processor s | API calls | queries |")
    print("|---|--:|--:|--:|--:|")
    for number, one in enumerate(found):
        what = "then" if number else "a new worker's first"
        print(f"| {what} | {one['seconds']:.2f} | {one['cpu']:.2f} | {one['calls']:.0f} "
              f"| {one['queries']:.0f} |")  # fmt: skip
    usual = statistics.median(reading["cpu"] for reading in found[1:]) / JOBS
    print(f"\nTarget: a round under {TARGET_SECONDS['a round']} s. "
          f"For each job {usual * 1e6:.0f} us of processor a round.")  # fmt: skip


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
