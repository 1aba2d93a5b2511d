"""A sweep from its start to its last trial, by reconcile passes alone."""

import math
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from experiments.models import Dataset, Membership, Project, Run, Sweep, SweepTrial
from experiments.runs import datasets, quotas, runs
from experiments.runs.initial_weights import NOT_THERE
from experiments.sweeps import passes, sweeps, trials
from experiments.sweeps.sweeps import Budget
from portal.models import AuditEvent, User
from rights.grants import lifecycle
from rights.models import Recording, Use
from tests.catalogue import make_allowed
from tests.experiments.clearance.test_clearance import trained
from tests.experiments.sweeps import world
from workers.cluster.fake import RecordingCluster
from workers.reconciling import reconcile

State = Sweep.State
Trial = SweepTrial.State
RANGES = {
    "frequency": {"min": 100.0, "max": 1000.0, "log": True},
    "seconds": {"min": 0.5, "max": 3.0},
}


@pytest.fixture
def cluster() -> RecordingCluster:
    return RecordingCluster(slots=20)


@pytest.fixture
def recordings(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 2)


def score(params: dict[str, Any]) -> float:
    """Best at 440 Hz and one second."""
    return math.log(params["frequency"] / 440) ** 2 + (params.get("seconds", 1.0) - 1) ** 2


def states(sweep: Sweep) -> list[str]:
    sweep.refresh_from_db()
    return list(sweep.trials.order_by("number").values_list("state", flat=True))


def verbs() -> list[str]:
    return list(AuditEvent.objects.order_by("seq").values_list("verb", flat=True))


