"""A deleted run is gone from whatever else shows runs, and an archived one from what lists them."""

import hashlib
import io
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from backline import wire
from experiments.alerts import watching
from experiments.charts import selection
from experiments.discussion import comments, subjects
from experiments.models import Alert, Comment, Membership, Notice, Project, Run
from experiments.run_table.layout import Layout
from experiments.run_table.links import Links
from experiments.runs import checkpoints, runs, shelving
from experiments.sweeps import passes, sweeps
from portal.models import User
from rights.models import Recording
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed
from tests.experiments.alerts.cast import rule, running
from tests.experiments.charts.test_data import log
from tests.experiments.sweeps import world

pytestmark = pytest.mark.django_db
State = Run.State


@pytest.fixture
def recordings(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 1)


def end(run: Run, state: str = State.FAILED) -> Run:
    Run.objects.filter(pk=run.pk).update(state=state, ended_at=timezone.now())
    run.refresh_from_db()
    return run


def test_a_run_deleted_in_another_tab_is_not_tried_again(ada: User, project: Project) -> None:
    run = end(runs.submit(by=ada, project=project, recipe="tone_check", config={}))
    seen = Run.objects.get(pk=run.pk)
    shelving.delete(run=run, by=ada)
    with pytest.raises(runs.NotPossible, match="Run 1 was deleted"):
        runs.retry(run=seen, by=ada)
    seen.refresh_from_db()
    assert seen.state == State.FAILED
    shelving.bring_back(run=run, by=ada)
    assert runs.retry(run=seen, by=ada).state == State.QUEUED


def test_clips_of_a_deleted_run_are_in_no_list_and_in_no_listening_test(
    client: Client, ada: User, project: Project, recordings: list[Recording]
) -> None:
    run = make_run(ada, project, recordings)
    sample = make_sample(run, prompt="unheard prompt")
    shelving.delete(run=end(run, State.FINISHED), by=ada)
    client.force_login(ada)
    page = client.get(reverse("audio_samples:project", args=[project.slug]))
    assert "unheard prompt" not in page.content.decode()
    there = reverse("listening:new", args=[project.slug])
    assert "unheard prompt" not in client.get(there).content.decode()
    form = {"title": "T", "question": "Q", "samples": str(sample.pk), "audience": "inside"}
    assert client.post(there, form).status_code == 422


def test_a_dataset_lists_no_deleted_run(
    client: Client, ada: User, project: Project, recordings: list[Recording]
) -> None:
    run = make_run(ada, project, recordings)
    shelving.delete(run=end(run), by=ada)
    client.force_login(ada)
    page = client.get(reverse("experiments:dataset", args=[project.slug, run.dataset_id]))
    assert run.get_absolute_url() not in page.content.decode()


def test_nobody_is_told_of_a_run_that_is_deleted(ada: User, project: Project) -> None:
    rule(ada, project, kind="state", states=["failed"])
    run = end(running(ada, project))
    shelving.delete(run=run, by=ada)
    assert watching.run_pass() == 0
    assert not Alert.objects.exists()


def test_charts_of_a_query_leave_archived_runs_out_unless_they_are_asked_for(
    ada: User, project: Project
) -> None:
    run = running(ada, project)
    log(run, loss=[1])
    shelving.archive(run=end(run), by=ada)
    assert selection.choose(user=ada, project=project, numbers="", text="").runs == []
    assert selection.choose(user=ada, project=project, numbers="1", text="").runs == [run]
    asked = {"user": ada, "project": project, "numbers": "", "text": "state:failed"}
    assert selection.choose(**asked).runs == []
    assert selection.choose(**asked, archived=True).runs == [run]
    assert "archived=1" in Links(Layout(archived=True), None).charts


def test_home_page_and_api_list_no_archived_run_unless_it_is_asked_for(
    client: Client, ada: User, project: Project
) -> None:
    run = running(ada, project)
    shelving.archive(run=end(run), by=ada)
    client.force_login(ada)
    page = client.get(reverse("experiments:home_fragment"))
    assert run.get_absolute_url() not in page.content.decode()
    assert client.get("/api/v1/runs").json()["count"] == 0
    assert client.get("/api/v1/runs?archived=true").json()["count"] == 1


