"""The one Job shape, compared as a whole, and read by the client library's models."""

import json
import os
import platform
import subprocess
import sys
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from experiments.models import Attempt, Run
from workers.cluster import Job, manifests

GOLDEN = Path(__file__).parents[2] / "golden"
IMAGE = "registry.example/backline-run@sha256:" + "0" * 64
RUN = Run(
    id=uuid.UUID("01234567-89ab-4def-8123-456789abcdef"),
    number=7,
    recipe="flow_matching",
    resources={"cpus": 4, "memory_gb": 16, "gpus": 1, "max_hours": 2},
)
ATTEMPT = Attempt(run=RUN, number=2, job_name="run-0123456789ab-2")


def made(run: Run = RUN) -> Job:
    return manifests.in_image(
        run=run, attempt=ATTEMPT, token="bl_secret", portal_url="https://portal.example"
    )


def asking(recipe: str = "flow_matching", **resources: object) -> Job:
    config = {"command": ["python", "train.py"]} if recipe == "program" else {}
    asked = {**RUN.resources, **resources}
    return made(Run(id=RUN.id, number=7, recipe=recipe, config=config, resources=asked))


def many() -> Job:
    """Two nodes with eight GPUs of one type each."""
    kind = "NVIDIA-H100-80GB-HBM3"
    return asking(nodes=2, gpus=8, gpu_type=kind, memory_gb=512, cpus=32)


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


# Origin: reviewed by hand against the batch/v1 Job and core/v1 Service references of Kubernetes
# 1.36, the restricted Pod Security Standard, and torchrun's environment (PyTorch 2.13).
def test_the_manifest_is_the_golden_one() -> None:
    assert manifests.kubernetes(made(), image=IMAGE) == golden("run-job")


def test_many_nodes_are_an_indexed_job_that_meets_at_its_first_pod() -> None:
    shape = manifests.kubernetes(many(), image=IMAGE, priority="lab-high", queue="gpus")
    assert shape == golden("run-job-nodes")
    assert manifests.service(many()) == golden("run-service")


@dataclass
class Answered:
    """What the client library reads an answer from."""

    data: str


def read(name: str, kind: str) -> Any:
    api = client.ApiClient(client.Configuration(host="http://127.0.0.1:1"))
    text = (GOLDEN / f"{name}.json").read_text()
    return api.deserialize(text, kind, "application/json")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("run-job", "V1Job"), ("run-job-nodes", "V1Job"), ("run-service", "V1Service")],
)
def test_the_client_library_knows_every_field_of_a_manifest(name: str, kind: str) -> None:
    api = client.ApiClient(client.Configuration(host="http://127.0.0.1:1"))
    # A field that its models do not have would be lost on the way through them.
    assert api.sanitize_for_serialization(read(name, kind)) == golden(name)


def test_the_models_find_what_matters_where_it_belongs() -> None:
    job = read("run-job-nodes", "V1Job")
    pod, container = job.spec.template.spec, job.spec.template.spec.containers[0]
    assert (job.spec.backoff_limit, job.spec.completion_mode, job.spec.suspend) == (
        0,
        "Indexed",
        True,
    )
    assert [rule.action for rule in job.spec.pod_failure_policy.rules] == ["FailJob", "FailJob"]
    assert (container.resources.limits["nvidia.com/gpu"], pod.priority_class_name) == (
        "8",
        "lab-high",
    )
    assert container.security_context.read_only_root_filesystem
    mounted = {mount.name for mount in container.volume_mounts}
    assert mounted == {volume.name for volume in pod.volumes}


def test_a_pod_meets_the_restricted_pod_security_standard() -> None:
    # Origin: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    pod = golden("run-job")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {kind for volume in pod["volumes"] for kind in volume} == {"name", "emptyDir"}
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "ports" not in container


def test_secret_values_are_in_the_secret_and_never_in_the_manifest() -> None:
    job = replace(made(), env=made().env | {"S3_KEY": "k"}, secrets=frozenset({"S3_KEY"}))
    assert manifests.secret(job)["stringData"] == {"S3_KEY": "k"}
    assert manifests.secret(made())["stringData"] == {"BACKLINE_TOKEN": "bl_secret"}
    assert made().env["BACKLINE_TOKEN"] == "bl_secret"
    assert "bl_secret" not in json.dumps(manifests.kubernetes(made(), image=IMAGE))


