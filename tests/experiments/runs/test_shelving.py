"""Archived, deleted, brought back, purged: what goes, and what the ledger, credits and permissions
need, which stays."""

import hashlib
import io
from datetime import datetime, timedelta

import numpy as np
import pytest
from django.test import TestCase
from django.utils import timezone

from audio_samples import samples
from audio_samples.models import Sample
from audio_samples.reviews import flags
from backline import batches, wire
from experiments.clearance import attribution
from experiments.deliveries import logs, usage_report
from experiments.metrics import metrics
from experiments.models import Batch, Checkpoint, LogChunk, Membership, Project, Run, Series
from experiments.publishing import pages
from experiments.run_table import table
from experiments.run_table.layout import Layout
from experiments.runs import checkpoints, costs, describing, initial_weights, runs, shelving
from listening import trials
from portal import audit, storage
from portal.models import User
from rights.grants import lifecycle
from rights.models import Grant, Party
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed, make_party
from tests.tones import tone

pytestmark = pytest.mark.django_db
State = Run.State


def finish(run: Run) -> Run:
    Run.objects.filter(pk=run.pk).update(state=State.FINISHED, ended_at=timezone.now())
    run.refresh_from_db()
    return run


def save(run: Run, content: bytes = b"weights", step: int = 10) -> Checkpoint:
    said = wire.CheckpointMeta(step=step, sha256=hashlib.sha256(content).hexdigest())
    return checkpoints.receive(run=run, file=io.BytesIO(content), meta=said)[0]


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Noor", people=[noor])


@pytest.fixture
def trained(ada: User, rosa: User, project: Project, party: Party) -> Run:
    """A run of the flow-matching recipe with points, a log, weights, use in the ledger."""
    run = make_run(ada, project, make_allowed(rosa, 1, party=party))
    item = run.dataset.items.get()  # type: ignore[union-attr]
    report = wire.UsageReport(
        step=10, lines=[wire.UsageLine(recording=item.recording_id, examples=3, seconds=9.0)]
    )
    usage_report.report(run, report)
    steps = [np.arange(3), np.arange(3) * 1.0, np.ones((1, 3))]
    metrics.ingest(run, "attempt-1", 0, batches.encode([batches.Table(("loss",), *steps)]))
    metrics.compact(run)
    piece = wire.LogPiece(session="attempt-1", stream="stdout", offset=0, text="hello\n")
    logs.append(run, piece)
    save(run)
    return finish(run)


def later() -> datetime:
    return timezone.now() + shelving.KEPT + timedelta(minutes=1)


def gone(run: Run, ada: User) -> Run:
    """Delete it and let the week pass."""
    shelving.delete(run=run, by=ada)
    with TestCase.captureOnCommitCallbacks(execute=True):
        assert shelving.purge_due(later()) == 1
    run.refresh_from_db()
    return run


def listed(ada: User, project: Project, **how: bool) -> list[int]:
    shown = table.read(user=ada, project=project, layout=Layout(**how))
    return [row.run.number for row in shown.rows]


def test_an_archived_run_is_in_no_list_and_stays_what_it_is(
    ada: User, project: Project, trained: Run
) -> None:
    shelving.archive(run=trained, by=ada)
    assert listed(ada, project) == []
    assert listed(ada, project, archived=True) == [1]
    assert Run.objects.visible_to(ada).get() == trained
    assert attribution.statement(trained) is not None
    line = audit.history(trained).first()
    assert line is not None
    assert line.verb == "run.archived"
    with pytest.raises(runs.NotPossible, match="archived already"):
        shelving.archive(run=trained, by=ada)
    run = shelving.restore(run=trained, by=ada)
    assert listed(ada, project) == [1]
    assert [edit.after for edit in run.edits.all()] == [{"archived": False}, {"archived": True}]


def test_a_deleted_run_is_gone_for_people_and_comes_back_within_a_week(
    ada: User, project: Project, trained: Run
) -> None:
    spent = costs.of_project(project)
    shelving.delete(run=trained, by=ada)
    assert not Run.objects.visible_to(ada).exists()
    assert listed(ada, project, archived=True) == []
    assert not initial_weights.choices(ada, runs.recipes.get("flow_matching")).exists()
    assert (costs.of_project(project), shelving.purge_due(timezone.now())) == (spent, 0)
    run = shelving.bring_back(run=trained, by=ada)
    assert (run.deleted_at, Series.objects.count()) == (None, 1)
    assert listed(ada, project) == [1]


def test_purged_are_points_log_weights_and_sound_and_credits_stay(
    ada: User, project: Project, trained: Run
) -> None:
    sample = make_sample(trained)
    audio = str(sample.audio_id)
    weights = Checkpoint.objects.get().digest
    describing.edit(run=trained, by=ada, notes="private thoughts", add_tags=["x"])
    before = attribution.statement(trained)
    run = gone(trained, ada)
    assert run.purged_at is not None
    assert (run.notes, run.tags, run.edits.count()) == ("", [], 0)
    for model in (Batch, LogChunk, Series):
        assert not model.objects.exists()
    assert not storage.exists(audio)
    assert not storage.exists(weights)
    # What rests on it is as it was: whom it credits, what it cost, the digests to know it again by.
    assert attribution.statement(run) == before
    assert Checkpoint.every.get().digest == weights
    sample.refresh_from_db()
    assert (sample.audio_id, sample.sound != "", sample.credit_id is not None) == (None, True, True)
    assert run.decision is not None
    lines = [line.verb for line in audit.history(run)[:2]]
    assert lines == ["run.purged", "run.deleted"]
    with pytest.raises(runs.NotPossible, match="more than 7 days ago: it is gone"):
        shelving.bring_back(run=run, by=ada)
    # Its number is not given again.
    assert runs.open_client_run(by=ada, project=project).number == 2


