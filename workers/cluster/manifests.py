"""Fills the one Job shape: which program an attempt is, with what environment and resources.

Pure functions of rows and values: no query, no clock. `job` is what every cluster starts;
`kubernetes` is the same as a manifest, from k8s/jobs/run.yaml.
"""

import os
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from experiments import recipes
from experiments.models import Attempt, Run
from experiments.recipes import program
from experiments.runs.resources import Resources
from workers.allocator import KEEPING_MEMORY
from workers.cluster import Job

SHAPE = Path(__file__).resolve().parents[2] / "k8s" / "jobs" / "run.yaml"
COMMAND = ("-m", "workers.run")
# Behind it the same words: as many processes as its PET_ variables say, joined by torchrun.
LAUNCHER = ("-m", "backline", "torchrun")
# The portal stops a run when its hours are over, with a word to the person; the cluster does it
# when there is no portal.
STOP_FIRST_SECONDS = 120
OWN_PROGRAM = "program"
SCRATCH = "/scratch"
GPU = "nvidia.com/gpu"
# Set on every node by NVIDIA's GPU feature discovery.
GPU_LABEL = "nvidia.com/gpu.product"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
RENDEZVOUS_PORT = 29500
# How long a node tries to reach the one where they meet, which may still pull its image; torchrun
# waits as long for all of them to come.
MEETING_SECONDS = 600
# What a program needs of the machine that starts it, and nothing else: no secret of the
# portal, no database address.
PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    # What an operator may hold torch to: a program computes then as the machine is meant to.
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
    """The attempt's Job. `root` is the tree that `workers` is imported from, on a machine that
    has it as a folder; `machine` the environment that the program inherits a few names of;
    `scratch` a folder for what it fetches, where that is not the one it starts in."""
    asked = Resources.of(run)
    each = recipes.get(run.recipe).processes_on_a_node(gpus=asked.gpus, nodes=asked.nodes)
    words = _program(run, scratch)
    inherited = {name: machine[name] for name in PASSED_ON if name in machine} if machine else {}
    env = inherited | {
        "BACKLINE_URL": portal_url,
        "BACKLINE_RUN": str(run.id),
        "BACKLINE_TOKEN": token,
        "BACKLINE_SESSION": f"attempt-{attempt.number}",
        "BACKLINE_SPOOL": spool,
        "OMP_NUM_THREADS": str(max(1, asked.cpus // each)),
        "PYTHONUNBUFFERED": "1",
    }
    if run.recipe != OWN_PROGRAM:
        # A researcher's program has an image, and perhaps an allocator, of its own.
        env |= KEEPING_MEMORY
    if root:
        env["PYTHONPATH"] = root
    if each * asked.nodes > 1:
        words = (*LAUNCHER, *words)
        env |= _torchrun(attempt.job_name, nodes=asked.nodes, each=each)
    return Job(
        name=attempt.job_name,
        command=(sys.executable if root else "python", *words),
        env=env,
        cpus=asked.cpus,
        memory_gb=asked.memory_gb,
        gpus=asked.gpus,
        gpu_type=asked.gpu_type,
        nodes=asked.nodes,
        max_seconds=round(asked.max_hours * 3600) + STOP_FIRST_SECONDS,
        image=run.config.get("image", "") if run.recipe == OWN_PROGRAM else "",
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
        return program.started_by(run.config, has_dataset=has_dataset, scratch=scratch)
    return COMMAND


def local(
    *, run: Run, attempt: Attempt, token: str, portal_url: str, spool: Path, root: Path
) -> Job:
    """For a process of this machine, with this interpreter and this tree."""
    return job(
        run=run,
        attempt=attempt,
        token=token,
        portal_url=portal_url,
        spool=str(spool),
        root=str(root),
        machine=os.environ,
    )


def in_image(*, run: Run, attempt: Attempt, token: str, portal_url: str) -> Job:
    """For a pod of the run image, with the volumes of k8s/jobs/run.yaml."""
    return job(
        run=run,
        attempt=attempt,
        token=token,
        portal_url=portal_url,
        spool=f"{SCRATCH}/spool",
        scratch=SCRATCH,
    )


def kubernetes(
    made: Job,
    *,
    image: str,
    priority: str = "",
    queue: str = "",
    shape: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The Job as a manifest. Secret values are named, not written: they come from a Secret of the
    job's own name, which is made beside it and goes with it."""
    manifest: dict[str, Any] = deepcopy(dict(shape or yaml.safe_load(SHAPE.read_text())))
    pod = manifest["spec"]["template"]
    manifest["metadata"]["name"] = made.name
    manifest["metadata"]["labels"] |= made.labels
    pod["metadata"]["labels"] |= made.labels
    container = pod["spec"]["containers"][0]
    container["image"] = image
    container["command"] = list(made.command)
    container["env"] += _environment(made)
    container["resources"] = _resources(made)
    if priority:
        pod["spec"]["priorityClassName"] = priority
    if made.max_seconds:
        # Of the pod, not of the Job: the Job's would count the time it waits for a node.
        pod["spec"]["activeDeadlineSeconds"] = made.max_seconds
    if made.gpus:
        _place_on_gpus(pod["spec"], made)
    if made.nodes > 1:
        _spread(manifest, made)
    if queue:
        # Suspended until Kueue admits it.
        manifest["metadata"]["labels"][QUEUE_LABEL] = queue
        manifest["spec"]["suspend"] = True
    shared = next(v for v in pod["spec"]["volumes"] if v["name"] == "shared-memory")
    # It counts as memory of the container; data loaders need it by the batch.
    shared["emptyDir"]["sizeLimit"] = f"{max(1, made.memory_gb // 4)}Gi"
    return manifest


def secret(made: Job) -> dict[str, Any]:
    """What of the environment nobody may read in the Job."""
    hidden = {name: made.env[name] for name in sorted(made.secrets) if name in made.env}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": made.name, "labels": _shared_labels(made)},
        "type": "Opaque",
        "stringData": hidden,
    }


def service(made: Job) -> dict[str, Any]:
    """Names for the pods of a run on many nodes: NAME-0.NAME is where they meet."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": made.name, "labels": _shared_labels(made)},
        "spec": {
            "clusterIP": "None",
            # They look for each other before they are ready.
            "publishNotReadyAddresses": True,
            "selector": {"job-name": made.name},
            "ports": [{"name": "rendezvous", "port": RENDEZVOUS_PORT}],
        },
    }


def owner(job: Mapping[str, Any]) -> dict[str, Any]:
    """The reference that makes something go when this Job goes."""
    named = {"name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    return {"apiVersion": "batch/v1", "kind": "Job", **named, "blockOwnerDeletion": False}


def _environment(made: Job) -> list[dict[str, Any]]:
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": made.name, "key": name}}}
        if name in made.secrets
        else {"name": name, "value": value}
        for name, value in sorted(made.env.items())
    ]


def _resources(made: Job) -> dict[str, Any]:
    limits = {"memory": f"{made.memory_gb}Gi"}
    if made.gpus:
        limits[GPU] = str(made.gpus)
    return {
        # No limit of processor time: it would only slow a run down on a node that is idle.
        "requests": {"cpu": str(made.cpus), "memory": f"{made.memory_gb}Gi"},
        "limits": limits,
    }


def _place_on_gpus(spec: dict[str, Any], made: Job) -> None:
    spec["tolerations"].append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
    if made.gpu_type:
        wanted = {"key": GPU_LABEL, "operator": "In", "values": [made.gpu_type]}
        required = {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}
        spec["affinity"] = {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
        }


def _spread(manifest: dict[str, Any], made: Job) -> None:
    """One pod for each node, with an index and a name that the others can look up.

    A pod that ends badly ends the Job and with it the others: they could not go on alone.
    """
    manifest["spec"] |= {
        "completionMode": "Indexed",
        "completions": made.nodes,
        "parallelism": made.nodes,
    }
    pod = manifest["spec"]["template"]
    pod["spec"]["subdomain"] = made.name
    apart = {"matchLabels": {"job-name": made.name}}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": apart}
    pod["spec"].setdefault("affinity", {})["podAntiAffinity"] = {
        "requiredDuringSchedulingIgnoredDuringExecution": [term]
    }


def _torchrun(name: str, *, nodes: int, each: int) -> dict[str, str]:
    """torchrun's options by their environment names, for a job of `each` processes on each node."""
    meeting = f"{name}-0.{name}:{RENDEZVOUS_PORT}" if nodes > 1 else "localhost:0"
    options = {
        "PET_NNODES": str(nodes),
        "PET_NPROC_PER_NODE": str(each),
        # A next attempt is the portal's: it has a row, and goes on from the checkpoint.
        "PET_MAX_RESTARTS": "0",
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_ENDPOINT": meeting,
        "PET_RDZV_ID": name,
    }
    if nodes > 1:
        seconds = MEETING_SECONDS
        return options | {"PET_RDZV_CONF": f"join_timeout={seconds},read_timeout={seconds}"}
    # The name of a machine alone need not be one that it can look up.
    return options | {"PET_LOCAL_ADDR": "localhost"}


def _shared_labels(made: Job) -> dict[str, str]:
    return {"app.kubernetes.io/name": "backline-run"} | dict(made.labels)
