"""The API: whose token reaches which run, what a delivery answers, lists by pages."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from backline import batches, wire
from experiments.models import Project, Run, Series
from experiments.runs import datasets, runs
from portal import storage, tokens
from portal.models import User
from rights.grants import lifecycle
from rights.models import Use
from rights.usage import ledger
from tests.catalogue import make_allowed

pytestmark = pytest.mark.django_db

Call = Callable[..., HttpResponse]


class Caller:
    """Speaks to the API with one token."""

    def __init__(self, secret: str) -> None:
        self.client = Client(headers={"authorization": f"Bearer {secret}"})

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/v1{path}", query)

    def post(self, path: str, body: object) -> Any:
        return self.client.post(f"/api/v1{path}", body, content_type="application/json")

    def batch(self, run: Run, number: int, values: list[float], session: str = "a") -> Any:
        steps = np.arange(len(values), dtype=np.int64)
        table = batches.Table(("loss",), steps, steps * 1.0, np.array([values]))
        path = f"/api/v1/runs/{run.pk}/batches?session={session}&number={number}"
        return self.client.post(
            path, batches.encode([table]), content_type="application/octet-stream"
        )


@pytest.fixture
def run(project: Project, ada: User) -> Run:
    return runs.open_client_run(by=ada, project=project, name="Outside")


def own(run: Run, by: User) -> Caller:
    return Caller(tokens.issue(by, "run", scope=f"run:{run.pk}")[1])


def whole(by: User) -> Caller:
    return Caller(tokens.issue(by, "script")[1])


def test_a_batch_twice_is_a_duplicate_and_other_content_a_conflict(run: Run, ada: User) -> None:
    caller = own(run, ada)
    assert caller.batch(run, 1, [1.0, float("nan")]).json() == {"points": 2, "duplicate": False}
    assert caller.batch(run, 1, [1.0, float("nan")]).json() == {"points": 2, "duplicate": True}
    answer = caller.batch(run, 1, [2.0])
    assert (answer.status_code, "other content" in answer.json()["detail"]) == (409, True)
    assert Series.objects.get(run=run).count == 2


def test_another_runs_token_is_refused(run: Run, project: Project, ada: User) -> None:
    other = runs.open_client_run(by=ada, project=project, name="Other")
    answer = own(other, ada).batch(run, 1, [1.0])
    assert (answer.status_code, answer.json()["detail"]) == (403, "This token is another run's.")
    assert own(other, ada).get("/projects").status_code == 403
    assert not Series.objects.exists()


def test_somebody_elses_run_is_not_there(run: Run, ben: User) -> None:
    caller = whole(ben)
    assert caller.get(f"/runs/{run.pk}").status_code == 404
    assert caller.batch(run, 1, [1.0]).status_code == 404
    assert caller.get("/runs").json() == {"count": 0, "items": []}


@pytest.mark.parametrize("secret", ["", "bl_nonsense"])
def test_no_token_or_a_wrong_one_is_401(run: Run, secret: str) -> None:
    assert Caller(secret).get(f"/runs/{run.pk}").status_code == 401
    assert Client().get("/api/v1/projects").status_code == 401


def test_stray_bytes_are_a_sentence(run: Run, ada: User) -> None:
    path = f"/api/v1/runs/{run.pk}/batches?session=a&number=1"
    answer = own(run, ada).client.post(path, b"stray", content_type="application/octet-stream")
    assert (answer.status_code, "too short" in answer.json()["detail"]) == (400, True)


def test_late_deliveries_are_taken_from_the_runs_own_sessions(run: Run, ada: User) -> None:
    mine, scripts = own(run, ada), whole(ada)
    scripts.batch(run, 1, [1.0], session="a")
    runs.close_client_run(run)
    assert mine.batch(run, 2, [2.0], session="a").status_code == 200
    assert scripts.batch(run, 3, [3.0], session="a").status_code == 200
    answer = scripts.batch(run, 1, [1.0], session="new")
    assert (answer.status_code, "has ended" in answer.json()["detail"]) == (409, True)


def test_a_revoked_token_delivers_nothing(run: Run, ada: User) -> None:
    token, secret = tokens.issue(ada, "run", scope=f"run:{run.pk}")
    tokens.revoke(token)
    assert Caller(secret).batch(run, 1, [1.0]).status_code == 401
    assert Caller(secret).get(f"/runs/{run.pk}/spec").status_code == 401


def test_heartbeats_carry_requests_to_stop(run: Run, ada: User) -> None:
    caller = own(run, ada)
    sign = {"session": "a", "stage": "training", "progress": 0.25}
    assert caller.post(f"/runs/{run.pk}/heartbeat", sign).json() == {"stop": False, "reason": ""}
    run.refresh_from_db()
    assert (run.stage, run.progress) == ("training", 0.25)
    runs.cancel(run=run, by=ada)
    answer = caller.post(f"/runs/{run.pk}/heartbeat", sign).json()
    assert answer == {"stop": True, "reason": "Cancelled by Ada Okafor."}


def test_a_run_from_outside_is_opened_described_and_ended(project: Project, ada: User) -> None:
    answer = whole(ada).post("/runs", {"project": project.slug, "config": {"seed": 7}}).json()
    opened = wire.OpenedRun.model_validate(answer)
    caller = Caller(opened.token)
    assert caller.get(f"/runs/{opened.spec.id}/spec").json()["seed"] == 7
    caller.post(f"/runs/{opened.spec.id}/ending", {"outcome": "failed", "reason": "It broke."})
    row = Run.objects.get()
    assert (row.state, row.state_reason) == (Run.State.FAILED, "It broke.")


def test_curves_are_json_with_nulls_for_what_is_not_finite(run: Run, ada: User) -> None:
    caller = own(run, ada)
    caller.batch(run, 1, [1.0, float("nan"), float("inf")])
    answer = caller.get(f"/runs/{run.pk}/metrics", name="loss")
    curve = json.loads(answer.content, parse_constant=pytest.fail)
    assert curve["mean"] == [1.0, None, None]
    details = caller.get(f"/runs/{run.pk}").json()
    assert details["metrics"][0] | {"nonfinite": 2, "count": 3} == details["metrics"][0]


def test_lists_come_by_pages(project: Project, ada: User) -> None:
    for number in range(5):
        runs.open_client_run(by=ada, project=project, name=f"Run {number}")
    page = whole(ada).get("/runs", limit=2, offset=1).json()
    assert (page["count"], [row["number"] for row in page["items"]]) == (5, [4, 3])
    assert whole(ada).get("/runs", limit=1000).status_code == 422
    assert [row["slug"] for row in whole(ada).get("/projects").json()["items"]] == ["first-light"]


def started(project: Project, ada: User, rosa: User) -> Run:
    recordings = make_allowed(rosa)
    dataset = datasets.freeze(
        by=ada, project=project, name="Demo", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )
    run = runs.submit(by=ada, project=project, recipe="flow_matching", config={}, dataset=dataset)
    attempt = runs.claim(run)
    assert attempt is not None
    runs.mark_started(attempt)
    run.refresh_from_db()
    return run


def test_a_job_reads_the_audio_of_its_dataset_and_nothing_else(
    project: Project, ada: User, rosa: User
) -> None:
    run = started(project, ada, rosa)
    caller = own(run, ada)
    spec = wire.RunSpec.model_validate(caller.get(f"/runs/{run.pk}/spec").json())
    assert (spec.recipe, len(spec.items), spec.resume) == ("flow_matching", 2, None)
    item = spec.items[0]
    answer = caller.client.get(item.url)
    content = b"".join(answer.streaming_content)
    with storage.open_blob(item.sha256) as file:
        assert content == file.read()
    assert caller.get(f"/runs/{run.pk}/audio/99999").status_code == 404
    assert whole(ada).get(f"/runs/{run.pk}/audio/{item.recording}").status_code == 403
    run_item = run.dataset.items.get(recording_id=item.recording)
    party = run_item.recording.splits.first().lines.first().party
    lifecycle.opt_out(run_item.recording, run.use, party, rosa, "Changed their mind.")
    answer = caller.client.get(item.url)
    assert (answer.status_code, "has ended" in answer.json()["detail"]) == (403, True)


def test_usage_counts_once_and_only_for_the_dataset(
    project: Project, ada: User, rosa: User
) -> None:
    run = started(project, ada, rosa)
    caller = own(run, ada)
    first = run.dataset.items.first().recording_id
    report = {"step": 10, "lines": [{"recording": first, "examples": 4, "seconds": 16.0}]}
    for _ in range(2):
        assert caller.post(f"/runs/{run.pk}/usage", report).status_code == 200
    assert ledger.exposures(f"run:{run.pk}") == {first: (4, 16.0)}
    report["lines"] = [{"recording": 99999, "examples": 1, "seconds": 1.0}]
    assert caller.post(f"/runs/{run.pk}/usage", report).status_code == 422


def test_a_checkpoint_is_checked_kept_and_resumed_from(
    project: Project, ada: User, rosa: User
) -> None:
    run = started(project, ada, rosa)
    caller = own(run, ada)
    content = b"weights"
    digest = "9af0d2a9bd2d84e5eb2dcfa0ae6a3c1c0b8ec6df1a9b9d6f3fb2a0e8f4d5f1aa"
    path = f"/api/v1/runs/{run.pk}/checkpoints"

    def send(sha256: str) -> Any:
        meta = json.dumps({"step": 5, "sha256": sha256, "meta": {"loss": 0.5}})
        file = SimpleUploadedFile("x", content)
        return caller.client.post(path, {"meta": meta, "file": file})

    assert send(digest).status_code == 408
    assert not run.checkpoints.exists()
    right = hashlib.sha256(content).hexdigest()
    assert send(right).json() == {"points": 0, "duplicate": False}
    assert send(right).json() == {"points": 0, "duplicate": True}
    spec = wire.RunSpec.model_validate(caller.get(f"/runs/{run.pk}/spec").json())
    assert spec.resume is not None
    assert (spec.resume.step, spec.resume.meta) == (5, {"loss": 0.5})
    assert b"".join(caller.client.get(spec.resume.url).streaming_content) == content


def test_a_submission_that_cannot_be_is_a_sentence(project: Project, ada: User) -> None:
    body = {"project": project.slug, "recipe": "flow_matching", "config": {"nonsense": 1}}
    answer = whole(ada).post("/submissions", body)
    assert answer.status_code == 422
    assert not Run.objects.exists()


def test_what_is_said_of_a_run_is_changed_by_its_people_and_its_program(
    run: Run, ada: User, ben: User
) -> None:
    def change(caller: Caller, **body: object) -> Any:
        path = f"/api/v1/runs/{run.pk}"
        return caller.client.patch(path, body, content_type="application/json")

    answer = change(whole(ada), name="Better", notes="*n*", tags=["a"], add_tags=["b"], version=0)
    assert answer.json() == {
        "id": str(run.pk), "name": "Better", "description": "", "notes": "*n*",
        "tags": ["a", "b"], "version": 1,
    }  # fmt: skip
    assert change(own(run, ada), add_tags=["c"], description="d").json()["tags"] == ["a", "b", "c"]
    clash = change(whole(ada), version=1, description="e")
    assert (clash.status_code, "program has changed the description" in clash.text) == (409, True)
    assert change(whole(ada), tags=["a,b"]).status_code == 422
    assert change(own(run, ada), tags=["a"]).status_code == 422
    assert change(own(run, ada), name="").status_code == 422
    assert change(whole(ben), name="Mine").status_code == 404
    details = whole(ada).get(f"/runs/{run.pk}").json()
    assert (details["version"], details["archived_at"], details["description"]) == (2, None, "d")
    edits = whole(ada).get(f"/runs/{run.pk}/edits").json()
    assert (edits["count"], [edit["by"] for edit in edits["items"]]) == (2, ["", "ada"])
    undone = whole(ada).post(f"/runs/{run.pk}/edits/1/undo", {})
    assert (undone.json()["name"], undone.json()["tags"]) == ("Outside", ["c"])
    assert whole(ada).post(f"/runs/{run.pk}/edits/1/undo", {}).status_code == 409
    assert whole(ada).post(f"/runs/{run.pk}/edits/9/undo", {}).status_code == 404
    assert own(run, ada).post(f"/runs/{run.pk}/edits/2/undo", {}).status_code == 403