def test_bytes_that_another_run_has_stay(ada: User, project: Project, trained: Run) -> None:
    other = runs.open_client_run(by=ada, project=project)
    sha256 = save(other).digest
    clip = samples.receive(run=trained, name="a", file=tone(seconds=0.6, frequency=333))
    twin = samples.receive(run=other, name="b", file=tone(seconds=0.6, frequency=333))
    assert clip.audio_id == twin.audio_id
    gone(trained, ada)
    assert storage.exists(sha256)
    assert storage.exists(str(twin.audio_id))
    assert Sample.objects.audible().filter(pk=twin.pk).exists()


def test_deleting_the_run_is_no_way_around_a_permission_that_ends(
    ada: User, rosa: User, project: Project, trained: Run
) -> None:
    samples.receive(run=trained, name="a", file=tone(seconds=0.6, frequency=333))
    gone(trained, ada)
    other = runs.open_client_run(by=ada, project=project)
    twin = samples.receive(run=other, name="b", file=tone(seconds=0.6, frequency=333))
    weights = save(other)
    assert Sample.objects.audible().filter(pk=twin.pk).exists()
    for grant in Grant.objects.filter(use="train.generative"):
        lifecycle.withdraw(grant, rosa, "It ends.")
    assert not Sample.objects.audible().filter(pk=twin.pk).exists()
    assert not Checkpoint.objects.usable().filter(pk=weights.pk).exists()


def refusal(run: Run, ada: User) -> str:
    with pytest.raises(runs.NotPossible) as caught:
        shelving.delete(run=run, by=ada)
    run.refresh_from_db()
    assert run.deleted_at is None
    return str(caught.value)


def test_a_run_that_has_not_ended_stays(ada: User, project: Project) -> None:
    run = runs.open_client_run(by=ada, project=project)
    assert refusal(run, ada) == "Run 1 has not ended: cancel it first."
    with pytest.raises(runs.NotPossible, match="has not ended"):
        shelving.archive(run=run, by=ada)


def test_a_run_from_whose_weights_another_started_stays_and_so_does_its_copy(
    ada: User, project: Project, trained: Run
) -> None:
    started = runs.open_client_run(by=ada, project=project)
    Run.objects.filter(pk=started.pk).update(start_from=Checkpoint.objects.get())
    finish(started)
    sentence = "run 2 started from its weights: delete that one first."
    assert refusal(trained, ada) == sentence
    # The same bytes under another name are the same weights.
    copy = runs.open_client_run(by=ada, project=project)
    save(copy)
    assert refusal(finish(copy), ada) == sentence
    shelving.delete(run=started, by=ada)
    shelving.delete(run=trained, by=ada)
    with pytest.raises(runs.NotPossible, match="from the weights of run 1: bring that back first"):
        shelving.bring_back(run=started, by=ada)
    shelving.bring_back(run=trained, by=ada)
    shelving.bring_back(run=started, by=ada)


def test_a_run_stays_whose_model_is_published_or_whose_clips_are_rated(
    ada: User, project: Project, trained: Run
) -> None:
    heard = runs.open_client_run(by=ada, project=project)
    trials.open_test(
        by=ada, project=project, title="Which?", question="Better?",
        samples=[make_sample(heard)], audience="internal",
    )  # fmt: skip
    assert "in the listening test “Which?”" in refusal(finish(heard), ada)
    pages.ask(
        by=ada, project=project, run=trained, checkpoint=Checkpoint.objects.get(), title="M",
        version="1", slug="m", parts={"about": "x", "provider": "Lab, rights@lab.example"},
    )  # fmt: skip
    assert refusal(trained, ada) == "The model of run 1 has a public page, which credits it."


def test_a_clip_that_is_objected_to_is_heard_before_it_goes(
    ada: User, noor: User, rosa: User, party: Party, trained: Run
) -> None:
    sample = make_sample(trained)
    shelving.delete(run=trained, by=ada)
    # Within the week.
    flag = flags.flag(by=noor, party=party, sample=sample, reason="That is my song.")
    assert shelving.purge_due(later()) == 0
    flags.dismiss(flag, by=rosa, note="It is not.")
    assert shelving.purge_due(later()) == 1


def test_who_may_only_look_shelves_nothing(ada: User, ben: User, trained: Run) -> None:
    Membership.objects.create(project=trained.project, user=ben, level=Membership.Level.VIEWER)
    for act in (shelving.archive, shelving.delete, shelving.restore, shelving.bring_back):
        with pytest.raises(runs.NotPermitted):
            act(run=trained, by=ben)
