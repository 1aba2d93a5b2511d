"""What submit, cancel, retry and the clock may do to a run, and what they may not."""

import pytest

from experiments import recipes
from experiments.models import Attempt, Dataset, Membership, Project, Run
from experiments.runs import datasets, runs, states
from portal import audit
from portal.models import User
from rights.grants import lifecycle
from rights.models import Recording, Use
from tests.catalogue import make_allowed

State = Run.State


def submit(by: User, project: Project, **fields: object) -> Run:
    return runs.submit(by=by, project=project, recipe="tone_check", config={}, **fields)  # type: ignore[arg-type]


@pytest.fixture
def recordings(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 2)


@pytest.fixture
def dataset(ada: User, project: Project, recordings: list[Recording]) -> Dataset:
    return datasets.freeze(
        by=ada, project=project, name="opted in", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )


def train(by: User, dataset: Dataset) -> Run:
    return runs.submit(
        by=by, project=dataset.project, recipe="flow_matching", config={}, dataset=dataset
    )


def test_a_run_is_queued_with_its_whole_config_decision_and_audit_line(
    ada: User, dataset: Dataset
) -> None:
    run = train(ada, dataset)
    assert run.state == State.QUEUED
    assert run.config == recipes.validate("flow_matching", {}).model_dump(mode="json")
    assert run.dataset_digest == dataset.digest
    assert run.decision is not None
    assert run.decision.allowed
    assert run.code_version
    line = audit.history(run).first()
    assert line is not None
    assert (line.verb, line.actor) == ("run.submitted", ada)
    assert line.body["decision"] == run.decision.pk


def test_numbers_count_within_the_project(ada: User, project: Project) -> None:
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(project=other, user=ada)
    assert [submit(ada, project).number for _ in range(3)] == [1, 2, 3]
    assert submit(ada, other).number == 1


def test_a_config_out_of_bounds_queues_nothing(ada: User, project: Project) -> None:
    with pytest.raises(recipes.ConfigInvalid):
        runs.submit(by=ada, project=project, recipe="tone_check", config={"no_such": 1})
    with pytest.raises(recipes.ConfigInvalid) as refusal:
        submit(ada, project, resources={"gpus": 99})
    assert list(refusal.value.errors) == ["resources.gpus"]
    assert not Run.objects.exists()


def test_a_recipe_that_learns_wants_a_dataset(ada: User, project: Project) -> None:
    with pytest.raises(recipes.ConfigInvalid) as refusal:
        runs.submit(by=ada, project=project, recipe="flow_matching", config={})
    assert "dataset" in refusal.value.errors


def test_only_members_run_and_viewers_only_look(ada: User, ben: User, project: Project) -> None:
    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    with pytest.raises(runs.NotPermitted):
        submit(ben, project)
    run = submit(ada, project)
    with pytest.raises(runs.NotPermitted):
        runs.cancel(run=run, by=ben)


def test_a_refusal_names_recording_holder_and_reason_and_keeps_the_decision(
    ada: User, rosa: User, dataset: Dataset, recordings: list[Recording]
) -> None:
    party = recordings[0].credits.first().party  # type: ignore[union-attr]
    lifecycle.opt_out(recordings[0], Use.TRAIN_GENERATIVE, party, rosa, "Changed my mind")
    with pytest.raises(runs.NotAllowed) as refusal:
        train(ada, dataset)
    assert recordings[0].title in str(refusal.value)
    assert party.name in str(refusal.value)
    assert {r.recording_id for r in refusal.value.refusals} == {recordings[0].pk}
    assert not refusal.value.decision.allowed
    assert refusal.value.decision.pk
    assert not Run.objects.exists()


def test_a_claim_happens_once_and_derives_the_job_name(ada: User, project: Project) -> None:
    run = submit(ada, project)
    same = Run.objects.get(pk=run.pk)
    attempt = runs.claim(run)
    assert attempt is not None
    assert attempt.job_name == f"run-{run.id.hex[:12]}-1"
    assert runs.claim(same) is None
    assert same.state == State.STARTING
    assert Attempt.objects.count() == 1


def test_a_claim_without_a_free_slot_changes_nothing(ada: User, project: Project) -> None:
    first, second = submit(ada, project), submit(ada, project)
    runs.claim(first, slots=1)
    with pytest.raises(runs.NoSlot):
        runs.claim(second, slots=1)
    second.refresh_from_db()
    assert second.state == State.QUEUED
    assert runs.queue_position(second) == 1


def test_the_walk_of_a_good_run(ada: User, project: Project) -> None:
    run = submit(ada, project)
    attempt = runs.claim(run)
    assert attempt is not None
    runs.mark_created(attempt, node="here")
    run = runs.beat(run, "attempt-1", "Training", 0.5)
    assert (run.state, run.stage, run.progress) == (State.RUNNING, "Training", 0.5)
    assert run.heartbeat_at
    assert runs.finish(attempt)
    assert not runs.finish(attempt)
    run.refresh_from_db()
    assert (run.state, run.progress) == (State.FINISHED, 1.0)
    assert [line.verb for line in audit.history(run)][:1] == ["run.finished"]


