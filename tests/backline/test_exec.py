"""Researchers' own programs in a job of the portal, against the real server."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from experiments.deliveries import logs
from experiments.metrics import metrics
from experiments.models import Attempt, Project, Run, Series
from experiments.runs import datasets, runs
from portal import storage, tokens
from portal.models import User
from rights.grants import lifecycle
from rights.models import Recording, Use
from rights.usage import ledger
from tests.backline.portal import Door, opened
from tests.backline.test_client import Server, wait_for
from tests.catalogue import make_allowed
from tests.patience import LIMIT_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def door(live_server: Server) -> Iterator[Door]:
    with opened(live_server.url) as found:
        yield found


@pytest.fixture
def recordings(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 2)


@dataclass
class Job:
    """One attempt of a run of the recipe `program`, started by hand as a cluster would."""

    run: Run
    attempt: Attempt
    token: str
    url: str
    work: Path

    def env(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BACKLINE_")}
        return kept | {
            "BACKLINE_URL": self.url,
            "BACKLINE_RUN": str(self.run.pk),
            "BACKLINE_TOKEN": self.token,
            "BACKLINE_SESSION": f"attempt-{self.attempt.number}",
            "BACKLINE_SPOOL": str(self.work / "spool"),
            "BACKLINE_BEAT_SECONDS": "0.2",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **more,
        }

    def start(self, *words: str, dataset: bool = False, **env: str) -> "subprocess.Popen[str]":
        mount = ["--dataset", "music"] if dataset else []
        return subprocess.Popen(
            [sys.executable, "-m", "backline", "exec", *mount, "--", *words],
            env=self.env(**env),
            cwd=self.work,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def do(self, code: str, *, dataset: bool = False, **env: str) -> "Done":
        process = self.start("python", "-c", code, dataset=dataset, **env)
        out, err = process.communicate(timeout=LIMIT_SECONDS)
        return Done(process.returncode, out, err)


@dataclass
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def job(
    project: Project, ada: User, recordings: list[Recording], door: Door, tmp_path: Path
) -> Iterator[Job]:
    frozen = datasets.freeze(
        by=ada, project=project, name="ours", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )
    config = {"command": "python train.py", "env": {"DEPTH": 3}}
    run = runs.submit(by=ada, project=project, recipe="program", config=config, dataset=frozen)
    work = tmp_path / "work"
    work.mkdir()
    yield begin(run, ada, door.url, work)
    wait_for(lambda: not any(work.glob("spool/*/session.json")))


def begin(run: Run, ada: User, url: str, work: Path) -> Job:
    attempt = runs.claim(run)
    assert attempt is not None
    runs.mark_created(attempt)
    token = tokens.issue(ada, "run", scope=f"run:{run.pk}")[1]
    return Job(run, attempt, token, url, work)


def text(job: Job, stream: str = "stdout", session: str = "attempt-1") -> str:
    return logs.text(job.run, stream, session)


LIST = """
import json, os, pathlib
folder = pathlib.Path(os.environ["BACKLINE_DATASET"])
manifest = json.loads((folder / "manifest.json").read_text())
for one in manifest["recordings"]:
    one["bytes"] = (folder / one["file"]).stat().st_size
