"""Forks: a run goes on from a step of another, has its curves up to there, and copies no point."""

from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from backline import batches, wire
from experiments.metrics import metrics
from experiments.models import Checkpoint, Membership, Project, Run, Series
from experiments.runs import forks, runs
from portal.models import AuditEvent, Blob, User
from tests.experiments.metrics.measured import NUMBERS, log_loss


def opened(by: User, project: Project, **fields: Any) -> Run:
    wanted = wire.NewRun(project=project.slug, **fields)
    return runs.join_client_run(by=by, project=project, wanted=wanted).run


def log(run: Run, steps: range) -> None:
    table = batches.Table(
        ("loss",), np.array(steps), np.array(steps, float), np.array([steps], float) / 10
    )
    metrics.ingest(run, "attempt-1", next(NUMBERS), batches.encode([table]))


@pytest.fixture
def parent(ada: User, project: Project) -> Run:
    run = opened(ada, project, name="First", config={"lr": 0.1, "seed": 3})
    log(run, range(100))
    return run


def inherited(client: Client, run: Run, name: str = "loss") -> list[dict[str, Any]]:
    address = reverse("experiments:run_curve", args=[run.project.slug, run.number])
    (curve,) = client.get(address, {"name": name}).json()["curves"]
    found: list[dict[str, Any]] = curve["inherited"]
    return found


def test_a_fork_goes_on_counting_with_the_config_and_the_curves_up_to_its_step(
    client: Client, ada: User, project: Project, parent: Run
) -> None:
    wanted = wire.NewRun(
        project=project.slug, fork_from=str(parent.number), fork_step=40, config={"lr": 0.2}
    )
    joined = runs.join_client_run(by=ada, project=project, wanted=wanted)
    run = joined.run
    assert (joined.step, run.fork_step, run.forked_from) == (40, 40, parent)
    assert run.config == {"lr": 0.2, "seed": 3}
    assert AuditEvent.objects.filter(verb="run.forked", subject_id=str(run.pk)).count() == 1
    log(run, range(41, 60))
    assert Series.objects.get(run=run).count == 19
    client.force_login(ada)
    (part,) = inherited(client, run)
    assert (part["run"], part["steps"][0], part["steps"][-1]) == (parent.number, 0, 40)
    assert inherited(client, run, "nothing") == []
    assert inherited(client, parent) == []
    # What the parent logs later is its own.
    log(parent, range(100, 120))
    assert inherited(client, run)[0]["steps"][-1] == 40
    page = client.get(run.get_absolute_url()).content.decode()
    assert "forked from" in page
    lineage = reverse("experiments:run_checkpoints", args=[project.slug, parent.number])
    assert "forked at step 40" in client.get(lineage).content.decode()