def test_the_longest_duration_is_the_pods_so_that_waiting_for_a_node_does_not_count() -> None:
    spec = manifests.kubernetes(made(), image=IMAGE)["spec"]
    assert spec["template"]["spec"]["activeDeadlineSeconds"] > 2 * 3600
    assert "activeDeadlineSeconds" not in spec


def test_without_gpus_there_is_no_word_of_them() -> None:
    manifest = manifests.kubernetes(replace(made(), gpus=0), image=IMAGE)
    assert "nvidia" not in json.dumps(manifest)


def test_an_own_program_has_its_image_and_its_command_behind_the_client() -> None:
    config = {"image": "lab/mine:7", "command": ["python", "train.py"]}
    own = made(Run(id=RUN.id, number=8, recipe="program", config=config))
    assert own.image == "lab/mine:7"
    assert own.command[:4] == ("python", "-m", "backline", "exec")
    assert own.command[-2:] == ("python", "train.py")


def test_each_gpu_of_a_node_gets_a_process_and_its_share_of_the_cores() -> None:
    job = asking(gpus=2, cpus=5)
    assert job.command == ("python", "-m", "backline", "torchrun", "-m", "workers.run")
    assert {name: value for name, value in job.env.items() if name.startswith("PET_")} == {
        "PET_NNODES": "1",
        "PET_NPROC_PER_NODE": "2",
        "PET_MAX_RESTARTS": "0",
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_ENDPOINT": "localhost:0",
        "PET_RDZV_ID": "run-0123456789ab-2",
        "PET_LOCAL_ADDR": "localhost",
    }
    assert job.env["OMP_NUM_THREADS"] == "2"
    assert asking(gpus=8, cpus=4).env["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("recipe", ["tone_check", "program"])
def test_a_program_of_one_process_sees_all_gpus_of_its_node(recipe: str) -> None:
    job = asking(recipe, gpus=2, cpus=4)
    assert "torchrun" not in job.command
    assert not [name for name in job.env if name.startswith("PET_")]
    assert job.env["OMP_NUM_THREADS"] == "4"


def test_an_own_program_on_many_nodes_is_started_once_for_each_gpu() -> None:
    job = asking("program", gpus=2, nodes=3)
    assert job.command == (
        *("python", "-m", "backline", "torchrun", "-m", "backline", "exec", "--"),
        *("python", "train.py"),
    )
    assert (job.env["PET_NNODES"], job.env["PET_NPROC_PER_NODE"]) == ("3", "2")
    assert asking("program", gpus=0, nodes=2).env["PET_NPROC_PER_NODE"] == "1"


# Takes and frees what a step does: two tensors larger than the C library gives from its heap.
STEPS = """
import ctypes, resource
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
library.malloc.argtypes = [ctypes.c_size_t]
def step():
    taken = [library.malloc(40 << 20) for _ in range(2)]
    for address in taken:
        ctypes.memset(address, 1, 40 << 20)
    for address in reversed(taken):
        library.free(address)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="Settings of the GNU C library.")
def test_our_own_programs_keep_the_memory_of_a_step_for_the_next() -> None:
    def faults(**env: str) -> int:
        """Pages that five more steps asked the kernel for: of 4 kB, or of 2 MB where it may."""
        given = {name: value for name, value in os.environ.items() if "MALLOC" not in name} | env
        done = subprocess.run(
            [sys.executable, "-c", STEPS], env=given, capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    allocator = {name: value for name, value in made().env.items() if "MALLOC" in name}
    assert 10 * faults(**allocator) < faults()
    # An image may have an allocator of its own.
    assert not [name for name in asking("program").env if "MALLOC" in name]


def test_a_local_program_inherits_a_few_names_and_no_secret() -> None:
    machine = {"PATH": "/bin", "SECRET_KEY": "k", "DATABASE_URL": "d", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    job = manifests.job(
        run=RUN,
        attempt=ATTEMPT,
        token="bl_secret",
        portal_url="https://portal.example",
        spool="/spool",
        root="/srv",
        machine=machine,
    )
    assert set(job.env) == {
        "PATH",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "OMP_NUM_THREADS",
        "ONEDNN_MAX_CPU_ISA",
        "MALLOC_MMAP_MAX_",
        "MALLOC_TRIM_THRESHOLD_",
        "BACKLINE_URL",
        "BACKLINE_RUN",
        "BACKLINE_TOKEN",
        "BACKLINE_SESSION",
        "BACKLINE_SPOOL",
    }
