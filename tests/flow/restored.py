"""What the tests of back-ups do in a portal: a process (tests/nursery.py) reading lines of verbs.

As tests/flow/world.py, with another program that logs, saves and plays through the client: it
notes its start in MARKS/starts, goes on from its checkpoint if it has one, and waits for MARKS/go.
Each line of verbs is answered with how things stand then.
"""

import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.test import Client  # noqa: E402

from audio_samples.models import Sample  # noqa: E402
from experiments.models import Run  # noqa: E402
from portal import audit, endings  # noqa: E402
from portal.models import AuditEvent, User  # noqa: E402
from rights import territories  # noqa: E402
from rights.consent import consent  # noqa: E402
from rights.grants import lifecycle  # noqa: E402
from rights.models import (  # noqa: E402
    Grant,
    Mandate,
    Party,
    Purpose,
    Recording,
    RightType,
    Use,
)
from rights.parties import parties  # noqa: E402
from tests.catalogue import allow, make_party, make_recording, second_admin  # noqa: E402
from tests.flow import world  # noqa: E402
from workers.cluster import Job  # noqa: E402
from workers.cluster.local import LocalCluster  # noqa: E402
from workers.reconciling import reconcile  # noqa: E402

PROGRAM = """
import os, pathlib, sys, time
import numpy
import backline

marks = pathlib.Path(sys.argv[1])
with (marks / "starts").open("a") as starts:
    starts.write(os.environ["BACKLINE_RUN"][:8] + " " + os.environ["BACKLINE_SESSION"] + "\\n")
run = backline.init(capture_console=False, system_figures=False)
first = run.spec.resume.step if run.spec.resume else 0
for step in range(first + 1, first + 6):
    run.log({"loss": 1 / step}, step=step)
if not first:
    run.log_usage(step=5, usage={item.recording: (1, 1.0) for item in run.spec.items})
    saved = pathlib.Path("weights")
    saved.write_bytes(os.environ["BACKLINE_RUN"].encode())
    run.save_checkpoint(saved, step=5)
    noise = numpy.random.default_rng(1).normal(0, 0.1, (1, 8000))
    run.log_audio("clip", noise, sample_rate=8000, step=5)
run.flush()
while not (marks / "go").exists():
    time.sleep(0.05)
run.log({"loss": 0.0}, step=first + 6)
run.finish()
"""


class ScriptCluster(LocalCluster):
    def create(self, job: Job) -> None:
        super().create(replace(job, command=(sys.executable, "-c", PROGRAM, os.environ["MARKS"])))


def cluster() -> LocalCluster:
    return ScriptCluster(settings.LOCAL_JOBS_DIR, slots=settings.LOCAL_SLOTS)


def once() -> None:
    reconcile(cluster())


def people() -> None:
    world.people()
    User.objects.create_user("vera", roles=["operator"])


PAPERS = ("withdrawal", "opt-out", "mandate", "suspension", "untouched")
SCOPE = consent.Context(Purpose.RESEARCH, territories.WORLD, "")


def papers() -> None:
    """One recording for each way to end a permission, each somebody else's."""
    rosa = User.objects.get(username="rosa")
    for way in PAPERS:
        holder = make_party(rosa, way)
        make_recording(rosa, holder, title=way)
        signs = holder
        if way == "mandate":
            signs = make_party(rosa, "agent")
            row = parties.enter_mandate(
                by=rosa, holder=holder, agent=signs,
                right_types=[RightType.MASTER, RightType.COMPOSITION],
            )  # fmt: skip
            parties.approve_mandate(row, second_admin())
        allow(rosa, signs, Use.TRAIN_GENERATIVE)


def end_them() -> None:
    """What people say after the back-up, in the order of PAPERS."""
    rosa = User.objects.get(username="rosa")

    def grant(way: str) -> Grant:
        return Grant.objects.filter(grantor__name=way, right_type=RightType.MASTER).get()

    song = Recording.objects.get(title="opt-out")
    lifecycle.withdraw(grant("withdrawal"), rosa, "No more.")
    holder = Party.objects.get(name="opt-out")
    lifecycle.opt_out(song, Use.TRAIN_GENERATIVE, holder, rosa, "Not this one.")
    parties.end_mandate(Mandate.objects.get(), rosa, "Another agent.")
    lifecycle.suspend(grant("suspension"), rosa, "Wait.")


def allowed() -> list[str]:
    rows = list(Recording.objects.filter(title__in=PAPERS).order_by("pk"))
    told = consent.evaluate(rows, Use.TRAIN_GENERATIVE, SCOPE)
    return [row.title for row in rows if told[row.pk].allowed]


def root() -> None:
    signed = audit.sign_root()
    assert signed is not None
    Path(os.environ["MARKS"], "root.json").write_text(audit.SignedRoot.of(signed).model_dump_json())


def shown() -> dict[str, Any]:
    return {
        "lines": AuditEvent.objects.count(),
        "allowed": allowed(),
        "behind": endings.behind(),
        "jobs": {name: status.phase for name, status in cluster().observe().items()},
        "runs": [
            {
                "id": str(run.pk)[:8],
                "state": run.state,
                "reason": run.state_reason,
                "attempts": [[attempt.number, attempt.state] for attempt in run.attempts.all()],
                "steps": sum(one.count for one in run.series.filter(name="loss")),
                "checkpoints": run.checkpoints.count(),
                "samples": run.samples.count(),
            }
            for run in Run.objects.order_by("number")
        ],
    }


def pages() -> None:
    """Every page that stands on what was restored, and the sound itself."""
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.get(username="ada"))
    sample = Sample.objects.earliest("pk")
    addresses = ["/", "/projects/p/", f"/samples/{sample.pk}/"]
    addresses += [run.get_absolute_url() for run in Run.objects.all()]
    for address in addresses:
        assert client.get(address).status_code == 200, address
    answer = client.get(f"/samples/{sample.pk}/audio")
    assert answer.status_code == 200
    assert hashlib.sha256(answer.getvalue()).hexdigest() == sample.audio_id
    client.force_login(User.objects.get(username="rosa"))
    recording = Recording.objects.earliest("pk")
    assert client.get(f"/rights/recordings/{recording.pk}/").status_code == 200
    assert client.get(f"/rights/recordings/{recording.pk}/audio/").status_code == 200


VERBS = {
    "people": people,
    "submit": world.submit,
    "papers": papers,
    "end": end_them,
    "round": once,
    "root": root,
    "pages": pages,
}


def main(_: object) -> None:
    for line in sys.stdin:
        for verb in line.split():
            VERBS[verb]()
        sys.stdout.write(json.dumps(shown()) + "\n")
        sys.stdout.flush()
