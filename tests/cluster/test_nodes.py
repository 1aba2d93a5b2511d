"""The test cluster itself: what a process node promises, seen through the API server."""

from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.control_plane import until
from tests.cluster.process_node import A100, ProcessNode

pytestmark = pytest.mark.cluster

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
POLITE = "import signal, sys; signal.signal(15, lambda *_: sys.exit(143))\n" + SLEEP
STUBBORN = (
    "import signal, time; signal.signal(15, lambda *_: print('no', flush=True))\n"
    "print('up', flush=True)\nwhile True: time.sleep(1)"
)


class Pods:
    """Pods of one namespace, each a small Python program."""

    def __init__(self, core: client.CoreV1Api, space: str) -> None:
        self.core = core
        self.space = space

    def create(self, name: str, code: str, **container: Any) -> None:
        pod = container.pop("pod", {})
        spec = {"name": "run", "image": "lab", "command": ["python", "-c", code], **container}
        body = {
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "containers": [spec],
                **pod,
            },
        }
        self.core.create_namespaced_pod(self.space, body)

    def status(self, name: str) -> client.V1PodStatus:
        return self.core.read_namespaced_pod_status(name, self.space).status

    def ends(self, name: str, phase: str) -> client.V1ContainerStateTerminated:
        until(f"{name} is {phase}", lambda: self.status(name).phase == phase)
        return self.status(name).container_statuses[0].state.terminated

    def says(self, name: str, line: str = "up") -> None:
        # The log may be asked for before the container is there, which the API server refuses.
        until(f"{name} runs", lambda: self.status(name).phase == "Running")
        until(f"{name} says {line}", lambda: line in self.log(name))

    def log(self, name: str, **how: Any) -> list[str]:
        text: str = self.core.read_namespaced_pod_log(name, self.space, **how)
        return text.splitlines()

    def names(self) -> list[str]:
        return [pod.metadata.name for pod in self.core.list_namespaced_pod(self.space).items]


@pytest.fixture
def pods(core: client.CoreV1Api, space: str, node: ProcessNode) -> Pods:
    return Pods(core, space)


def waiting(pods: Pods, name: str) -> str:
    statuses = pods.status(name).container_statuses
    return str(statuses[0].state.waiting.reason) if statuses and statuses[0].state.waiting else ""


def test_a_pod_runs_as_a_process_with_its_exit_code_and_its_log(pods: Pods) -> None:
    pods.create("good", "print('a'); print('b')")
    pods.create("bad", "raise SystemExit(3)")
    assert pods.ends("good", "Succeeded").exit_code == 0
    assert pods.ends("bad", "Failed").exit_code == 3
    assert pods.log("good") == ["a", "b"]
    assert pods.log("good", tail_lines=1) == ["b"]


def test_a_log_is_followed_to_the_programs_end(pods: Pods) -> None:
    pods.create("talks", "import time\nfor n in range(4): print(n, flush=True); time.sleep(1)")
    until("it runs", lambda: pods.status("talks").phase == "Running")
    answer = pods.core.read_namespaced_pod_log(
        "talks", pods.space, follow=True, _preload_content=False
    )
    assert answer.read().split() == [b"0", b"1", b"2", b"3"]


def test_the_environment_comes_from_the_manifest_and_from_secrets(
    pods: Pods, core: client.CoreV1Api
) -> None:
    reference = {"valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}}
    env = [
        {"name": "TOKEN", **reference},
        {"name": "SPOOL", "value": "/scratch/spool"},
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "BOTH", "value": "$(WHO) $(NOBODY)"},
    ]
    code = (
        "import os, pathlib; print(os.environ['TOKEN'], os.environ['BOTH'])\n"
        "[print(pathlib.Path(os.environ[k]).parts[-1]) for k in ('SPOOL', 'HOME', 'TMPDIR')]"
    )
    scratch = {"volumes": [{"name": "s", "emptyDir": {}}]}
    mounts = [{"name": "s", "mountPath": "/scratch"}]
    pods.create("reads", code, env=env, volumeMounts=mounts, pod=scratch)
    until("it waits", lambda: waiting(pods, "reads") == "CreateContainerConfigError")
    core.create_namespaced_secret(
        pods.space, {"metadata": {"name": "token"}, "stringData": {"token": "secret"}}
    )
    pods.ends("reads", "Succeeded")
    assert pods.log("reads") == ["secret reads $(NOBODY)", "spool", "home", "tmpdir"]


