"""Fills in the one Job shape: an attempt's program with its environment and resources.

Pure functions of rows and values: no query, no clock. `job` is what every cluster starts;
`kubernetes` is the same as a manifest, from k8s/jobs/run.yaml.
"""

import os
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from experiments import recipes
from experiments.models import Attempt, Run
from experiments.recipes import program
from experiments.runs.resources import Resources
from workers.allocator import MALLOC_SETTINGS
from workers.cluster import Job

SHAPE = Path(__file__).resolve().parents[2] / "k8s" / "jobs" / "run.yaml"
COMMAND = ("-m", "workers.run")
# Precedes the same command: torchrun joins as many processes as its PET_ variables say.
LAUNCHER = ("-m", "backline", "torchrun")
# The portal stops a run when its hours are over, with a message to the person; the cluster does it
# this much later, when there is no portal.
STOP_FIRST_SECONDS = 120
OWN_PROGRAM = "program"
SCRATCH = "/scratch"
GPU = "nvidia.com/gpu"
# Set on every node by NVIDIA's GPU feature discovery.
GPU_LABEL = "nvidia.com/gpu.product"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
RENDEZVOUS_PORT = 29500
# How long a node tries to reach the rendezvous node, which may still pull its image; torchrun waits
# as long for all nodes to join.
MEETING_SECONDS = 600
# The variables that a program needs from the machine that starts it, and nothing else: no secret
# of the portal, no database address.
PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    # With these an operator limits torch: a program then computes as the machine is meant to.
    "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA",
)  # fmt: skip