print(json.dumps(manifest))
"""


def test_a_program_that_knows_nothing_of_us_gets_the_music_and_is_logged(
    job: Job, recordings: list[Recording]
) -> None:
    done = job.do(LIST, dataset=True)
    assert (done.code, done.err) == (0, "")
    manifest = json.loads(done.out)
    assert manifest["dataset"] == str(job.run.dataset)
    told = {one["recording"]: one for one in manifest["recordings"]}
    assert set(told) == {recording.pk for recording in recordings}
    for recording in recordings:
        one = told[recording.pk]
        assert one["title"] == recording.title
        assert one["artists"] == [c.party.name for c in recording.credits.all()]
        assert one["file"] == f"{recording.audio_id}.flac"
        assert one["tags"] == recording.tags
        assert one["bytes"] == recording.audio.size
    assert text(job) == done.out
    # The music is gone when the job is; what was fetched counts in full, once.
    assert not (job.work / "music").exists()
    assert ledger.exposures(f"run:{job.run.pk}") == {
        recording.pk: (1, recording.duration) for recording in recordings
    }


def test_a_broken_download_is_gone_on_from_and_a_wrong_one_fetched_again(
    job: Job, door: Door
) -> None:
    door.cut, door.spoil = 1, 1
    assert job.do(LIST, dataset=True).code == 0
    fetched = [line for line in door.seen if "/audio/" in line]
    # One in two pieces, the other one wrong and then right.
    assert [line.rsplit(" ", 1)[1] for line in fetched].count("206") == 1
    assert len(fetched) == 4


JOINS = """
import os, time, backline
with backline.init(project="whatever", config={"lr": 1}) as run:
    assert run.config["command"] == ["python", "train.py"], run.config
    assert os.environ["DEPTH"] == "3"
    print("épochs")
    for step in range(50):
        run.log({"loss": 1 / (step + 1)}, step=step)
    run.progress(0.5, stage="half way")
    if os.environ.get("USAGE"):
        items = run.spec.items
        run.log_usage(step=49, usage={items[0].recording: (7, 3.5)})
    time.sleep(0.7)
    open("weights", "wb").write(b"w" * 1000)
    run.save_checkpoint("weights", step=49)
"""


def test_a_program_that_calls_init_joins_the_run(job: Job, recordings: list[Recording]) -> None:
    # Twice in one job, as a preparation and a training would.
    done = job.do(f"exec({JOINS!r}); exec({JOINS!r})", dataset=True)
    assert (done.code, done.err) == (0, "")
    assert Run.objects.count() == 1
    assert Series.objects.get(run=job.run, name="loss").count == 100
    assert text(job) == "épochs\népochs\n"
    job.run.refresh_from_db()
    assert (job.run.progress, job.run.stage) == (0.5, "half way")
    checkpoint = job.run.checkpoints.get()
    with storage.open_blob(checkpoint.blob_id) as file:
        assert file.read() == b"w" * 1000
    assert set(ledger.exposures(f"run:{job.run.pk}")) == {r.pk for r in recordings}


def test_a_program_that_reports_its_use_is_believed(job: Job) -> None:
    done = job.do(JOINS, dataset=True, USAGE="1")
    assert (done.code, done.err) == (0, "")
    first = job.run.dataset.items.order_by("recording_id").first()
    assert ledger.exposures(f"run:{job.run.pk}") == {first.recording_id: (7, 3.5)}


LATE = """
import backline
with backline.init() as run:
    items = run.dataset("mine")
    assert items[0].file.read_bytes()
    run.log_audio("clip", [0.0, 0.1] * 8000, sample_rate=8000)
    run.log_usage(step=1, usage={items[0].recording: (7, 3.5)})
"""


def test_what_was_learned_never_leaves_before_its_use_is_counted(
    job: Job, recordings: list[Recording]
) -> None:
    done = job.do(LATE)
    assert done.code == 0
    assert "has been counted in full already" in done.err
    exposures = ledger.exposures(f"run:{job.run.pk}")
    assert {pk: examples for pk, (examples, _) in exposures.items()} == {
        recording.pk: 1 for recording in recordings
    }


@pytest.mark.parametrize("code", [0, 3, 75, 143])
def test_exit_codes_are_the_programs_own(job: Job, code: int) -> None:
    assert job.do(f"print('last words'); raise SystemExit({code})").code == code
    assert text(job) == "last words\n"


def test_a_program_without_a_word_gets_one(job: Job) -> None:
    done = job.do("import os; os.kill(os.getpid(), 9)")
    assert (done.code, done.err) == (137, "The program ended with code 137 and no message.\n")


def test_a_command_that_is_not_there_is_a_sentence(job: Job) -> None:
    process = job.start("no-such-program")
    _, err = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, err) == (127, "There is no program “no-such-program” here.\n")


WAITS = """
import pathlib, signal, sys, time
def stop(*_):
    print("saving")
    sys.exit(75)
