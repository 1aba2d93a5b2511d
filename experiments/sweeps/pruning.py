"""Which running trials are worth no more time: rules on a metric at certain steps.

Pure functions of what all trials had reached at these steps, so it does not matter how often or in
which order somebody looks. The rules are ASHA (Li et al. 2018, arXiv:1810.05934), Hyperband with
ASHA in each bracket (Li et al. 2016, arXiv:1603.06560), and the median rule of Vizier (Golovin et
al. 2017). A value that is not finite is worse than every number.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from experiments import recipes
from experiments.sweeps.objectives import Objective
from experiments.sweeps.space import WHOLE

RULES = {
    "asha": "ASHA: the best part goes on",
    "hyperband": "Hyperband: ASHA that begins at several steps",
    "median": "Median: worse than half is stopped",
}
# The median rule looks so often at a trial, and not until so many have a value to compare.
MAX_LOOKS = 100
WARM_UP_TRIALS = 4
MAX_STEP = 2**53
FIELDS = {"rule", "first", "factor", "every", "most"}


@dataclass(frozen=True)
class Rule:
    """`first` is the step of the first look. `factor` is that of ASHA and Hyperband, `most` the
    last step of a whole trial (Hyperband), `every` the steps between two looks (median)."""

    rule: str
    first: int = 1
    factor: int = 3
    every: int = 1
    most: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        title = RULES[self.rule].partition(":")[0]
        if self.rule == "median":
            return f"{title} from step {self.first:,}, every {self.every:,} steps"
        return f"{title} from step {self.first:,}, one in {self.factor} goes on"


@dataclass(frozen=True)
class Seen:
    """A trial as a rule sees it: the metric at the steps of the looks; None is not finite."""

    number: int
    at: Mapping[int, float | None]
    complete: bool = False


def load(stored: Mapping[str, Any]) -> Rule | None:
    return Rule(**stored) if stored else None


def read(wanted: object, objectives: Sequence[Objective]) -> Rule | None:
    """Return the rule that somebody asks for; raise recipes.ConfigInvalid."""
    if not wanted:
        return None
    if isinstance(wanted, str):
        wanted = {"rule": wanted}
    if not isinstance(wanted, Mapping) or wanted.get("rule") not in RULES:
        raise _invalid(f"Pruning needs a rule: {', '.join(RULES)}.")
    if unknown := set(wanted) - FIELDS:
        raise _invalid(f"Pruning has no “{sorted(unknown)[0]!s:.40}”: {', '.join(sorted(FIELDS))}.")
    if len(objectives) > 1:
        raise _invalid("Pruning compares one number: leave it out, or name one objective.")
    if objectives[0].metric.endswith(":"):
        raise _invalid("Pruning needs a metric that grows while the run works.")
    numbers = {name: wanted[name] for name in FIELDS - {"rule"} if wanted.get(name) is not None}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_STEP:
            raise _invalid(f"{name.capitalize()} of the pruning is a whole number from 1.")
    rule = Rule(str(wanted["rule"]), **numbers)
    if not 2 <= rule.factor <= 100:
        raise _invalid("One in 2 to 100 goes on: factor is out of these.")
    if rule.rule == "hyperband" and rule.most < rule.first * rule.factor:
        raise _invalid("Hyperband needs most: the last step, at least factor times the first look.")
    return rule


def looks(rule: Rule, number: int, last_step: int) -> list[int]:
    """Return the steps at which trial `number` is looked at, up to its `last_step`."""
    if rule.rule == "median":
        count = min((last_step - rule.first) // rule.every + 1, MAX_LOOKS)
        return [rule.first + place * rule.every for place in range(max(count, 0))]
    steps, step = [], rule.first * rule.factor ** bracket(rule, number)
    while step <= last_step:
        steps.append(step)
        step *= rule.factor
    return steps


def bracket(rule: Rule, number: int) -> int:
    """Return the bracket of a trial: the later a bracket looks, the fewer trials it gets, so that
    each gets about the same steps in all. ASHA has one bracket."""
    if rule.rule != "hyperband":
        return 0
    count = int(math.log(rule.most / rule.first, rule.factor) + 1e-9) + 1
    weights = [
        math.ceil(count * rule.factor ** (count - 1 - late) / (count - late))
        for late in range(count)
    ]
    draw = zlib.crc32(f"trial {number}".encode()) % sum(weights)
    for late, weight in enumerate(weights):
        if draw < weight:
            return late
        draw -= weight
    return 0


def judge(rule: Rule, trial: Seen, others: Sequence[Seen], objective: Objective) -> tuple[int, str]:
    """Return the step at which this trial is to stop, with the reason; -1 and nothing to go on."""
    for step in sorted(trial.at):
        own = trial.at[step]
        if own is None:
            return step, f"At step {step:,} its {objective.metric} was not finite."
        peers = _peers(rule, trial, others, step, objective)
        value = own * objective.sign
        if rule.rule == "median":
            if len(peers) >= WARM_UP_TRIALS and value > median(peers):
                bound = median(peers) * objective.sign
                return step, _words(objective, step, own, f"worse than the median {bound:.4g}")
        elif value > _bar(rule, value, peers):
            rank = 1 + sum(peer < value for peer in peers)
            return step, _words(
                objective,
                step,
                own,
                f"place {rank} of {len(peers) + 1}; one in {rule.factor} goes on",
            )
    return -1, ""


def _peers(
    rule: Rule, trial: Seen, others: Sequence[Seen], step: int, objective: Objective
) -> list[float]:
    """Return the values of the others at this step, small is good."""
    values = [
        other.at[step]
        for other in others
        if other.number != trial.number
        and step in other.at
        and (other.complete or rule.rule != "median")
        and bracket(rule, other.number) == bracket(rule, trial.number)
    ]
    return [math.inf if value is None else value * objective.sign for value in values]


def _bar(rule: Rule, value: float, peers: Sequence[float]) -> float:
    """Return the worst value that goes on: of the best of `factor`; of fewer, the best alone."""
    ranked = sorted([*peers, value])
    return ranked[max(len(ranked) // rule.factor - 1, 0)]


def _words(objective: Objective, step: int, value: float, why: str) -> str:
    return f"Pruned at step {step:,}: {objective.metric} {value:.4g} is {why}."


def _invalid(sentence: str) -> recipes.ConfigInvalid:
    return recipes.ConfigInvalid({f"{WHOLE}.pruning": sentence})
