"""Random and TPE: the door to Optuna."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from experiments.models import Sweep, SweepTrial
from experiments.sweeps.objectives import Objective
from experiments.sweeps.space import Parameter, Space, canonical
from experiments.sweeps.tried import Tried

optuna.logging.set_verbosity(optuna.logging.WARNING)

STATES = {
    SweepTrial.State.COMPLETE: TrialState.COMPLETE,
    SweepTrial.State.PRUNED: TrialState.PRUNED,
    SweepTrial.State.WAITING: TrialState.RUNNING,
    SweepTrial.State.RUNNING: TrialState.RUNNING,
}


def draw(
    method: str,
    space: Space,
    objectives: Sequence[Objective],
    seed: int,
    tried: Sequence[Tried],
) -> dict[str, Any]:
    """Return parameters that the method draws with this seed, knowing the trials so far."""
    study = optuna.create_study(sampler=_sampler(method, seed), directions=_directions(objectives))
    distributions = {p.key: distribution(p) for p in space.parameters}
    study.add_trials([_frozen(trial, space, distributions, objectives) for trial in tried])
    drawn = study.ask(distributions).params
    return {p.key: p.at(drawn[p.key]) if p.kind == "list" else drawn[p.key]
            for p in space.parameters}  # fmt: skip


def _sampler(method: str, seed: int) -> optuna.samplers.BaseSampler:
    if method == Sweep.Method.RANDOM:
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # They have been experimental for years, and the versions are pinned.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # Trials that still run count as bad ones, so that parallel trials do not crowd together.
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True, multivariate=True)


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
