"""One training shared by several processes: from the queue to the weights, on the local cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import LazySettings
from django.test import override_settings
from numpy.typing import NDArray
from safetensors.numpy import load

from experiments import recipes
from experiments.metrics import metrics
from experiments.models import Dataset, Project, Run
from experiments.run_page import ranks
from experiments.runs import datasets, runs
from portal import storage
from portal.models import User
from rights.models import Use
from rights.usage import ledger
from tests.backline.test_client import Server
from tests.catalogue import make_allowed
from tests.patience import LIMIT_SECONDS
from tests.workers.training.recorder import record
from workers.cluster.local import LocalCluster
from workers.reconciling import reconcile
from workers.training.group import BatchTooSmall, Group

State = Run.State
ROOT = Path(__file__).resolve().parents[3]
# Five examples a step: shares of two and three, in turns.
SMALL: dict[str, Any] = {
    "prompts": ["techno"],
    "steps": 12,
    "batch_size": 5,
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
    "checkpoint_every": 6,
    "precision": "fp32",
    "threads": 1,
}


@pytest.fixture
def cluster(settings: LazySettings, live_server: Server) -> Iterator[LocalCluster]:
    settings.CLUSTER = "local"
    settings.RUN_PORTAL_URL = live_server.url
    yield LocalCluster(settings.LOCAL_JOBS_DIR, slots=2)
    end = time.monotonic() + LIMIT_SECONDS
    while any((settings.LOCAL_JOBS_DIR / "spool").glob("*/session.json")):
        assert time.monotonic() < end, "a sender goes on"
        time.sleep(0.05)


@pytest.fixture
def dataset(project: Project, ada: User, rosa: User) -> Dataset:
    return datasets.freeze(
        by=ada, project=project, name="ours", recordings=make_allowed(rosa, 3),
        use=Use.TRAIN_GENERATIVE,
    )  # fmt: skip


def queue(dataset: Dataset, ada: User, *, gpus: int, **config: Any) -> Run:
    """Without GPUs here, its processes compute on the processor and speak over gloo."""
    return runs.submit(
        by=ada, project=dataset.project, recipe="flow_matching", config=SMALL | config,
        dataset=dataset, resources={"gpus": gpus, "cpus": max(1, gpus)},
    )  # fmt: skip


def until(cluster: LocalCluster, run: Run) -> Run:
    """Its end; it is to be a good one."""
    end = time.monotonic() + LIMIT_SECONDS
    while run.state not in (State.FINISHED, State.FAILED):
        assert time.monotonic() < end, (run.state, run.state_reason)
        reconcile(cluster)
        time.sleep(0.2)
        run.refresh_from_db()
    assert (run.state, run.state_reason) == (State.FINISHED, "")
    return run


def weights(run: Run, step: int) -> dict[str, NDArray[np.float32]]:
    with storage.open_blob(run.checkpoints.get(step=step).blob_id) as file:
        return load(file.read())


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_processes_learn_what_one_would_and_the_ledger_is_the_same(
    cluster: LocalCluster, dataset: Dataset, ada: User
) -> None:
    alone = until(cluster, queue(dataset, ada, gpus=0))
    shared = until(cluster, queue(dataset, ada, gpus=2))
    for name, close in (("loss", 1e-5), ("grad_norm", 1e-4), ("learning_rate", 0.0)):
        one, other = (metrics.points(run, name) for run in (alone, shared))
        assert one[0].tolist() == other[0].tolist() == list(range(1, 13))
        # The same gradient, but for the order of its sums; each step makes the difference larger.
        np.testing.assert_allclose(other[2][0], one[2][0], rtol=close, err_msg=name)
        np.testing.assert_allclose(other[2], one[2], rtol=100 * close, err_msg=name)
    assert set(weights(alone, 12)) == set(weights(shared, 12))
    used = ledger.exposures(f"run:{shared.pk}")
    assert used == ledger.exposures(f"run:{alone.pk}")
    assert sum(examples for examples, _ in used.values()) == 12 * SMALL["batch_size"]
    # Only the first speaks, each step of each is marked, and nothing is said twice.
    assert not [name for name in metrics.names(shared) if name.startswith("rank/")]
    assert [rank.number for rank in ranks.ranks_in(shared.series.all())] == [0, 1]
    assert ranks.ranks_in(alone.series.all()) == []
    assert shared.samples.count() == alone.samples.count() == 3


# What a job starts, with a run that is kept in memory: each process can be looked into.
PROGRAM = """
import hashlib, json, os, pathlib, shutil
import torch
from tests.workers.training.recorder import Recorder, recorder
from workers import run as program
from workers.training import flow_matching, interruption