def test_a_grid_runs_every_combination_once_as_ordinary_runs_and_ends(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(ada, project, budget=Budget(parallel=2))
    reconcile(cluster)
    assert states(sweep) == [Trial.RUNNING] * 2
    world.finish(cluster, sweep, score)
    assert (sweep.state, sweep.reason) == (State.FINISHED, "All 3 trials have ended.")
    rows = list(sweep.trials.select_related("run"))
    assert [row.run.config["frequency"] for row in rows if row.run] == [220.0, 440.0, 880.0]
    assert [row.values for row in rows] == [[score(row.params)] for row in rows]
    assert {row.run.submitted_by for row in rows if row.run} == {ada}
    assert verbs().count("run.submitted") == 3
    assert {"sweep.started", "sweep.ended"} <= set(verbs())


@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_each_method_walks_to_its_last_trial(
    ada: User, project: Project, cluster: RecordingCluster, method: str
) -> None:
    sweep = world.start(
        ada, project, space=RANGES, method=method, budget=Budget(trials=7, parallel=4)
    )
    world.finish(cluster, sweep, score)
    assert (sweep.state, states(sweep)) == (State.FINISHED, [Trial.COMPLETE] * 7)


def test_several_objectives_have_a_value_each(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    objective = ["loss", {"metric": "speed", "goal": "maximize"}]
    sweep = world.start(ada, project, objective=objective, budget=Budget(parallel=3))
    reconcile(cluster)
    reconcile(cluster)
    for number, (loss, speed) in enumerate([(0.1, 1.0), (0.2, 5.0), (0.3, 2.0)], start=1):
        row = world.trial(sweep, number)
        assert row.run is not None
        world.log(row.run, "speed", {1: speed}, number=2)
        world.end(cluster, row, loss)
    reconcile(cluster)
    values = list(sweep.trials.order_by("number").values_list("values", flat=True))
    assert values == [[0.1, 1.0], [0.2, 5.0], [0.3, 2.0]]


# --- Crashes, twice, late ---------------------------------------------------------------------


def test_a_crash_between_asking_and_queueing_loses_no_trial_and_doubles_none(
    ada: User, project: Project, cluster: RecordingCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = world.start(ada, project)
    really = runs.submit

    def killed(**_: Any) -> Run:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "submit", killed)
    with pytest.raises(KeyboardInterrupt):
        passes.advance(timezone.now())
    assert states(sweep) == [Trial.WAITING]
    asked = sweep.trials.get().params
    monkeypatch.setattr(runs, "submit", really)
    passes.advance(timezone.now())
    passes.advance(timezone.now())
    assert states(sweep) == [Trial.RUNNING] * 2
    assert world.trial(sweep, 1).params == asked
    assert Run.objects.count() == 2


def test_a_crash_after_queueing_queues_nothing_again(ada: User, project: Project) -> None:
    sweep = world.start(ada, project)
    row = SweepTrial.objects.create(sweep=sweep, number=1, params={"frequency": 220.0})
    stale = SweepTrial.objects.get(pk=row.pk)
    run = runs.submit(by=ada, project=project, recipe="tone_check", config={}, trial=row)
    with pytest.raises(runs.NotPossible):
        runs.submit(by=ada, project=project, recipe="tone_check", config={}, trial=stale)
    assert list(Run.objects.all()) == [run]
    assert not passes._submit(sweep, stale)


def test_a_hundred_passes_over_a_sweep_in_which_nothing_happens_write_nothing(
    ada: User, project: Project
) -> None:
    world.start(ada, project)
    passes.advance(timezone.now())
    lines = AuditEvent.objects.count()
    for _ in range(20):
        passes.advance(timezone.now())
    assert (SweepTrial.objects.count(), Run.objects.count()) == (2, 2)
    assert AuditEvent.objects.count() == lines


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_the_order_in_which_trials_end_changes_no_value(
    ada: User, project: Project, cluster: RecordingCluster, order: tuple[int, ...]
) -> None:
    sweep = world.start(ada, project, budget=Budget(parallel=3))
    reconcile(cluster)
    reconcile(cluster)
    for number in order:
        world.end(cluster, world.trial(sweep, number), number / 10)
        reconcile(cluster)
    assert sweep.trials.get(number=2).values == [0.2]
    assert states(sweep) == [Trial.COMPLETE] * 3
    assert sweep.state == State.FINISHED


def test_figures_that_come_after_the_end_count_and_a_run_without_any_has_failed(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(ada, project)
    reconcile(cluster)
    reconcile(cluster)
    first, second = world.trial(sweep, 1), world.trial(sweep, 2)
    world.end(cluster, first, None)
    world.end(cluster, second, None)
    reconcile(cluster)
    assert states(sweep)[:2] == [Trial.RUNNING] * 2
    assert first.run is not None
    world.log(first.run, "loss", {1: 0.5})
    passes.advance(timezone.now() + trials.LATE + timedelta(seconds=1))
    rows = {row.number: row for row in sweep.trials.all()}
    assert (rows[1].state, rows[1].values) == (Trial.COMPLETE, [0.5])
    assert (rows[2].state, rows[2].reason) == (Trial.FAILED, "It logged no loss.")


def test_a_loss_that_is_not_finite_fails_the_trial(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(ada, project)
    reconcile(cluster)
    reconcile(cluster)
    world.end(cluster, world.trial(sweep, 1), math.nan)
    reconcile(cluster)
    row = world.trial(sweep, 1)
    assert (row.state, row.reason) == (Trial.FAILED, "Its loss was not finite.")


# --- Stopping ---------------------------------------------------------------------------------


def test_failures_in_a_row_stop_the_sweep_in_words_and_continuing_forgives_them(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    space = {"frequency": [220.0, 330.0, 440.0, 550.0, 660.0, 880.0]}
    sweep = world.start(ada, project, space=space, budget=Budget(parallel=1, failures=2))
    for value, phase in ((None, "failed"), (0.1, "succeeded"), (None, "failed"), (None, "failed")):
        reconcile(cluster)
        reconcile(cluster)
        row = sweep.trials.filter(state=Trial.RUNNING).select_related("run").get()
        world.end(cluster, row, value, phase)
        reconcile(cluster)
    assert states(sweep) == [Trial.FAILED, Trial.COMPLETE, Trial.FAILED, Trial.FAILED]
    assert sweep.state == State.FAILED
    assert sweep.reason.startswith("The last 2 trials failed, so no other is started. Trial 4:")
    sweeps.resume(sweep=sweep, by=ada)
    world.finish(cluster, sweep, score)
    assert (sweep.state, len(states(sweep))) == (State.FINISHED, 6)


def test_a_run_cancelled_by_hand_is_no_failure_and_the_sweep_goes_on(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(ada, project, budget=Budget(parallel=1, failures=1))
    reconcile(cluster)
    reconcile(cluster)
    sweeps.stop_trial(trial=world.trial(sweep, 1), by=ada)
    reconcile(cluster)
    world.finish(cluster, sweep, score)
    assert states(sweep) == [Trial.CANCELLED, Trial.COMPLETE, Trial.COMPLETE]
    assert sweep.trials.get(number=1).reason == "Cancelled by Ada Okafor."


def test_stopping_all_cancels_what_waits_and_what_runs(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    cluster.slots = 1
    sweep = world.start(ada, project, budget=Budget(parallel=2))
    reconcile(cluster)
    reconcile(cluster)
    sweeps.stop(sweep=sweep, by=ada)
    reconcile(cluster)
    reconcile(cluster)
    assert states(sweep) == [Trial.CANCELLED] * 2
    assert (sweep.state, sweep.reason) == (State.STOPPED, "Stopped by Ada Okafor.")
    assert set(Run.objects.values_list("state", flat=True)) == {Run.State.CANCELLED}
    with pytest.raises(sweeps.NotPossible, match="in no state for this: stopped"):
        sweeps.stop(sweep=sweep, by=ada)


def test_a_paused_sweep_starts_nothing_until_it_is_continued(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(ada, project, budget=Budget(parallel=1))
    reconcile(cluster)
    reconcile(cluster)
    sweeps.pause(sweep=sweep, by=ada)
    world.end(cluster, world.trial(sweep, 1), 0.1)
    reconcile(cluster)
    reconcile(cluster)
    assert states(sweep) == [Trial.COMPLETE]
    sweeps.resume(sweep=sweep, by=ada)
    reconcile(cluster)
    assert states(sweep) == [Trial.COMPLETE, Trial.RUNNING]
    assert {"sweep.paused", "sweep.resumed"} <= set(verbs())


def test_a_failed_run_that_somebody_tries_again_gives_its_trial_a_value_after_all(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(ada, project, budget=Budget(parallel=3))
    for _ in range(3):
        reconcile(cluster)
    for number in (1, 2, 3):
        world.end(cluster, world.trial(sweep, number), None, "failed")
    reconcile(cluster)
    assert states(sweep) == [Trial.FAILED] * 3
    assert sweep.state == State.FAILED
    row = world.trial(sweep, 2)
    assert row.run is not None
    runs.retry(run=row.run, by=ada)
    reconcile(cluster)
    assert states(sweep) == [Trial.FAILED, Trial.RUNNING, Trial.FAILED]
    world.log(row.run, "loss", {1: 0.25})
    cluster.end(f"run-{row.run.id.hex[:12]}-2", "succeeded", exit_code=0)
    reconcile(cluster)
    assert world.trial(sweep, 2).values == [0.25]


# --- Budget and quota -------------------------------------------------------------------------


def test_hours_that_are_used_up_stop_all_of_it_and_more_of_them_go_on(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(ada, project, budget=Budget(parallel=1, hours=1.0))
    reconcile(cluster)
    reconcile(cluster)
    reconcile(cluster)
    passes.advance(timezone.now() + timedelta(minutes=61))
    reconcile(cluster)
    reconcile(cluster)
    assert states(sweep) == [Trial.CANCELLED]
    assert sweep.state == State.FINISHED
    assert sweep.reason.startswith("Its 1 hours are used up")
    sweeps.change_budget(sweep=sweep, by=ada, budget=Budget(parallel=1, hours=3.0))
    world.finish(cluster, sweep, score)
    assert states(sweep) == [Trial.CANCELLED, Trial.COMPLETE, Trial.COMPLETE]


def test_a_trial_over_the_quota_waits_in_words_and_asks_for_no_consent_meanwhile(
    ada: User, project: Project, cluster: RecordingCluster, settings: LazySettings
) -> None:
    resources = {"gpus": 1, "max_hours": 2}
    quotas.change(by=ada, project=project, gpu_quota=None, gpu_hour_quota=3)
    sweep = world.start(ada, project, resources=resources, budget=Budget(parallel=2))
    reconcile(cluster)
    reconcile(cluster)
    assert states(sweep) == [Trial.RUNNING, Trial.WAITING]
    assert sweep.reason.startswith("Trial 2 waits. First light may have 3 GPU-hours")
    quotas.change(by=ada, project=project, gpu_quota=None, gpu_hour_quota=None)
    reconcile(cluster)
    assert states(sweep) == [Trial.RUNNING] * 2
    assert sweep.reason == ""


def test_a_sweep_whose_owner_left_the_project_ends_in_words(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(ada, project, budget=Budget(parallel=1))
    Membership.objects.all().delete()
    reconcile(cluster)
    assert states(sweep) == [Trial.CANCELLED]
    assert sweep.state == State.FAILED
    assert "You may look at First light, not run in it" in sweep.reason


# --- Consent ----------------------------------------------------------------------------------


def learning(ada: User, project: Project, recordings: list[Recording], **more: Any) -> Sweep:
    dataset = datasets.freeze(
        by=ada, project=project, name="d", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )
    return world.start(
        ada, project, recipe="flow_matching", dataset=dataset, space={"seed": [1, 2, 3]}, **more
    )


def opt_out(recording: Recording, by: User) -> None:
    party = recording.credits.get(role="MainArtist").party
    lifecycle.opt_out(recording, Use.TRAIN_GENERATIVE, party, by, "No more")


def test_consent_is_asked_once_for_all_and_again_for_each(
    ada: User, project: Project, recordings: list[Recording], cluster: RecordingCluster
) -> None:
    sweep = learning(ada, project, recordings)
    assert sweep.decision is not None
    reconcile(cluster)
    decisions = {row.run.decision_id for row in trials.read(sweep) if row.run}
    assert len(decisions) == 2
    assert sweep.decision_id not in decisions


def test_a_permission_that_ends_between_two_trials_ends_the_sweep_in_words(
    ada: User, rosa: User, project: Project, recordings: list[Recording], cluster: RecordingCluster
) -> None:
    sweep = learning(ada, project, recordings, budget=Budget(parallel=1))
    reconcile(cluster)
    reconcile(cluster)
    world.end(cluster, world.trial(sweep, 1), 0.5)
    opt_out(recordings[0], rosa)
    reconcile(cluster)
    sweep.refresh_from_db()
    assert sweep.state == State.WITHHELD
    assert recordings[0].title in sweep.reason
    with pytest.raises(sweeps.NotPossible):
        sweeps.resume(sweep=sweep, by=ada)
    before = Run.objects.count()
    reconcile(cluster)
    assert Run.objects.count() == before


def test_a_permission_that_ends_while_trials_run_ends_them_and_the_sweep(
    ada: User, rosa: User, project: Project, recordings: list[Recording], cluster: RecordingCluster
) -> None:
    sweep = learning(ada, project, recordings, budget=Budget(parallel=2))
    reconcile(cluster)
    reconcile(cluster)
    opt_out(recordings[0], rosa)
    for _ in range(3):
        reconcile(cluster)
    assert states(sweep) == [Trial.CANCELLED] * 2
    assert sweep.state == State.WITHHELD
    assert "ended the permission" in sweep.reason


def test_a_refused_start_leaves_no_sweep(
    ada: User, rosa: User, project: Project, recordings: list[Recording]
) -> None:
    dataset = datasets.freeze(
        by=ada, project=project, name="d", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )
    opt_out(recordings[0], rosa)
    with pytest.raises(runs.NotAllowed):
        world.start(ada, project, recipe="flow_matching", dataset=dataset, space={"seed": [1, 2]})
    assert not Sweep.objects.exists()


# --- Pruning ----------------------------------------------------------------------------------


def test_a_bad_trial_is_stopped_with_its_reason_and_counts_as_pruned(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(
        ada, project, pruning={"rule": "asha", "first": 10, "factor": 3}, budget=Budget(parallel=3)
    )
    reconcile(cluster)
    reconcile(cluster)
    for number, loss in ((1, 0.5), (2, 0.1), (3, 0.9)):
        row = world.trial(sweep, number)
        assert row.run is not None
        # What a run logs later, at other steps, is not what it is compared by.
        world.log(row.run, "loss", {5: 9.0, 9: loss, 11: 1 - loss})
    for _ in range(3):
        reconcile(cluster)
    assert states(sweep) == [Trial.PRUNED, Trial.RUNNING, Trial.PRUNED]
    row = world.trial(sweep, 3)
    reason = "Pruned at step 10: loss 0.9 is place 3 of 3; one in 3 goes on."
    assert (row.reason, row.pruned_at, row.rungs) == (reason, 10, {"10": 0.9})
    assert row.run is not None
    assert (row.run.state, row.run.state_reason) == (Run.State.CANCELLED, reason)
    assert "run.pruned" in verbs()
    world.end(cluster, world.trial(sweep, 2), None)
    reconcile(cluster)
    sweep.refresh_from_db()
    assert (sweep.state, states(sweep).count(Trial.COMPLETE)) == (State.FINISHED, 1)


def test_a_trial_that_ends_before_it_is_stopped_is_complete(
    ada: User, project: Project, cluster: RecordingCluster
) -> None:
    sweep = world.start(
        ada, project, pruning={"rule": "asha", "first": 10}, budget=Budget(parallel=2)
    )
    reconcile(cluster)
    reconcile(cluster)
    for number, loss in ((1, 0.1), (2, 0.9)):
        row = world.trial(sweep, number)
        assert row.run is not None
        world.log(row.run, "loss", {10: loss})
    passes.advance(timezone.now())
    assert world.trial(sweep, 2).pruned_at == 10
    cluster.end(world.job(world.trial(sweep, 2)), "succeeded", exit_code=0)
    reconcile(cluster)
    row = world.trial(sweep, 2)
    assert (row.state, row.values) == (Trial.COMPLETE, [0.9])


def test_a_dataset_that_is_retired_ends_the_sweep_in_words(
    ada: User, project: Project, recordings: list[Recording], cluster: RecordingCluster
) -> None:
    sweep = learning(ada, project, recordings, budget=Budget(parallel=1))
    Dataset.objects.update(status=Dataset.Status.RETIRED)
    passes.advance(timezone.now())
    sweep.refresh_from_db()
    assert sweep.state == State.WITHHELD
    assert "was retired, so no run may use it again" in sweep.reason
    assert not Run.objects.exists()


def test_weights_that_are_out_of_sight_are_no_permission_that_ended(
    ada: User, project: Project, recordings: list[Recording]
) -> None:
    elsewhere = Project.objects.create(slug="elsewhere", name="Elsewhere")
    member = Membership.objects.create(project=elsewhere, user=ada, level=Membership.Level.OWNER)
    sweep = world.start(
        ada, project, recipe="generate", space={"sampling_steps": [2, 4]},
        start_from=trained(ada, elsewhere, recordings),
    )  # fmt: skip
    member.delete()
    passes.advance(timezone.now())
    sweep.refresh_from_db()
    assert (sweep.state, NOT_THERE in sweep.reason) == (State.FAILED, True)
    assert sweep.ended_at is not None
