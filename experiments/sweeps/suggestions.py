"""What a sweep tries next; Optuna (sampling.py) and cmaes (evolution.py) draw it.

A suggestion is a function of the sweep's seed, the number of the trial and the trials so far.
Nothing is kept between two calls, so whoever asks again after a crash gets the same answer from
the same rows.
"""

from collections.abc import Sequence
from typing import Any

from django.utils.module_loading import import_string

from experiments import recipes
from experiments.models import Sweep
from experiments.sweeps.objectives import Objective
from experiments.sweeps.space import WHOLE, Space, canonical
from experiments.sweeps.tried import Exhausted, Tried, Wait, seed_of

__all__ = ["Exhausted", "Tried", "Wait", "check", "suggest"]

Method = Sweep.Method
# Combinations that were tried are drawn again so often; then the next untried one of a finite
# space is taken.
REDRAWS = 8
SEARCHED = 10_000


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
        # It loads SciPy, so only where such a sweep runs; Optuna is a hundred modules too.
        of_cmaes = import_string("experiments.sweeps.evolution.of_cmaes")
        params: dict[str, Any] = of_cmaes(space, objectives[0], seed, number, tried)
        return params
    draw = import_string("experiments.sweeps.sampling.draw")
    known = {canonical(trial.params) for trial in tried}
    if space.count is not None and len(known) >= space.count:
        raise Exhausted
    for redraw in range(REDRAWS):
        params = draw(method, space, objectives, seed_of(seed, number, redraw), tried)
        if space.count is None or canonical(params) not in known:
            return params
    if (space.count or SEARCHED + 1) <= SEARCHED:
        return next(p for p in space.combinations() if canonical(p) not in known)
    return params


def _of_grid(space: Space, number: int) -> dict[str, Any]:
    if number > (space.count or 0):
        raise Exhausted
    return space.combination(number - 1)