class Run(Recorder):
    def log(self, points, *, step):
        super().log(points, step=step)
        pathlib.Path("step").write_text(str(step))

    def save_checkpoint(self, path, *, step, meta):
        super().save_checkpoint(path, step=step, meta=meta)
        shutil.copy(path, f"saved-{step}")

class Trainer(flow_matching.Trainer):
    def __init__(self, *args, **how):
        super().__init__(*args, **how)
        trainers.append(self)

interruption.BELL.listen()
told = json.loads(pathlib.Path("told.json").read_text())
rank, trainers = os.environ["RANK"], []
flow_matching.Trainer = Trainer
files = {url: pathlib.Path(path) for url, path in told["files"].items()}
resume = {"resume": pathlib.Path(f"saved-{told['step']}"), "step": told["step"]}
made = recorder(files, **(resume if told["step"] else {}))
made.__class__ = Run
made.spec = made.spec.model_copy(update={"config": told["config"]})
if told["unlike"]:
    os.environ["BACKLINE_THREADS"] = str(2 - int(rank))
if rank == "1" and told["broken"]:
    made.files = {url: pathlib.Path("/nowhere") / path.name for url, path in files.items()}
code = program.perform(made)
state = trainers[0].model.state_dict() if trainers else {}
digest = hashlib.sha256(b"".join(value.numpy().tobytes() for value in state.values()))
said = {
    "weights": digest.hexdigest(),
    "chosen": made.arithmetic and made.arithmetic.model_dump(),
    "threads": torch.get_num_threads(),
    "precision": trainers and trainers[0].arithmetic.precision,
    "losses": made.series("loss"),
    "usage": [lines for _, lines in made.usage],
    "rest": [*made.audio, *made.checkpoints],
}
pathlib.Path(f"rank-{rank}.json").write_text(json.dumps(said))
program.end(code)
"""


class Job:
    """Several processes of that program in a folder; what each has seen when it ended."""

    def __init__(self, folder: Path, *, processes: int, **config: Any) -> None:
        self.folder = folder
        self.processes = processes
        self.config = SMALL | config
        music = folder / "music"
        music.mkdir(parents=True)
        self.files = {url: str(path) for url, path in record(music, each=1, seconds=1.0).items()}
        (folder / "program.py").write_text(PROGRAM)

    def start(
        self, *, step: int = 0, broken: bool = False, unlike: bool = False
    ) -> "subprocess.Popen[str]":
        """`step`: of the checkpoint to go on from. `broken`: the second finds no recordings.
        `unlike`: the first may have two threads, the second one."""
        told = {
            "files": self.files,
            "config": self.config,
            "step": step,
            "broken": broken,
            "unlike": unlike,
        }
        (self.folder / "told.json").write_text(json.dumps(told))
        options = ["--standalone", "--local-addr=localhost", f"--nproc-per-node={self.processes}"]
        return subprocess.Popen(
            [sys.executable, "-m", "backline", "torchrun", *options, "program.py"],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def do(self, **how: Any) -> "Done":
        return self.end(self.start(**how))

    def end(self, launcher: "subprocess.Popen[str]") -> "Done":
        _, err = launcher.communicate(timeout=LIMIT_SECONDS)
        reports = [self.folder / f"rank-{rank}.json" for rank in range(self.processes)]
        said = [json.loads(path.read_text()) for path in reports if path.exists()]
        return Done(launcher.returncode, err, said)


@dataclass
class Done:
    code: int
    err: str
    said: list[dict[str, Any]]


@pytest.mark.slow
def test_every_process_has_the_same_weights_and_one_speaks(tmp_path: Path) -> None:
    done = Job(tmp_path, processes=2).do()
    assert done.code == 0, done.err
    first, second = done.said
    assert first["weights"] == second["weights"]
    assert len(first["losses"]) == SMALL["steps"]
    assert (second["losses"], second["usage"], second["rest"]) == ({}, [], [])


@pytest.mark.slow
def test_all_compute_in_what_the_first_of_them_chose(tmp_path: Path) -> None:
    """Each is given another number of threads, as on machines that are not alike."""
    done = Job(tmp_path, processes=2, precision="auto", threads=0).do(unlike=True)
    assert done.code == 0, done.err
    first, second = done.said
    assert first["chosen"] is not None
    assert second["chosen"] is None
    assert first["threads"] == second["threads"] == first["chosen"]["threads"]
    assert first["precision"] == second["precision"] == first["chosen"]["precision"]
    assert first["weights"] == second["weights"]


@pytest.mark.slow
def test_after_sigterm_all_leave_at_one_step_and_the_rest_is_bit_for_bit_the_same(
    tmp_path: Path,
) -> None:
    # Three: a sum of two has only one order.
    longer = {"steps": 150, "sample_every": 0, "checkpoint_every": 0}
    whole = Job(tmp_path / "whole", processes=3, **longer).do()
    job = Job(tmp_path / "cut", processes=3, **longer)
    launcher, end = job.start(), time.monotonic() + LIMIT_SECONDS
    while not (job.folder / "step").exists():
        assert time.monotonic() < end, "it did not begin"
        time.sleep(0.01)
    launcher.send_signal(signal.SIGTERM)
    cut = job.end(launcher)
    assert cut.code == 75, cut.err
    last = cut.err.splitlines()[-1]
    assert last.endswith("Asked to make room; another attempt goes on."), last
    (saved,) = (int(path.name.partition("-")[2]) for path in job.folder.glob("saved-*"))
    assert saved < 150
    rest = job.do(step=saved)
    assert (rest.code, whole.code) == (0, 0), rest.err
    assert {one["weights"] for one in rest.said} == {one["weights"] for one in whole.said}
    assert cut.said[0]["losses"] | rest.said[0]["losses"] == whole.said[0]["losses"]
    assert heard(cut, rest) == heard(whole)


def heard(*parts: Done) -> dict[str, int]:
    """Examples of each recording, over all reports."""
    counted: dict[str, int] = {}
    for report in (lines for part in parts for lines in part.said[0]["usage"]):
        for recording, (examples, _) in report.items():
            counted[recording] = counted.get(recording, 0) + examples
    return counted


@pytest.mark.slow
def test_one_process_that_fails_ends_all_and_its_reason_is_the_last_line(tmp_path: Path) -> None:
    done = Job(tmp_path, processes=2).do(broken=True)
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        "[rank 1] The recording “0-ambient” cannot be decoded: "
        "[Errno 2] No such file or directory: '/nowhere/0-ambient.flac'"
    )


def test_fewer_examples_than_processes_are_refused_in_the_program_too() -> None:
    shares = [Group(rank=rank, count=3).share(step=2, batch_size=5) for rank in range(3)]
    assert (sorted(n for share in shares for n in share), shares[0]) == ([5, 6, 7, 8, 9], [6, 9])
    with pytest.raises(BatchTooSmall) as refused:
        Group(count=3).demand_shares(2)
    assert str(refused.value) == recipes.too_small(batch=2, processes=3)


@override_settings(CLUSTER="recording")
@pytest.mark.django_db
def test_fewer_examples_than_processes_are_refused_beside_the_field(
    dataset: Dataset, ada: User
) -> None:
    asked = {"gpus": 4, "nodes": 2}
    config = {"recipe": "flow_matching", "by": ada, "project": dataset.project, "dataset": dataset}
    with pytest.raises(recipes.ConfigInvalid) as refused:
        runs.submit(config=SMALL, resources=asked, **config)
    assert refused.value.errors == {"batch_size": recipes.too_small(batch=5, processes=8)}
    made = runs.submit(config=SMALL | {"batch_size": 8}, resources=asked, **config)
    assert made.resources["nodes"] == 2