if {heeds}:
    signal.signal(signal.SIGTERM, stop)
else:
    signal.signal(signal.SIGTERM, lambda *_: pathlib.Path("asked").touch())
pathlib.Path("ready").touch()
while True:
    time.sleep(0.1)
    if pathlib.Path("asked").exists():
        with open("turns", "a") as file:
            file.write(".")
"""


def ready(job: Job) -> Callable[[], bool]:
    return (job.work / "ready").exists


def test_sigterm_is_passed_on_and_the_program_may_save(job: Job) -> None:
    process = job.start("python", "-c", WAITS.format(heeds=True))
    wait_for(ready(job))
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, out) == (75, "saving\n")


def test_sigterm_ends_the_waiting_for_a_portal_that_is_away(job: Job, door: Door) -> None:
    door.broken = True
    process = job.start("python", "-c", "print('started')")
    wait_for(lambda: any(line.endswith(" 500") for line in door.seen))
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, out) == (143, "")
    assert err == "Asked to stop before the program was started.\n"


def test_a_withdrawal_stops_a_program_that_does_not_listen(
    job: Job, rosa: User, recordings: list[Recording]
) -> None:
    process = job.start(
        "python", "-c", WAITS.format(heeds=False), dataset=True, BACKLINE_GRACE_SECONDS="1"
    )
    wait_for(ready(job))
    assert (job.work / "music" / "manifest.json").exists()
    party = recordings[0].credits.get().party
    lifecycle.opt_out(recordings[0], Use.TRAIN_GENERATIVE, party, rosa, "Changed my mind.")
    runs.withhold(Run.objects.get(pk=job.run.pk), "The permission has ended.")
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 143
    # A second after it was asked, and not the twenty that are the default: counted in turns of the
    # program itself, ten a second at most, so that a slow machine does not look like a long grace.
    assert len((job.work / "turns").read_text()) < 100
    assert not (job.work / "music").exists()
    # What it had learned from until then is told.
    assert len(ledger.exposures(f"run:{job.run.pk}")) == 2


def test_after_a_withdrawal_nothing_is_fetched_and_nothing_starts(
    job: Job, rosa: User, recordings: list[Recording]
) -> None:
    party = recordings[1].credits.get().party
    lifecycle.opt_out(recordings[1], Use.TRAIN_GENERATIVE, party, rosa, "Changed my mind.")
    done = job.do("print('started')", dataset=True)
    assert (done.code, done.out) == (77, "")
    assert done.err == f"The permission for {recordings[1].title} has ended.\n"
    assert text(job, "stderr") == done.err
    assert not (job.work / "music").exists()
    assert ledger.exposures(f"run:{job.run.pk}") == {}


def test_outside_a_job_it_says_so() -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BACKLINE_")}
    done = subprocess.run(
        [sys.executable, "-m", "backline", "exec", "--", "true"],
        env=kept,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    assert (done.returncode, "no job of the portal" in done.stderr) == (2, True)


def test_a_killed_wrapper_still_counts_what_was_fetched(
    job: Job, recordings: list[Recording]
) -> None:
    process = job.start("python", "-c", WAITS.format(heeds=True), dataset=True)
    wait_for(ready(job))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: len(ledger.exposures(f"run:{job.run.pk}")) == 2)


RANK = """
import os, time, backline
run = backline.init()
for step in range(20):
    run.log({"loss": 1.0} if run.rank == 0 else {}, step=step)
