"""What came of a trial: a function of its run's row and of the run's figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from experiments.metrics import metrics
from experiments.models import Run, Series, Sweep, SweepTrial
from experiments.sweeps import objectives, pruning, space
from experiments.sweeps.objectives import Objective, Reading
from experiments.sweeps.pruning import Rule, Seen
from experiments.sweeps.suggestions import Tried

State = SweepTrial.State
# Figures may come so much later than the end of the run: its program sends them once more.
LATE = timedelta(minutes=1)


@dataclass(frozen=True)
class Outcome:
    state: str
    reason: str = ""
    values: Sequence[float] = ()
    ended_at: datetime | None = None


def read(sweep: Sweep) -> list[SweepTrial]:
    """Return all trials with their runs, in order, without what is large."""
    unread = ("run__config", "run__notes", "run__resources", "run__arithmetic", "run__tags")
    rows = list(sweep.trials.select_related("run").defer(*unread).order_by("number"))
    for row in rows:
        row.sweep = sweep
        if row.run is not None:
            row.run.project = sweep.project
    return rows


def settle(sweep: Sweep, trials: Sequence[SweepTrial], now: datetime) -> None:
    """Store what came of each trial, also where it is another than before: figures come late, and a
    person may try a failed run again."""
    wanted = objectives.load(sweep.objectives)
    ids = [trial.run_id for trial in trials if trial.run_id is not None]
    readings = objectives.values_of(wanted, ids)
    for trial in trials:
        if trial.state == State.WAITING:
            continue
        run_readings = readings.get(trial.run_id, []) if trial.run_id else []
        outcome = outcome_of(trial, trial.run, wanted, run_readings, now)
        _store(trial, outcome)


def outcome_of(
    trial: SweepTrial,
    run: Run | None,
    wanted: Sequence[Objective],
    readings: Sequence[Reading],
    now: datetime,
) -> Outcome:
    """Return what the trial is, by its run as it is now."""
    if run is None or run.purged_at is not None:
        # Its figures are gone for good: what came of it stays what it was.
        if trial.is_open:
            return Outcome(State.CANCELLED, "Its run was deleted.", ended_at=now)
        return Outcome(trial.state, trial.reason, trial.values, trial.ended_at)
    if run.is_open:
        return Outcome(State.RUNNING, trial.reason if trial.pruned_at is not None else "")
    ended = run.ended_at or now
    if run.state == Run.State.FINISHED:
        return _of_finished(wanted, readings, ended, now)
    if run.state == Run.State.CANCELLED and trial.pruned_at is not None:
        return Outcome(State.PRUNED, trial.reason, ended_at=ended)
    state = State.FAILED if run.state == Run.State.FAILED else State.CANCELLED
    return Outcome(state, run.state_reason, ended_at=ended)


def _of_finished(
    wanted: Sequence[Objective], readings: Sequence[Reading], ended: datetime, now: datetime
) -> Outcome:
    if problem := next((one.problem for one in readings if one.problem), ""):
        return Outcome(State.FAILED, problem, ended_at=ended)
    missing = [one for one, reading in zip(wanted, readings, strict=True) if reading.value is None]
    if not missing:
        values = [reading.value for reading in readings if reading.value is not None]
        return Outcome(State.COMPLETE, "", values, ended)
    if missing[0].metric in objectives.registered():
        return Outcome(State.RUNNING, f"Its run has ended. It has no {missing[0].title} yet.")
    if now - ended < LATE:
        return Outcome(State.RUNNING, "Its run has ended; its last figures may be on their way.")
    return Outcome(State.FAILED, f"It logged no {missing[0].metric}.", ended_at=ended)


def _store(trial: SweepTrial, outcome: Outcome) -> None:
    """Write the outcome if it is news, unless somebody moved the row meanwhile."""
    new = (outcome.state, outcome.reason[:500], list(outcome.values), outcome.ended_at)
    if new == (trial.state, trial.reason, trial.values, trial.ended_at):
        return
    rows = SweepTrial.objects.filter(pk=trial.pk, state=trial.state)
    state, reason, values, ended_at = new
    if rows.update(state=state, reason=reason, values=values, ended_at=ended_at):
        trial.state, trial.reason, trial.values, trial.ended_at = new


def is_at_work(trial: SweepTrial) -> bool:
    """Whether it takes one of the sweep's places: its run waits or runs, or is about to."""
    return trial.state == State.WAITING or (trial.run is not None and trial.run.is_open)


def tried(trials: Sequence[SweepTrial]) -> list[Tried]:
    """Return the trials as the methods see them."""
    return [
        Tried(
            number=trial.number, params=trial.params, state=trial.state, values=trial.values,
            rungs={int(step): math.nan if value is None else value
                   for step, value in trial.rungs.items()},
        )
        for trial in trials
    ]  # fmt: skip


def same(trial: SweepTrial, params: dict[str, object]) -> bool:
    return space.canonical(trial.params) == space.canonical(params)


# --- Looks at what still runs -----------------------------------------------------------------


def note_looks(trials: Sequence[SweepTrial], rule: Rule, objective: Objective) -> None:
    """Store the metric at each step at which the rule looks and that a run has passed."""
    with_runs = [trial for trial in trials if trial.run_id is not None and trial.pruned_at is None]
    rows = Series.objects.filter(
        run__in=[trial.run_id for trial in with_runs], name=objective.metric
    )
    last_steps = dict(rows.values_list("run_id", "last_step"))
    for trial in with_runs:
        if trial.run is None or trial.run_id not in last_steps:
            continue
        steps = pruning.looks(rule, trial.number, last_steps[trial.run_id])
        new = [step for step in steps if str(step) not in trial.rungs]
        if not new:
            continue
        values = metrics.values_at(trial.run, objective.metric, new)
        found = {
            str(step): value if math.isfinite(value) else None for step, value in values.items()
        }
        if found:
            trial.rungs = {**trial.rungs, **found}
            SweepTrial.objects.filter(pk=trial.pk).update(rungs=trial.rungs)


def seen(trial: SweepTrial) -> Seen:
    at = {int(step): value for step, value in trial.rungs.items()}
    return Seen(trial.number, at, trial.state == State.COMPLETE)