def test_an_image_that_cannot_be_pulled_is_waited_for(pods: Pods, node: ProcessNode) -> None:
    node.missing_images.add("nowhere/none:1")
    pods.create("waits", "print('never')", image="nowhere/none:1")
    until("it waits", lambda: waiting(pods, "waits") == "ImagePullBackOff")
    node.missing_images.clear()
    pods.ends("waits", "Succeeded")


def test_init_containers_run_first_and_their_failure_is_the_pods(pods: Pods) -> None:
    def first(code: str) -> dict[str, Any]:
        command = ["python", "-c", code]
        return {"initContainers": [{"name": "first", "image": "lab", "command": command}]}

    pods.create("good", "print('second')", pod=first("print('first')"))
    pods.create("bad", "print('second')", pod=first("raise SystemExit(1)"))
    pods.ends("good", "Succeeded")
    assert pods.log("good", container="first") == ["first"]
    until("it failed", lambda: pods.status("bad").phase == "Failed")


def test_a_deleted_pod_has_its_grace_and_is_killed_after_it(pods: Pods) -> None:
    patient = {"terminationGracePeriodSeconds": 600}
    pods.create("polite", POLITE, pod=patient)
    pods.create("stubborn", STUBBORN, pod=patient)
    for name in ("polite", "stubborn"):
        pods.says(name)
    pods.core.delete_namespaced_pod("polite", pods.space)
    pods.core.delete_namespaced_pod("stubborn", pods.space, grace_period_seconds=1)
    until("both are gone", lambda: pods.names() == [])


def test_what_a_program_leaves_behind_ends_with_its_container(pods: Pods) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid)"
    pods.create("leaves", code)
    pods.ends("leaves", "Succeeded")
    stat = Path(f"/proc/{pods.log('leaves')[0]}/stat")
    until("it is gone", lambda: not stat.exists() or ") Z " in stat.read_text())


def test_out_of_memory_and_eviction_are_told_as_a_kubelet_tells_them(
    pods: Pods, node: ProcessNode
) -> None:
    pods.create("greedy", SLEEP)
    pods.create("victim", SLEEP)
    for name in ("greedy", "victim"):
        pods.says(name)
    node.out_of_memory("greedy")
    node.evict("victim")
    ended = pods.ends("greedy", "Failed")
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")
    pods.ends("victim", "Failed")
    assert pods.status("victim").reason == "Evicted"


def test_gpus_are_counted_and_chosen_by_their_type(pods: Pods, spare: ProcessNode) -> None:
    chosen = {"nodeSelector": {"nvidia.com/gpu.product": A100}}
    limits = {"limits": {"nvidia.com/gpu": "1"}}
    pods.create("first", SLEEP, resources=limits, pod=chosen)
    pods.says("first")
    pods.create("second", SLEEP, resources=limits, pod=chosen)
    assert spare.started == ["first"]

    def told() -> str:
        conditions = pods.status("second").conditions or []
        return " ".join(str(condition.message) for condition in conditions)

    until("the scheduler says why", lambda: "Insufficient nvidia.com/gpu" in told())


def test_a_dead_nodes_lease_goes_stale_and_back_again_it_tells_what_it_lost(
    pods: Pods, spare: ProcessNode
) -> None:
    pods.create(
        "lost", SLEEP, pod={"nodeName": spare.name, "tolerations": [{"operator": "Exists"}]}
    )
    pods.says("lost")

    def ready() -> str:
        conditions = pods.core.read_node_status(spare.name).status.conditions
        return next(str(condition.status) for condition in conditions if condition.type == "Ready")

    spare.die()
    until("the node is not heard of", lambda: ready() == "Unknown")
    assert pods.status("lost").phase == "Running"
    spare.start()
    pods.ends("lost", "Failed")
    until("the node is back", lambda: ready() == "True")
