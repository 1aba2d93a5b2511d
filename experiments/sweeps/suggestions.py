"""What a sweep tries next: the door to Optuna, and the way to cmaes (evolution.py).

A suggestion is a function of the sweep's seed, the number of the trial and the trials so far.
Nothing is kept between two calls, so whoever asks again after a crash gets the same answer from
the same rows.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from django.utils.module_loading import import_string
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from experiments import recipes
from experiments.models import Sweep, SweepTrial
from experiments.sweeps.objectives import Objective
from experiments.sweeps.space import WHOLE, Parameter, Space, canonical
from experiments.sweeps.tried import Exhausted, Tried, Wait, seed_of

optuna.logging.set_verbosity(optuna.logging.WARNING)

__all__ = ["Exhausted", "Tried", "Wait", "check", "suggest"]

Method = Sweep.Method
# Combinations that were tried are drawn again so often; then the next untried one of a finite
# space is taken.
REDRAWS = 8
SEARCHED = 10_000
STATES = {
    SweepTrial.State.COMPLETE: TrialState.COMPLETE,
    SweepTrial.State.PRUNED: TrialState.PRUNED,
    SweepTrial.State.WAITING: TrialState.RUNNING,
    SweepTrial.State.RUNNING: TrialState.RUNNING,
}


def check(method: str, space: Space, objectives: Sequence[Objective]) -> None:
    """Raise recipes.ConfigInvalid for a method that cannot search this space."""
    reason = ""
    if method not in Method.values:
        reason = f"There is no method “{method[:40]}”. Known are: {', '.join(Method.values)}."
    elif method == Method.GRID and space.count is None:
        endless = next(p.key for p in space.parameters if p.count is None)
        reason = f"A grid has an end: give {endless} a step or a list, or take another method."
    elif method == Method.CMAES:
        lists = [p.key for p in space.parameters if p.kind == "list"]
        if lists:
            reason = f"CMA-ES draws from ranges: {lists[0]} is a list. Take TPE, or min and max."
        elif len(space.parameters) < 2:
            reason = "CMA-ES moves in two numbers or more: take TPE for a single one."
        elif len(objectives) > 1:
            reason = "CMA-ES has one objective: take TPE for several."
    if reason:
        raise recipes.ConfigInvalid({f"{WHOLE}.method": reason})


def suggest(
    *,
    method: str,
    space: Space,
    objectives: Sequence[Objective],
    seed: int,
    number: int,
    tried: Sequence[Tried],
) -> dict[str, Any]:
    """Return the parameters of trial `number`. Raises Exhausted and Wait."""
    if method == Method.GRID:
        return _of_grid(space, number)
    if method == Method.CMAES:
        # It loads SciPy, so only where such a sweep runs.
        of_cmaes = import_string("experiments.sweeps.evolution.of_cmaes")
        params: dict[str, Any] = of_cmaes(space, objectives[0], seed, number, tried)
        return params
    known = {canonical(trial.params) for trial in tried}
    if space.count is not None and len(known) >= space.count:
        raise Exhausted
    for redraw in range(REDRAWS):
        sampler = _sampler(method, seed_of(seed, number, redraw))
        params = _of_optuna(sampler, space, objectives, tried)
        if space.count is None or canonical(params) not in known:
            return params
    if (space.count or SEARCHED + 1) <= SEARCHED:
        return next(p for p in space.combinations() if canonical(p) not in known)
    return params


def _of_grid(space: Space, number: int) -> dict[str, Any]:
    if number > (space.count or 0):
        raise Exhausted
    return space.combination(number - 1)


# --- Random and TPE, by Optuna ----------------------------------------------------------------


def _sampler(method: str, seed: int) -> optuna.samplers.BaseSampler:
    if method == Method.RANDOM:
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # They have been experimental for years, and the versions are pinned.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # Trials that still run count as bad ones, so that parallel trials do not crowd together.
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True, multivariate=True)


def _of_optuna(
    sampler: optuna.samplers.BaseSampler,
    space: Space,
    objectives: Sequence[Objective],
    tried: Sequence[Tried],
) -> dict[str, Any]:
    study = optuna.create_study(sampler=sampler, directions=_directions(objectives))
    distributions = {p.key: distribution(p) for p in space.parameters}
    study.add_trials([_frozen(trial, space, distributions, objectives) for trial in tried])
    drawn = study.ask(distributions).params
    return {p.key: p.at(drawn[p.key]) if p.kind == "list" else drawn[p.key]
            for p in space.parameters}  # fmt: skip


def _directions(objectives: Sequence[Objective]) -> list[optuna.study.StudyDirection]:
    ways = optuna.study.StudyDirection
    return [ways.MINIMIZE if one.goal == "minimize" else ways.MAXIMIZE for one in objectives]


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return Optuna's own; a list is drawn by place, so that its values may be anything."""
    p = parameter
    if p.kind == "list":
        return CategoricalDistribution(tuple(range(len(p.values))))
    if p.kind == "int":
        return IntDistribution(int(p.low), int(p.at((p.count or 1) - 1)), p.log, int(p.step or 1))
    high = p.at((p.count or 1) - 1) if p.step else p.high
    return FloatDistribution(p.low, high, p.log, p.step)


def _frozen(
    trial: Tried,
    space: Space,
    distributions: Mapping[str, BaseDistribution],
    objectives: Sequence[Objective],
) -> FrozenTrial:
    state = STATES.get(SweepTrial.State(trial.state), TrialState.FAIL)
    params = {p.key: _place(p, trial.params[p.key]) for p in space.parameters}
    rungs = dict(trial.rungs) if len(objectives) == 1 else {}
    if state is TrialState.PRUNED and (len(objectives) > 1 or not rungs):
        state = TrialState.FAIL
    return optuna.create_trial(
        state=state,
        params=params,
        distributions=dict(distributions),
        values=[float(value) for value in trial.values] if state is TrialState.COMPLETE else None,
        intermediate_values=rungs,
    )


def _place(parameter: Parameter, value: Any) -> Any:
    """Return the place of a value in its list; a number of a range is itself."""
    if parameter.kind != "list":
        return value
    wanted = canonical({"value": value})
    return next(n for n, v in enumerate(parameter.values) if canonical({"value": v}) == wanted)
