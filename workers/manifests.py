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

from experiments.models import Attempt, Run
from workers.cluster import Job

SHAPE = Path(__file__).resolve().parent.parent / "k8s" / "jobs" / "run.yaml"
COMMAND = ("-m", "workers.run")
# What a program needs of the machine that starts it, and nothing else: no secret of the
# portal, no database address.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")


def job(
    *,
    run: Run,
    attempt: Attempt,
    token: str,
    portal_url: str,
    spool: str,
    root: str = "",
    machine: Mapping[str, str] | None = None,
) -> Job:
    """The attempt's Job. `root` is the tree that `workers` is imported from, on a machine that
    has it as a folder; `machine` the environment that the program inherits a few names of."""
    resources = run.resources
    inherited = {name: machine[name] for name in PASSED_ON if name in machine} if machine else {}
    env = inherited | {
        "BACKLINE_URL": portal_url,
        "BACKLINE_RUN": str(run.id),
        "BACKLINE_TOKEN": token,
        "BACKLINE_SESSION": f"attempt-{attempt.number}",
        "BACKLINE_SPOOL": spool,
        "OMP_NUM_THREADS": str(resources.get("cpus", 1)),
        "PYTHONUNBUFFERED": "1",
    }
    if root:
        env["PYTHONPATH"] = root
    return Job(
        name=attempt.job_name,
        command=(sys.executable if root else "python", *COMMAND),
        env=env,
        cpus=resources.get("cpus", 1),
        memory_gb=resources.get("memory_gb", 2),
        gpus=resources.get("gpus", 0),
        labels={
            "backline/run": str(run.id),
            "backline/attempt": str(attempt.number),
            "backline/recipe": run.recipe,
        },
    )


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


def kubernetes(made: Job, *, image: str, shape: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The Job as a manifest. The token is named, not written: it comes from a Secret of the
    job's own name, which is made beside it and goes with it."""
    manifest: dict[str, Any] = deepcopy(dict(shape or yaml.safe_load(SHAPE.read_text())))
    pod = manifest["spec"]["template"]
    container = pod["spec"]["containers"][0]
    manifest["metadata"]["name"] = made.name
    manifest["metadata"]["labels"] |= made.labels
    pod["metadata"]["labels"] |= made.labels
    container["image"] = image
    container["command"] = list(made.command)
    container["env"] = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": made.name, "key": "token"}}}
        if name == "BACKLINE_TOKEN"
        else {"name": name, "value": value}
        for name, value in sorted(made.env.items())
    ]
    limits = {"memory": f"{made.memory_gb}Gi"}
    if made.gpus:
        limits["nvidia.com/gpu"] = str(made.gpus)
    container["resources"] = {
        "requests": {"cpu": str(made.cpus), "memory": f"{made.memory_gb}Gi"},
        "limits": limits,
    }
    return manifest