def test_without_a_step_it_is_the_last_one(ada: User, project: Project, parent: Run) -> None:
    assert opened(ada, project, fork_from="First").fork_step == 99


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fork_from": "1", "fork_step": 100}, "has logged up to step 99, not to 100"),
        ({"fork_from": "7"}, "no run 7"),
        ({"fork_from": "Nobody"}, "no run “Nobody” to fork"),
    ],
)
def test_a_fork_of_nothing_is_refused_and_opens_no_run(
    ada: User, project: Project, parent: Run, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises((forks.NotForkable, runs.NoSuchRun), match=words):
        opened(ada, project, **fields)
    assert Run.objects.count() == 1


def test_a_run_without_steps_is_refused(ada: User, project: Project) -> None:
    opened(ada, project, name="Empty")
    with pytest.raises(forks.NotForkable, match="nothing to fork"):
        opened(ada, project, fork_from="Empty")


def test_a_line_of_forks_is_bounded_and_each_part_is_drawn_once(
    client: Client, ada: User, project: Project, parent: Run
) -> None:
    run = parent
    for _ in range(forks.MAX_LINE):
        run = opened(ada, project, fork_from=str(run.pk))
        log(run, range(run.fork_step + 1, run.fork_step + 11))  # type: ignore[operator]
    with pytest.raises(forks.NotForkable, match="a line of 8 forks"):
        opened(ada, project, fork_from=str(run.pk))
    client.force_login(ada)
    parts = inherited(client, run)
    assert len(parts) == forks.MAX_LINE
    steps = [step for part in parts for step in part["steps"]]
    assert steps == sorted(set(steps)) == list(range(steps[-1] + 1))


def test_a_fork_before_its_parents_own_fork_shows_the_grandparent_up_to_there(
    client: Client, ada: User, project: Project, parent: Run
) -> None:
    child = opened(ada, project, fork_from=str(parent.pk), fork_step=50)
    log(child, range(51, 60))
    early = opened(ada, project, fork_from=str(child.pk), fork_step=30)
    client.force_login(ada)
    (part,) = inherited(client, early)
    assert (part["run"], part["steps"][-1]) == (parent.number, 30)


def test_a_parent_that_one_may_not_see_is_not_shown(
    client: Client, ada: User, ben: User, project: Project, parent: Run
) -> None:
    run = opened(ada, project, fork_from="First", fork_step=10)
    other = Project.objects.create(slug="other", name="Other")
    Run.objects.filter(pk=parent.pk).update(project=other, name="Secret parent")
    client.force_login(ada)
    assert inherited(client, run) == []
    page = client.get(run.get_absolute_url()).content.decode()
    assert "Secret" not in page
    assert "from a run that is not open to you" in page
    Membership.objects.create(project=other, user=ada, level=Membership.Level.VIEWER)
    assert len(inherited(client, run)) == 1


def test_the_api_says_that_it_is_a_fork_and_why_not(
    client: Client, ada: User, project: Project, parent: Run
) -> None:
    client.force_login(ada)

    def ask(**fields: Any) -> Any:
        body = {"project": project.slug, **fields}
        return client.post("/api/v1/runs", body, content_type="application/json")

    opened = ask(fork_from="1", fork_step=5).json()
    assert (opened["forked"], opened["step"]) == (True, 5)
    assert ask().json()["forked"] is False
    answer = ask(fork_from="1", fork_step=500)
    assert (answer.status_code, "up to step 99" in answer.json()["detail"]) == (409, True)
    assert ask(fork_from="99").status_code == 404
    assert ask(fork_from="1", fork_step=-1).status_code == 422


def test_a_run_of_the_portal_is_forked_at_its_nearest_checkpoint(
    client: Client, ada: User, project: Project
) -> None:
    source = Run.objects.create(
        project=project, number=1, name="Trained", submitted_by=ada, recipe="flow_matching",
        use="train.generative", state=Run.State.FINISHED, config={},
    )  # fmt: skip
    log_loss(source, [1.0, 0.5, 0.25, 0.125])
    made = []
    for step in (1, 3):
        sha = f"{step}" * 64
        blob = Blob.objects.create(sha256=sha, size=1, media_type="application/octet-stream")
        made.append(Checkpoint.objects.create(run=source, step=step, blob=blob))
    assert forks.nearest_checkpoint(source, 2) == made[0]
    client.force_login(ada)
    address = reverse("experiments:run_fork", args=[project.slug, 1])
    answer = client.get(address, {"step": 2})
    assert answer["Location"].endswith(f"/runs/1/duplicate/?fork={made[0].pk}")
    refused = client.get(address, {"step": 0}, follow=True).content.decode()
    assert "no checkpoint at or before that step" in refused
    # A program of the portal counts anew: what it has of its parent ends at its step 0.
    fork = Run.objects.create(
        project=project, number=2, name="Fork", submitted_by=ada, forked_from=source,
        fork_step=3, start_from=made[1],
    )  # fmt: skip
    log_loss(fork, [0.1, 0.05])
    (part,) = inherited(client, fork)
    assert part["steps"] == [-3, -2, -1, 0]
    assert part["mean"] == [1.0, 0.5, 0.25, 0.125]


def test_a_deleted_run_is_not_forked_and_takes_its_curves_along(
    client: Client, ada: User, project: Project, parent: Run
) -> None:
    run = opened(ada, project, fork_from="First", fork_step=10, tags=["tried"], notes="Why")
    assert (run.tags, run.notes) == (["tried"], "Why")
    client.force_login(ada)
    assert len(inherited(client, run)) == 1
    Run.objects.filter(pk=parent.pk).update(deleted_at=timezone.now())
    assert inherited(client, run) == []
    with pytest.raises(runs.NoSuchRun):
        opened(ada, project, fork_from="First")
