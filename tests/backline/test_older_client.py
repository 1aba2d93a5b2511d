"""What a client that was installed before the portal was last changed sends, and reads."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from backline import wire
from experiments.deliveries import logs
from experiments.metrics import metrics
from experiments.models import Project, Run
from portal import storage, tokens
from portal.models import User

# Everything that one script sent, recorded between the client of commit a591dfb (2026-11-28) and a
# portal: it opened a run, logged 41 numbers, a line, a checkpoint and a clip, and finished.
RECORDED = Path(__file__).parents[1] / "golden" / "client-of-wire-1.json"
# Of each answer, what that client reads.
READS = {
    "heartbeat": {"stop", "reason"},
    "samples": {"id", "url"},
}
READS_OF_SPEC = {
    "version", "id", "project", "number", "name", "url", "recipe", "config", "seed", "dataset",
    "items", "resume", "start_from",
}  # fmt: skip


def send(client: Client, token: str, sent: dict[str, str], run: str) -> dict[str, Any]:
    answer = client.post(
        sent["path"].replace("{run}", run),
        base64.b64decode(sent["body"]),
        content_type=sent["content_type"],
        headers={"Authorization": f"Bearer {token}", wire.VERSION_HEADER: sent["wire"]},
    )
    assert answer.status_code == 200, (sent["path"], answer.content)
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.django_db
def test_what_an_older_client_sends_arrives_whole_and_once(
    client: Client, ada: User, project: Project
) -> None:
    token = tokens.issue(ada, "script")[1]
    opening, *deliveries = json.loads(RECORDED.read_text())
    opened = send(client, token, opening, "")
    assert opened["spec"].keys() >= READS_OF_SPEC
    # Each twice, as after an answer that was lost on its way.
    for sent in (again for one in deliveries for again in (one, one)):
        answer = send(client, opened["token"], sent, opened["spec"]["id"])
        kind = sent["path"].partition("?")[0].rpartition("/")[2]
        assert answer.keys() >= READS.get(kind, set()), sent["path"]
    run = Run.objects.get()
    assert (run.name, run.state, run.config) == ("Script", "finished", {"lr": 0.1, "seed": 3})
    assert {row.name: (row.count, row.nonfinite) for row in run.series.all()} == {
        "loss": (21, 1),
        "lr": (20, 0),
    }
    assert metrics.points(run, "loss")[2][:20].tolist() == [1 / (step + 1) for step in range(20)]
    assert [line.text for line in logs.tail(run)] == ["Hello from an older client"]
    checkpoint = run.checkpoints.get()
    with storage.open_blob(checkpoint.blob_id) as file:
        assert file.read() == b"weights of before"
    assert (checkpoint.step, checkpoint.meta) == (20, {"epoch": 1})
    clip = run.samples.get()
    assert (clip.name, clip.step, clip.prompt, clip.seed) == ("final", 20, "techno", 7)
