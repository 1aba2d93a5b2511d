"""A portal of its own for fault tests: one process (tests/nursery.py) for each line of verbs.

Database, jobs and marks lie in STATE_DIR; the environment says which. The cluster is the local
one; only the program that a job starts is a small script instead of `workers.run`: it notes
its start in STATE_DIR/starts and waits for STATE_DIR/go; with
STATE_DIR/stubborn it does not listen to SIGTERM.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import django

django.setup()

from django.conf import settings  # noqa: E402

from experiments.models import Attempt, Membership, Project, Run  # noqa: E402
from experiments.runs import datasets, runs  # noqa: E402
from portal.celery import app  # noqa: E402
from portal.models import ApiToken, User  # noqa: E402
from rights.grants import lifecycle  # noqa: E402
from rights.models import Recording, Use  # noqa: E402
from tests.catalogue import make_allowed  # noqa: E402
from workers.cluster import Job  # noqa: E402
from workers.cluster.local import LocalCluster  # noqa: E402
from workers.reconciling import reconcile  # noqa: E402

PROGRAM = """
import os, pathlib, signal, sys, time
state = pathlib.Path(sys.argv[1])
if (state / "stubborn").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with (state / "starts").open("a") as starts:
    starts.write(os.environ["BACKLINE_SESSION"] + "\\n")
while not (state / "go").exists():
    time.sleep(0.05)
"""


class ScriptCluster(LocalCluster):
    """The local cluster, with the small script as every job's program."""

    def create(self, job: Job) -> None:
        command = (sys.executable, "-c", PROGRAM, str(settings.STATE_DIR))
        super().create(replace(job, command=command))


class StallingCluster(ScriptCluster):
    """Says that it was asked to create, and goes no further: the moment between the two."""

    def create(self, job: Job) -> None:
        (settings.STATE_DIR / "claimed").write_text(job.name)
        time.sleep(600)


def cluster(kind: type[LocalCluster] = ScriptCluster) -> LocalCluster:
    return kind(settings.LOCAL_JOBS_DIR, slots=settings.LOCAL_SLOTS)


@app.task(name="tests.stall")
def stall() -> None:
    reconcile(cluster(StallingCluster))


@app.task(name="tests.round")
def once() -> None:
    reconcile(cluster())


def forever() -> None:
    while True:
        once()
        time.sleep(0.05)


def people() -> None:
    ada = User.objects.create_user("ada", roles=["researcher"])
    project = Project.objects.create(slug="p", name="P")
    Membership.objects.create(project=project, user=ada)
    recordings = make_allowed(User.objects.create_user("rosa", roles=["rights_admin"]), 2)
    datasets.freeze(
        by=ada, project=project, name="d", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )


def submit() -> None:
    project = Project.objects.get()
    runs.submit(
        by=User.objects.get(username="ada"),
        project=project,
        recipe="flow_matching",
        config={},
        dataset=project.datasets.get(),
    )


def withdraw() -> None:
    recording = Recording.objects.earliest("pk")
    party = recording.credits.get(role="MainArtist").party
    rosa = User.objects.get(username="rosa")
    lifecycle.opt_out(recording, Use.TRAIN_GENERATIVE, party, rosa, "No more")


def cancel() -> None:
    runs.cancel(run=Run.objects.get(), by=User.objects.get(username="ada"))


def show() -> None:
    shown = {
        "runs": [run.state for run in Run.objects.order_by("number")],
        "attempts": [attempt.state for attempt in Attempt.objects.order_by("pk")],
        "exit_codes": [attempt.exit_code for attempt in Attempt.objects.order_by("pk")],
        "jobs": {name: status.phase for name, status in cluster().observe().items()},
        "usable_tokens": ApiToken.objects.usable().count(),
    }
    sys.stdout.write(json.dumps(shown))


VERBS = {
    "people": people,
    "submit": submit,
    "withdraw": withdraw,
    "cancel": cancel,
    "round": once,
    "stall": stall,
    "forever": forever,
    "show": show,
}


def main(verbs: Sequence[str]) -> None:
    Path(settings.STATE_DIR).mkdir(exist_ok=True)
    for verb in verbs:
        VERBS[verb]()
