"""CMA-ES (Hansen 2016, arXiv:1604.00772), replayed from the trials: the door to cmaes."""

from collections.abc import Sequence
from typing import Any

import cmaes
import numpy as np

from experiments.sweeps.objectives import Objective
from experiments.sweeps.space import Space
from experiments.sweeps.tried import Tried, Wait, seed_of

# Of a range's width; it begins in the middle of all ranges.
SIGMA = 0.25


def of_cmaes(
    space: Space, objective: Objective, seed: int, number: int, tried: Sequence[Tried]
) -> dict[str, Any]:
    """Replay all generations before this trial's, then take its place in its own.

    A generation is told when all of its trials have ended; one without a value counts as worse
    than those that have one.
    """
    size = len(space.parameters)
    optimiser = cmaes.CMA(
        mean=np.full(size, 0.5),
        sigma=SIGMA,
        bounds=np.tile([0.0, 1.0], (size, 1)),
        seed=seed_of(seed, 0),
    )
    population = optimiser.population_size
    ended = {trial.number: trial for trial in tried if not trial.is_open}
    generation, place = divmod(number - 1, population)
    for earlier in range(generation):
        numbers = range(earlier * population + 1, (earlier + 1) * population + 1)
        if not all(one in ended for one in numbers):
            raise Wait
        points = [optimiser.ask() for _ in numbers]
        values = _ranked([ended[one] for one in numbers], objective)
        optimiser.tell(list(zip(points, values, strict=True)))
    shares = [optimiser.ask() for _ in range(place + 1)][-1]
    return {
        p.key: p.decode(float(share)) for p, share in zip(space.parameters, shares, strict=True)
    }


def _ranked(trials: Sequence[Tried], objective: Objective) -> list[float]:
    known = [t.values[0] * objective.sign for t in trials if t.values and t.state == "complete"]
    worst = max(known, default=0.0) + 1.0
    return [
        t.values[0] * objective.sign if t.values and t.state == "complete" else worst
        for t in trials
    ]
