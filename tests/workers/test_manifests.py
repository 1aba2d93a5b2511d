"""The one Job shape, compared as a whole."""

import json
import uuid
from pathlib import Path

from experiments.models import Attempt, Run
from workers import manifests
from workers.cluster import Job

GOLDEN = Path(__file__).parent.parent / "golden"
RUN = Run(
    id=uuid.UUID("01234567-89ab-4def-8123-456789abcdef"),
    number=7,
    recipe="flow_matching",
    resources={"cpus": 4, "memory_gb": 16, "gpus": 1},
)
ATTEMPT = Attempt(run=RUN, number=2, job_name="run-0123456789ab-2")


def made(**fields: object) -> Job:
    return manifests.job(
        run=RUN,
        attempt=ATTEMPT,
        token="bl_secret",
        portal_url="https://portal.example",
        spool="/scratch/spool",
        **fields,  # type: ignore[arg-type]
    )


def test_the_manifest_is_the_golden_one() -> None:
    # Origin: reviewed by hand against the batch/v1 Job reference of Kubernetes 1.31.
    golden = json.loads((GOLDEN / "run-job.json").read_text())
    assert manifests.kubernetes(made(), image="backline-run:1") == golden


def test_the_token_is_in_the_jobs_environment_and_never_in_the_manifest() -> None:
    assert made().env["BACKLINE_TOKEN"] == "bl_secret"
    assert "bl_secret" not in json.dumps(manifests.kubernetes(made(), image="x"))


def test_a_local_program_inherits_a_few_names_and_no_secret() -> None:
    machine = {"PATH": "/bin", "SECRET_KEY": "k", "DATABASE_URL": "d"}
    assert set(made(root="/srv", machine=machine).env) == {
        "PATH",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "OMP_NUM_THREADS",
        "BACKLINE_URL",
        "BACKLINE_RUN",
        "BACKLINE_TOKEN",
        "BACKLINE_SESSION",
        "BACKLINE_SPOOL",
    }