run.log({"extra": 2.0}, step=20)
run.progress(0.25 * (1 + run.rank), stage=f"rank {run.rank}")
print("I am", run.rank)
time.sleep(0.7)
run.finish()
"""


def test_ranks_are_kept_apart_and_rank_0_speaks_for_the_run(job: Job) -> None:
    for rank in ("1", "0"):
        world: dict[str, Any] = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2"}
        assert job.do(RANK, **world).code == 0
    job.run.refresh_from_db()
    assert (job.run.progress, job.run.stage) == (0.25, "rank 0")
    assert text(job) == "I am 0\n"
    assert text(job, session="attempt-1-rank-1") == "I am 1\n"
    names = set(metrics.names(job.run))
    assert {
        "loss", "extra", "rank/1/extra", "system/rank/0/step_seconds", "system/rank/1/step_seconds"
    } <= names  # fmt: skip
    assert Series.objects.get(run=job.run, name="loss").count == 20


INSIDE = """
import os, subprocess, sys
for rank in "01":
    world = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2")
    subprocess.run([sys.executable, "-c", {code!r}], env=os.environ | world, check=True)
"""


def test_ranks_that_the_program_starts_itself_are_kept_apart_too(job: Job) -> None:
    assert job.do(INSIDE.format(code=RANK)).code == 0
    assert text(job) == "I am 0\n"
    apart = job.run.logs.exclude(session="attempt-1").get()
    assert apart.session.startswith("attempt-1-rank-1-")
    assert apart.text == "I am 1\n"
    job.run.refresh_from_db()
    assert job.run.stage == "rank 0"


@pytest.mark.slow
def test_torchrun_around_it_makes_ranks_that_share_the_music(
    job: Job, recordings: list[Recording]
) -> None:
    process = shared(job, RANK)
    assert process.returncode == 0, process.stderr
    assert (text(job), text(job, session="attempt-1-rank-1")) == ("I am 0\n", "I am 1\n")
    assert not (job.work / "music").exists()
    exposures = ledger.exposures(f"run:{job.run.pk}")
    assert {pk: examples for pk, (examples, _) in exposures.items()} == {
        recording.pk: 1 for recording in recordings
    }


FAILS = """
import os, time
if os.environ["RANK"] == "1":
    raise ValueError("The disk is full.")
time.sleep(60)
"""


@pytest.mark.slow
def test_of_several_programs_the_one_that_failed_is_named_last(job: Job) -> None:
    process = shared(job, FAILS)
    last = process.stderr.splitlines()[-1]
    assert (process.returncode, last) == (1, "[rank 1] ValueError: The disk is full.")
    assert not (job.work / "music").exists()


def shared(job: Job, code: str) -> "subprocess.CompletedProcess[str]":
    """The program as two processes of the job, as on a node with two GPUs."""
    launcher = ["-m", "backline", "torchrun", "--standalone", "--nproc-per-node=2"]
    # The launcher starts "python -m backline exec" by itself: its options end before "-m".
    wrapped = ["-m", "backline", "exec", "--dataset", "music", "--", "python", "-c", code]
    return subprocess.run(
        [sys.executable, *launcher, *wrapped],
        env=job.env(OMP_NUM_THREADS="1"),
        cwd=job.work,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )


def test_the_program_of_the_docs_trains_saves_and_goes_on(
    job: Job, recordings: list[Recording]
) -> None:
    page = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
    code = page.split("```python\n", 1)[1].split("```", 1)[0]
    done = job.do(code, dataset=True, STEPS="100")
    assert (done.code, done.err) == (0, "")
    assert [c.step for c in job.run.checkpoints.all()] == [100]
    runs.lose(job.attempt, reason="The node went away.")
    job.run.refresh_from_db()
    again = begin(job.run, job.run.submitted_by, job.url, job.work)
    assert again.do(code, dataset=True, STEPS="120").code == 0
    steps, _, losses = metrics.points(job.run, "loss")
    assert steps.tolist() == list(range(1, 121))
    assert losses[-1] < losses[0]
    exposures = ledger.exposures(f"run:{job.run.pk}")
    assert sum(examples for examples, _ in exposures.values()) == 120
    assert set(exposures) == {recording.pk for recording in recordings}