def job(
    *,
    run: Run,
    attempt: Attempt,
    token: str,
    portal_url: str,
    spool: str,
    root: str = "",
    scratch: str = "",
    machine: Mapping[str, str] | None = None,
) -> Job:
    """Return the attempt's Job. `root` is the folder that `workers` is imported from, on a machine
    that has it; `machine` the environment from which the program inherits a few variables;
    `scratch` a folder for what it fetches, where that is not the one it starts in."""
    resources = Resources.of(run)
    processes = recipes.get(run.recipe).processes_on_a_node(
        gpus=resources.gpus, nodes=resources.nodes
    )
    arguments = _program(run, scratch)
    inherited = {name: machine[name] for name in PASSED_ON if name in machine} if machine else {}
    env = inherited | {
        "BACKLINE_URL": portal_url,
        "BACKLINE_RUN": str(run.id),
        "BACKLINE_TOKEN": token,
        "BACKLINE_SESSION": f"attempt-{attempt.number}",
        "BACKLINE_SPOOL": spool,
        "OMP_NUM_THREADS": str(max(1, resources.cpus // processes)),
        "PYTHONUNBUFFERED": "1",
    }
    if run.recipe != OWN_PROGRAM:
        # A researcher's program has an image, and perhaps an allocator, of its own.
        env |= MALLOC_SETTINGS
    if root:
        env["PYTHONPATH"] = root
    if processes * resources.nodes > 1:
        arguments = (*LAUNCHER, *arguments)
        env |= _torchrun(attempt.job_name, nodes=resources.nodes, each=processes)
    return Job(
        name=attempt.job_name,
        command=(sys.executable if root else "python", *arguments),
        env=env,
        cpus=resources.cpus,
        memory_gb=resources.memory_gb,
        gpus=resources.gpus,
        gpu_type=resources.gpu_type,
        nodes=resources.nodes,
        max_seconds=round(resources.max_hours * 3600) + STOP_FIRST_SECONDS,
        image=run.submitted_config.get("image", "") if run.recipe == OWN_PROGRAM else "",
        own=run.recipe == OWN_PROGRAM,
        labels={
            "backline/run": str(run.id),
            "backline/attempt": str(attempt.number),
            "backline/recipe": run.recipe,
        },
    )


def _program(run: Run, scratch: str) -> tuple[str, ...]:
    if run.recipe == OWN_PROGRAM:
        has_dataset = run.dataset_id is not None
        return program.started_by(run.submitted_config, has_dataset=has_dataset, scratch=scratch)
    return COMMAND


def local(
    *, run: Run, attempt: Attempt, token: str, portal_url: str, spool: Path, root: Path
) -> Job:
    """Return the Job for a process of this machine, with this interpreter and this source tree."""
    made = job(
        run=run,
        attempt=attempt,
        token=token,
        portal_url=portal_url,
        spool=str(spool),
        root=str(root),
        machine=os.environ,
    )
    return replace(made, background=run.project.background)


def in_image(*, run: Run, attempt: Attempt, token: str, portal_url: str) -> Job:
    """Return the Job for a pod of the run image, with the volumes of k8s/jobs/run.yaml."""
    return job(
        run=run,
        attempt=attempt,
        token=token,
        portal_url=portal_url,
        spool=f"{SCRATCH}/spool",
        scratch=SCRATCH,
    )


def kubernetes(
    job: Job,
    *,
    image: str,
    priority: str = "",
    queue: str = "",
    shape: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the Job as a manifest. Secret values are referenced, not written: they come from a
    Secret of the job's own name, which is created beside it and deleted with it."""
    manifest: dict[str, Any] = deepcopy(dict(shape or yaml.safe_load(SHAPE.read_text())))
    pod = manifest["spec"]["template"]
    manifest["metadata"]["name"] = job.name
    manifest["metadata"]["labels"] |= job.labels
    pod["metadata"]["labels"] |= job.labels
    container = pod["spec"]["containers"][0]
    container["image"] = image
    container["command"] = list(job.command)
    # A program cannot ask which image it runs in.
    container["env"] += _environment(replace(job, env={**job.env, "BACKLINE_IMAGE": image}))
    container["resources"] = _resources(job)
    if priority:
        pod["spec"]["priorityClassName"] = priority
    if job.max_seconds:
        # The pod's deadline, not the Job's: the Job's would count the time it waits for a node.
        pod["spec"]["activeDeadlineSeconds"] = job.max_seconds
    if job.gpus:
        _place_on_gpus(pod["spec"], job)
    if job.nodes > 1:
        _spread(manifest, job)
    if queue:
        # Suspended until Kueue admits it.
        manifest["metadata"]["labels"][QUEUE_LABEL] = queue
        manifest["spec"]["suspend"] = True
    shared = next(v for v in pod["spec"]["volumes"] if v["name"] == "shared-memory")
    # It counts as the container's memory; data loaders pass batches through it.
    shared["emptyDir"]["sizeLimit"] = f"{max(1, job.memory_gb // 4)}Gi"
    return manifest


def secret(job: Job) -> dict[str, Any]:
    """Return the Secret: the part of the environment that nobody may read in the Job."""
    hidden = {name: job.env[name] for name in sorted(job.secrets) if name in job.env}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": job.name, "labels": _shared_labels(job)},
        "type": "Opaque",
        "stringData": hidden,
    }


def service(job: Job) -> dict[str, Any]:
    """Return the Service that names the pods of a run on many nodes: they meet at NAME-0.NAME."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": job.name, "labels": _shared_labels(job)},
        "spec": {
            "clusterIP": "None",
            # The pods look each other up before they are ready.
            "publishNotReadyAddresses": True,
            "selector": {"job-name": job.name},
            "ports": [{"name": "rendezvous", "port": RENDEZVOUS_PORT}],
        },
    }


def owner(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reference by which an object is deleted with this Job."""
    named = {"name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    return {"apiVersion": "batch/v1", "kind": "Job", **named, "blockOwnerDeletion": False}


def _environment(job: Job) -> list[dict[str, Any]]:
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": job.name, "key": name}}}
        if name in job.secrets
        else {"name": name, "value": value}
        for name, value in sorted(job.env.items())
    ]


def _resources(job: Job) -> dict[str, Any]:
    limits = {"memory": f"{job.memory_gb}Gi"}
    if job.gpus:
        limits[GPU] = str(job.gpus)
    return {
        # No CPU limit: it would only slow a run down on a node that is idle.
        "requests": {"cpu": str(job.cpus), "memory": f"{job.memory_gb}Gi"},
        "limits": limits,
    }


def _place_on_gpus(spec: dict[str, Any], job: Job) -> None:
    spec["tolerations"].append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
    if job.gpu_type:
        expression = {"key": GPU_LABEL, "operator": "In", "values": [job.gpu_type]}
        required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
        spec["affinity"] = {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
        }


def _spread(manifest: dict[str, Any], job: Job) -> None:
    """Ask for one pod on each node, with an index and a name that the others can look up.

    A pod that fails ends the Job and with it the others: they could not go on alone.
    """
    manifest["spec"] |= {
        "completionMode": "Indexed",
        "completions": job.nodes,
        "parallelism": job.nodes,
    }
    pod = manifest["spec"]["template"]
    pod["spec"]["subdomain"] = job.name
    selector = {"matchLabels": {"job-name": job.name}}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}
    pod["spec"].setdefault("affinity", {})["podAntiAffinity"] = {
        "requiredDuringSchedulingIgnoredDuringExecution": [term]
    }


def _torchrun(name: str, *, nodes: int, each: int) -> dict[str, str]:
    """Return torchrun's options as environment variables, for `each` processes on each node."""
    endpoint = f"{name}-0.{name}:{RENDEZVOUS_PORT}" if nodes > 1 else "localhost:0"
    options = {
        "PET_NNODES": str(nodes),
        "PET_NPROC_PER_NODE": str(each),
        # A further attempt is the portal's: it has a row, and resumes from the checkpoint.
        "PET_MAX_RESTARTS": "0",
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_ENDPOINT": endpoint,
        "PET_RDZV_ID": name,
    }
    if nodes > 1:
        seconds = MEETING_SECONDS
        return options | {"PET_RDZV_CONF": f"join_timeout={seconds},read_timeout={seconds}"}
    # A single machine may be unable to look up its own name.
    return options | {"PET_LOCAL_ADDR": "localhost"}


def _shared_labels(job: Job) -> dict[str, str]:
    return {"app.kubernetes.io/name": "backline-run"} | dict(job.labels)
