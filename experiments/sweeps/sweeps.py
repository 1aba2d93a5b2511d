"""What people do with a sweep: start it, pause and continue it, stop it, change its budget.

What happens between is in passes.py: the reconcile pass asks for trials, reads what came of them
and ends the sweep.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from experiments import recipes
from experiments.clearance.permission import check_consent, check_member
from experiments.models import Checkpoint, Dataset, Project, Sweep, SweepTrial
from experiments.runs import costs, initial_weights, quotas, runs
from experiments.sweeps import objectives as objective_words
from experiments.sweeps import pruning, space, suggestions
from experiments.sweeps.objectives import Objective
from experiments.sweeps.pruning import Rule
from experiments.sweeps.space import WHOLE, Space
from portal import audit, celery
from portal.inputs.text import clean_line
from portal.models import User

MAX_TRIALS = 1_000
MAX_PARALLEL = 50
DEFAULT_TRIALS = 20
# Every combination of a grid up to this size is checked before it starts; of a larger space, each
# value by itself.
CHECKED = 200
SEED = 2**31 - 1

State = Sweep.State


class NotPossible(ValueError):
    """The sweep is not in a state for this; the message says in which it is."""

    code = "not_possible"


@dataclass(frozen=True)
class Budget:
    """What a sweep may take. `trials` of None is a whole grid, or DEFAULT_TRIALS."""

    trials: int | None = None
    parallel: int = 2
    hours: float | None = None
    cost: Decimal | None = None
    failures: int = 3


@dataclass(frozen=True)
class Wanted:
    """A sweep as somebody asks for it: what its runs have in common, and what differs."""

    recipe: str
    config: Mapping[str, Any]
    space: Mapping[str, Any]
    objective: object
    method: str = ""
    pruning: object = None
    seed: int = 1
    budget: Budget = field(default_factory=Budget)
    dataset: Dataset | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    start_from: Checkpoint | None = None
    name: str = ""


@dataclass(frozen=True)
class Plan:
    """What a sweep would be, checked and resolved; nothing of it is stored."""

    run: runs.Plan
    space: Space
    objectives: list[Objective]
    rule: Rule | None
    method: str
    trials: int
    budget: Budget


# --- Writes -----------------------------------------------------------------------------------


def start(*, by: User, project: Project, wanted: Wanted) -> Sweep:
    """Start a sweep; its trials follow in the next reconcile pass.

    Raises what `runs.submit` raises, with a sentence for each key that is swept and cannot be.
    Consent is asked here once for all trials, and again for each.
    """
    planned = check(by=by, project=project, wanted=wanted)
    decision = check_consent(project=project, dataset=wanted.dataset, use=planned.run.use, by=by)
    name = (
        clean_line(wanted.name)
        or f"{planned.run.recipe.title}: {', '.join(planned.space.as_json())}"
    )
    with transaction.atomic():
        quotas.check(project, planned.run.resources)
        last = Sweep.objects.filter(project=project).aggregate(last=Max("number"))["last"]
        sweep = Sweep.objects.create(
            project=project,
            number=(last or 0) + 1,
            name=name[:120],
            submitted_by=by,
            recipe=planned.run.recipe.name,
            config=planned.run.config,
            resources=planned.run.resources.model_dump(),
            dataset=wanted.dataset,
            start_from=wanted.start_from,
            decision=decision,
            space=planned.space.as_json(),
            objectives=objective_words.as_json(planned.objectives),
            pruning=planned.rule.as_json() if planned.rule else {},
            method=planned.method,
            seed=wanted.seed,
            max_trials=planned.trials,
            parallel=planned.budget.parallel,
            max_hours=planned.budget.hours,
            max_cost=planned.budget.cost,
            max_failures=planned.budget.failures,
        )
        audit.record(
            by=by, verb="sweep.started", subject=sweep, project=project.pk, number=sweep.number,
            method=sweep.method, trials=sweep.max_trials,
            decision=decision.pk if decision else None,
        )  # fmt: skip
        celery.wake()
    return sweep


def check(*, by: User, project: Project, wanted: Wanted) -> Plan:
    """Return what the sweep would be. Raises ConfigInvalid and NotPermitted as `runs.check` does.

    Every value that can be drawn is tried in the recipe's config: of a range its ends.
    """
    check_member(by, project)
    definition = recipes.get(wanted.recipe)
    searched = space.read(wanted.space, definition)
    objectives = objective_words.read(wanted.objective)
    rule = pruning.read(wanted.pruning, objectives)
    method = wanted.method or _usual_method(searched)
    suggestions.check(method, searched, objectives)
    trials = _trials(method, searched, wanted.budget)
    _check_numbers(wanted.budget, wanted.seed)
    run = _check_values(by, project, wanted, searched)
    if wanted.budget.cost is not None and not costs.prices():
        raise recipes.ConfigInvalid(
            {f"{WHOLE}.cost": "This portal has no prices: limit hours or trials instead."}
        )
    return Plan(run, searched, objectives, rule, method, trials, wanted.budget)


def pause(*, sweep: Sweep, by: User) -> Sweep:
    """Start no further trial; those that run go on."""
    return _move(
        sweep, by, (State.RUNNING,), State.PAUSED, verb="sweep.paused",
        reason=f"Paused by {by.display_name}: trials that run go on, none is started.",
    )  # fmt: skip


def resume(*, sweep: Sweep, by: User) -> Sweep:
    """Go on with a paused or stopped sweep; failures so far are forgiven."""
    if sweep.trials.count() >= sweep.max_trials:
        raise NotPossible("All of its trials were started: raise the budget first.")
    old = (State.PAUSED, State.STOPPED, State.FAILED)
    now = timezone.now()
    return _move(
        sweep,
        by,
        old,
        State.RUNNING,
        verb="sweep.resumed",
        reason="",
        ended_at=None,
        resumed_at=now,
    )


def stop(*, sweep: Sweep, by: User) -> Sweep:
    """End the sweep, and all of its runs as somebody cancels a run."""
    check_member(by, sweep.project)
    with transaction.atomic():
        _move(
            sweep, by, (State.RUNNING, State.PAUSED), State.STOPPED, verb="sweep.stopped",
            reason=f"Stopped by {by.display_name}.", ended_at=timezone.now(),
        )  # fmt: skip
        sweep.trials.filter(state=SweepTrial.State.WAITING).update(
            state=SweepTrial.State.CANCELLED, reason="The sweep was stopped.",
            ended_at=timezone.now(),
        )  # fmt: skip
    for trial in sweep.trials.filter(state=SweepTrial.State.RUNNING).select_related("run__project"):
        if trial.run is not None and trial.run.is_open:
            _cancel(trial, by)
    return sweep


def stop_trial(*, trial: SweepTrial, by: User) -> SweepTrial:
    """Cancel one trial; the sweep goes on. Raises NotPossible for one that has ended."""
    check_member(by, trial.sweep.project)
    waiting = SweepTrial.objects.filter(pk=trial.pk, state=SweepTrial.State.WAITING)
    reason = f"Cancelled by {by.display_name}."
    with transaction.atomic():
        if waiting.update(state=SweepTrial.State.CANCELLED, reason=reason, ended_at=timezone.now()):
            audit.record(
                by=by, verb="sweep.trial_cancelled", subject=trial.sweep, trial=trial.number
            )
            return trial
    trial.refresh_from_db()
    if trial.run is None or not trial.run.is_open:
        raise NotPossible(f"Trial {trial.number} has ended already.")
    _cancel(trial, by)
    return trial


def change_budget(*, sweep: Sweep, by: User, budget: Budget) -> Sweep:
    """Set trials, parallelism and limits anew. A finished sweep with trials left goes on."""
    check_member(by, sweep.project)
    _check_numbers(budget, sweep.seed)
    with transaction.atomic():
        row = Sweep.objects.select_for_update(no_key=True).get(pk=sweep.pk)
        if row.state == State.WITHHELD:
            raise NotPossible("A permission behind this sweep has ended: start a new one.")
        trials = _trials(row.method, space.load(row.space), budget)
        fields: dict[str, Any] = {
            "max_trials": max(trials, row.trials.count()), "parallel": budget.parallel,
            "max_hours": budget.hours, "max_cost": budget.cost, "max_failures": budget.failures,
        }  # fmt: skip
        if row.state == State.FINISHED and fields["max_trials"] > row.trials.count():
            fields |= {"state": State.RUNNING, "reason": "", "ended_at": None}
        Sweep.objects.filter(pk=sweep.pk).update(**fields)
        audit.record(
            by=by, verb="sweep.budget", subject=sweep, trials=fields["max_trials"],
            parallel=budget.parallel, hours=budget.hours,
            cost=str(budget.cost) if budget.cost is not None else None,
        )  # fmt: skip
        celery.wake()
    sweep.refresh_from_db()
    return sweep


def _move(
    sweep: Sweep, by: User, old: tuple[State, ...], new: State, *, verb: str, **fields: Any
) -> Sweep:
    """Compare and set, with its audit line; raise NotPossible if the sweep was in no state for
    it."""
    check_member(by, sweep.project)
    with transaction.atomic():
        rows = Sweep.objects.filter(pk=sweep.pk, state__in=old)
        if not rows.update(state=new, **fields):
            sweep.refresh_from_db()
            state = sweep.get_state_display().lower()
            raise NotPossible(f"Sweep {sweep.number} is in no state for this: {state}.")
        audit.record(by=by, verb=verb, subject=sweep)
        celery.wake()
    sweep.refresh_from_db()
    return sweep


def _cancel(trial: SweepTrial, by: User) -> None:
    assert trial.run is not None  # noqa: S101 - whoever calls has looked.
    try:
        runs.cancel(run=trial.run, by=by)
    except runs.NotPossible:
        # It has ended meanwhile, which is what was asked for.
        return


# --- Checks -----------------------------------------------------------------------------------


def _usual_method(searched: Space) -> str:
    few = searched.count is not None and searched.count <= DEFAULT_TRIALS
    return Sweep.Method.GRID if few else Sweep.Method.TPE


def _trials(method: str, searched: Space, budget: Budget) -> int:
    """Return how many trials there will be; raise ConfigInvalid for too many."""
    trials, count = budget.trials, searched.count
    if method == Sweep.Method.GRID and count is not None:
        if trials is None and count > MAX_TRIALS:
            raise recipes.ConfigInvalid(
                {WHOLE: f"The grid has {count:,} combinations; at most {MAX_TRIALS:,} are run. "
                        "Take fewer values, or draw some of them by random or TPE."}
            )  # fmt: skip
        trials = count if trials is None else min(trials, count)
    wanted = DEFAULT_TRIALS if trials is None else trials
    return min(wanted, count) if count is not None and method != Sweep.Method.CMAES else wanted


def _check_numbers(budget: Budget, seed: int) -> None:
    errors = {}
    for name, value, most in (
        ("trials", budget.trials, MAX_TRIALS),
        ("parallel", budget.parallel, MAX_PARALLEL),
        ("failures", budget.failures, MAX_TRIALS),
    ):
        if value is not None and not 1 <= value <= most:
            errors[f"{WHOLE}.{name}"] = f"{name.capitalize()} go from 1 to {most:,}."
    if budget.hours is not None and not 0 < budget.hours <= 1e6:
        errors[f"{WHOLE}.hours"] = "Hours at most are above 0; leave them empty for no limit."
    if budget.cost is not None and not 0 < budget.cost <= 10**9:
        errors[f"{WHOLE}.cost"] = "The cost at most is above 0; leave it empty for no limit."
    if not 0 <= seed <= SEED:
        errors[f"{WHOLE}.seed"] = f"The seed goes from 0 to {SEED:,}."
    if errors:
        raise recipes.ConfigInvalid(errors)


def _check_values(by: User, project: Project, wanted: Wanted, searched: Space) -> runs.Plan:
    """Try every value in the config, and every combination of a small grid; return the plan of the
    first. A refusal names the key and the value."""
    first = {p.key: p.ends()[0] for p in searched.parameters}
    fields = recipes.get(wanted.recipe).config.model_fields
    whole = {key: value for key, value in first.items() if key in fields}
    # Resolved at first, so that a variable of an environment has a place to stand in.
    base = _plan(by, project, wanted, wanted.config, whole)
    planned = _plan(by, project, wanted, base.config, first)
    tried = [{**first, p.key: value} for p in searched.parameters for value in p.ends()[1:]]
    if searched.count is not None and searched.count <= CHECKED:
        tried = list(searched.combinations())
    for params in tried:
        config = space.put(base.config, params)
        with _naming(params):
            resolved = runs.resolve(
                recipe=planned.recipe, config=config, resources=planned.resources
            )
            if wanted.start_from is not None:
                initial_weights.check_shape(planned.recipe, resolved, wanted.start_from)
    return planned


def _plan(
    by: User,
    project: Project,
    wanted: Wanted,
    config: Mapping[str, Any],
    params: Mapping[str, Any],
) -> runs.Plan:
    with _naming(params):
        return runs.check(
            by=by, project=project, recipe=wanted.recipe, resources=wanted.resources,
            config=space.put(config, params), dataset=wanted.dataset,
            start_from=wanted.start_from,
        )  # fmt: skip


@contextmanager
def _naming(params: Mapping[str, Any]) -> Iterator[None]:
    """Add to a refusal of a config which value was tried."""
    try:
        yield
    except recipes.ConfigInvalid as refusal:
        raise recipes.ConfigInvalid(
            {name: _with_value(name, text, params) for name, text in refusal.errors.items()}
        ) from None


def _with_value(name: str, text: str, params: Mapping[str, Any]) -> str:
    """Return the sentence with the value that was tried, where it is about something swept."""
    swept = next((key for key in params if key == name or key.startswith(f"{name}.")), "")
    if name == "command":
        swept = next((key for key in params if key.startswith(space.OPTION)), "")
    return f"{text} Tried was {swept} = {params[swept]!s:.80}." if swept else text