def test_a_sweep_draws_no_deleted_run_and_leads_to_none(
    client: Client, ada: User, project: Project
) -> None:
    sweep = world.start(ada, project)
    passes.advance(timezone.now())
    first, second = (world.trial(sweep, number).run for number in (1, 2))
    assert first is not None
    assert second is not None
    world.log(first, "loss", {1: 0.5})
    world.log(second, "loss", {1: 0.5})
    shelving.delete(run=end(first), by=ada)
    client.force_login(ada)
    page = client.get(sweep.get_absolute_url())
    assert f'href="{first.get_absolute_url()}"' not in page.content.decode()
    assert page.context["numbers"] == str(second.number)
    there = reverse("experiments:sweep_curves", args=[project.slug, sweep.number])
    curves = client.get(there, {"name": "loss"}).json()["curves"]
    assert [curve["run"] for curve in curves] == [second.number]


def test_a_purged_run_changes_nothing_of_what_came_of_its_trial(
    ada: User, project: Project
) -> None:
    sweep = world.start(ada, project)
    passes.advance(timezone.now())
    run = world.trial(sweep, 1).run
    assert run is not None
    world.log(run, "loss", {1: 0.5})
    end(run, State.FINISHED)
    passes.advance(timezone.now())
    before = world.trial(sweep, 1)
    assert (before.state, before.values) == ("complete", [0.5])
    shelving.delete(run=run, by=ada)
    now = timezone.now() + shelving.KEPT + timedelta(minutes=1)
    assert shelving.purge_due(now) == 1
    passes.advance(now)
    after = world.trial(sweep, 1)
    assert (after.state, after.values, after.ended_at) == ("complete", [0.5], before.ended_at)


def test_a_run_stays_while_a_sweep_starts_from_its_weights(
    ada: User, project: Project, recordings: list[Recording]
) -> None:
    run = end(make_run(ada, project, recordings), State.FINISHED)
    said = wire.CheckpointMeta(step=1, sha256=hashlib.sha256(b"weights").hexdigest())
    weights, _ = checkpoints.receive(run=run, file=io.BytesIO(b"weights"), meta=said)
    sweep = sweeps.start(
        by=ada,
        project=project,
        wanted=world.wanted(
            recipe="flow_matching", space={"learning_rate": [1e-4, 2e-4]}, dataset=run.dataset,
            start_from=weights,
        ),
    )  # fmt: skip
    with pytest.raises(runs.NotPossible, match="Sweep 1 starts its trials from its weights"):
        shelving.delete(run=run, by=ada)
    sweeps.stop(sweep=sweep, by=ada)
    assert shelving.delete(run=run, by=ada).deleted_at is not None


def test_what_was_said_of_clips_goes_with_the_purged_run(
    ada: User, ben: User, project: Project, recordings: list[Recording]
) -> None:
    Membership.objects.create(project=project, user=ben)
    run = make_run(ada, project, recordings)
    subject = subjects.find(ben, "sample", str(make_sample(run).pk))
    assert subject is not None
    comments.post(by=ben, subject=subject, text="Too loud at the end.")
    assert Notice.objects.count() == 1
    shelving.delete(run=end(run), by=ada)
    assert shelving.purge_due(timezone.now() + shelving.KEPT + timedelta(minutes=1)) == 1
    assert (Comment.objects.count(), Notice.objects.count()) == (0, 0)


def test_a_copy_does_not_name_or_lead_to_the_deleted_run_it_was_made_of(
    client: Client, ada: User, project: Project
) -> None:
    run = end(runs.submit(by=ada, project=project, recipe="tone_check", config={}))
    copy = runs.rerun(run=run, by=ada)
    shelving.delete(run=run, by=ada)
    client.force_login(ada)
    page = client.get(copy.get_absolute_url()).content.decode()
    assert f'href="{run.get_absolute_url()}"' not in page
    assert "run 1, which was deleted" in page