def test_words_of_an_earlier_attempt_change_nothing(ada: User, project: Project) -> None:
    run = submit(ada, project)
    first = runs.claim(run)
    assert first is not None
    runs.lose(first, reason="The machine went away.")
    run.refresh_from_db()
    assert run.state == State.QUEUED
    assert "machine went away" in run.state_reason
    second = runs.claim(run)
    assert second is not None
    run = runs.beat(run, "attempt-1", "Ghost", 0.9)
    assert (run.state, run.stage, run.progress) == (State.STARTING, "", 0)


def test_the_last_attempt_lost_fails_the_run(ada: User, project: Project) -> None:
    run = submit(ada, project)
    for reason in ("Gone.", "Away.") * run.max_attempts:
        attempt = runs.claim(run)
        if attempt is None:
            break
        runs.lose(attempt, reason=reason)
        run.refresh_from_db()
    assert run.state == State.FAILED
    assert run.state_reason == "Attempt 5, the last: Gone."
    assert run.ended_at


def test_cancel_ends_a_waiting_run_at_once_and_asks_a_running_one(
    ada: User, project: Project
) -> None:
    waiting, running = submit(ada, project), submit(ada, project)
    attempt = runs.claim(running)
    assert attempt is not None
    assert runs.cancel(run=waiting, by=ada).state == State.CANCELLED
    assert runs.cancel(run=running, by=ada).state == State.STOPPING
    assert runs.cancel(run=running, by=ada).state == State.STOPPING
    runs.mark_stopped(attempt, reason="Asked to stop.", exit_code=143)
    running.refresh_from_db()
    assert running.state == State.CANCELLED
    with pytest.raises(runs.NotPossible, match="ended already"):
        runs.cancel(run=running, by=ada)


def test_cancelling_is_no_way_around_a_withdrawal(ada: User, project: Project) -> None:
    run = submit(ada, project)
    attempt = runs.claim(run)
    assert attempt is not None
    runs.cancel(run=run, by=ada)
    assert runs.withhold(run, "Song: Artist ended the permission.")
    runs.finish(attempt)
    run.refresh_from_db()
    assert run.state == State.WITHHELD
    with pytest.raises(runs.NotPossible):
        runs.retry(run=run, by=ada)


def test_a_program_that_ends_well_before_it_hears_of_the_stop_has_finished(
    ada: User, project: Project
) -> None:
    run = submit(ada, project)
    attempt = runs.claim(run)
    assert attempt is not None
    runs.cancel(run=run, by=ada)
    runs.finish(attempt)
    run.refresh_from_db()
    assert run.state == State.FINISHED


def test_a_failed_run_is_tried_again_with_one_more_attempt(ada: User, project: Project) -> None:
    run = submit(ada, project)
    attempt = runs.claim(run)
    assert attempt is not None
    runs.fail(attempt, reason="ValueError: no", exit_code=1)
    run.refresh_from_db()
    assert (run.state, run.state_reason) == (State.FAILED, "ValueError: no")
    runs.retry(run=run, by=ada)
    again = runs.claim(run)
    assert again is not None
    assert again.number == 2


def test_a_rerun_has_the_same_config_and_says_where_it_is_from(ada: User, dataset: Dataset) -> None:
    run = train(ada, dataset)
    again = runs.rerun(run=run, by=ada)
    assert (again.config, again.dataset, again.copied_from) == (run.config, run.dataset, run)
    assert again.number == run.number + 1


def test_a_run_from_outside_runs_at_once_and_speaks_itself_back_to_life(
    ada: User, project: Project
) -> None:
    run = runs.open_client_run(by=ada, project=project, config={"lr": 1})
    assert (run.state, run.origin) == (State.RUNNING, Run.Origin.CLIENT)
    assert runs.close_client_run(run, outcome="silent", reason="No word for an hour.")
    assert run.state == State.FAILED
    assert runs.beat(run, "s1", "Training", 0.1).state == State.RUNNING
    assert runs.close_client_run(run)
    assert run.state == State.FINISHED
    assert runs.beat(run, "s1").state == State.FINISHED


def test_the_state_machine_refuses_moves_it_does_not_have(ada: User, project: Project) -> None:
    run = submit(ada, project)
    with pytest.raises(states.NoSuchMove):
        states.move(run, (State.FINISHED,), State.QUEUED)
    assert set(states.MOVES) == set(State)


def test_a_recipe_that_uses_no_recordings_is_given_none(
    ada: User, project: Project, dataset: Dataset
) -> None:
    with pytest.raises(recipes.ConfigInvalid, match="leave the dataset out"):
        runs.submit(by=ada, project=project, recipe="tone_check", config={}, dataset=dataset)
