"""What the page of a sweep shows: the trials, the best of them, what mattered, what it took."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db.models import Count

from experiments.models import Sweep, SweepTrial
from experiments.run_table import importance
from experiments.run_table.importance import Importances
from experiments.runs import costs
from experiments.sweeps import objectives, passes, pruning, space, trials
from experiments.sweeps.objectives import Objective
from experiments.templatetags.figures import colour, setting

# Curves that are drawn at once, and rows that are listed unless all are asked for: the newest.
MAX_CURVES = 100
MAX_ROWS = 200
CACHED_SECONDS = 3600
State = SweepTrial.State


@dataclass
class TrialRow:
    trial: SweepTrial
    params: list[tuple[str, str]]
    values: list[float | None]
    is_best: bool = False
    may_stop: bool = False
    # Beside the state, whose word it does not repeat.
    why: str = ""


@dataclass
class SweepPage:
    sweep: Sweep
    rows: list[TrialRow]
    # Of `rows`, those that the table has: the newest and the best.
    listed: list[TrialRow]
    keys: list[str]
    objectives: list[Objective]
    best: list[TrialRow]
    counts: str
    open: bool
    seconds: float
    unit: str
    spent: str
    budget: str
    rule: str
    space: list[tuple[str, str]]
    importances: Importances | None
    data: dict[str, Any] = field(default_factory=dict)


def read(sweep: Sweep, now: datetime, *, everything: bool = False) -> SweepPage:
    """Return the page; its table has the newest trials and the best, or all of them."""
    rows = trials.read(sweep)
    wanted = objectives.load(sweep.objectives)
    searched = space.load(sweep.space)
    keys = [parameter.key for parameter in searched.parameters]
    best = {row.number for row in best_of(rows, wanted)}
    listed = [_row(row, keys, wanted, best) for row in rows]
    rule = pruning.load(sweep.pruning)
    return SweepPage(
        sweep=sweep,
        rows=listed,
        listed=[
            row
            for place, row in enumerate(listed)
            if everything or row.is_best or place >= len(listed) - MAX_ROWS
        ],
        keys=keys,
        objectives=wanted,
        best=[row for row in listed if row.is_best],
        counts=counts(Counter(row.state for row in rows), sweep.max_trials),
        open=any(row.is_open for row in rows),
        seconds=passes.hours_used(sweep, rows, now) * 3600,
        unit="GPU time" if sweep.resources.get("gpus") else "machine time",
        spent=_spent(rows),
        budget=_budget(sweep),
        rule=str(rule) if rule else "",
        space=[(parameter.key, str(parameter)) for parameter in searched.parameters],
        importances=_importances(rows) if len(wanted) == 1 else None,
        data=_data(listed, searched, wanted),
    )


def best_of(rows: Sequence[SweepTrial], wanted: Sequence[Objective]) -> list[SweepTrial]:
    """Return the best complete trial; of several objectives those that no other beats in all."""
    complete = {row.number: row for row in rows if row.state == State.COMPLETE and row.values}
    pairs = [(number, row.values) for number, row in complete.items()]
    return [complete[number] for number in best_numbers(pairs, wanted)]


def best_numbers(
    values: Iterable[tuple[int, Sequence[float]]], wanted: Sequence[Objective]
) -> list[int]:
    """Return the best of numbered values by all objectives, in order of their numbers: of equal
    ones the first if there is one objective, else all of the front."""
    scored = sorted(
        (tuple(v * one.sign for v, one in zip(row, wanted, strict=True)), number)
        for number, row in values
    )
    if len(wanted) == 1:
        return [number for _, number in scored[:1]]
    front: list[tuple[tuple[float, ...], int]] = []
    # In this order no later one beats an earlier one.
    for score, number in scored:
        if not any(_beats(other, score) for other, _ in front):
            front.append((score, number))
    return sorted(number for _, number in front)


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def counts(states: Counter[str], most: int) -> str:
    """Return how many trials there are, by what came of them: "12 of 20: 9 complete, 3 failed"."""
    parts = [f"{states[state]} {state.label.lower()}" for state in State if states[state]]
    return f"{states.total()} of {most}{': ' if parts else ''}{', '.join(parts)}"


def _row(row: SweepTrial, keys: list[str], wanted: Sequence[Objective], best: set[int]) -> TrialRow:
    return TrialRow(
        trial=row,
        params=[(key, _words(row.params.get(key))) for key in keys],
        values=[row.values[n] if n < len(row.values) else None for n in range(len(wanted))],
        is_best=row.number in best,
        may_stop=trials.is_at_work(row),
        why=row.reason.removeprefix("Pruned "),
    )


def drawn_metric(wanted: Sequence[Objective]) -> str:
    """Return the metric whose curves are drawn: the first objective that is one."""
    return next((one.metric for one in wanted if one.metric not in objectives.registered()), "loss")


def _words(value: object) -> str:
    """Return a value as it is told apart: six digits of a number that a method has drawn."""
    return f"{value:.6g}" if isinstance(value, float) else setting(value)


def _spent(rows: Sequence[SweepTrial]) -> str:
    prices = costs.prices()
    return prices.format_amount(passes.cost_of(rows)) if prices else ""


def _budget(sweep: Sweep) -> str:
    parts = [f"{sweep.max_trials} trials", f"{sweep.parallel} at once"]
    if sweep.max_hours is not None:
        parts.append(f"{sweep.max_hours:g} hours")
    if sweep.max_cost is not None:
        parts.append(costs.prices().format_amount(sweep.max_cost))
    return ", ".join(parts)


def _importances(rows: Sequence[SweepTrial]) -> Importances:
    """Work out what mattered, once for the same trials: a page is asked for every few seconds."""
    complete = [row for row in rows if row.state == State.COMPLETE and row.values]
    table = [[row.params, row.values[0]] for row in complete]
    digest = hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
    key = f"experiments.sweeps.importances.{digest}"
    known: Importances | None = cache.get(key)
    if known is None:
        known = importance.measure(
            [row.params for row in complete], [row.values[0] for row in complete]
        )
        cache.set(key, known, CACHED_SECONDS)
    return known


def _data(
    rows: Sequence[TrialRow], searched: space.Space, wanted: Sequence[Objective]
) -> dict[str, Any]:
    """Return what the charts are drawn from (static/js/sweep.js)."""
    return {
        "objectives": [{"title": one.title, "goal": one.goal} for one in wanted],
        "parameters": [
            {"key": p.key, "log": p.log, "list": p.kind == "list"} for p in searched.parameters
        ],
        "trials": [
            {
                "number": row.trial.number,
                "run": row.trial.run.number if row.trial.run else None,
                "colour": colour(row.trial.run.number) if row.trial.run else 8,
                "params": [row.trial.params.get(key) for key, _ in row.params],
                "values": row.values,
                "best": row.is_best,
            }
            for row in rows
            if row.trial.state == State.COMPLETE
        ],
    }


# --- The list ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """A sweep in the list of its project: its best trial, or how many are on the front."""

    sweep: Sweep
    counts: str
    objective: str
    value: float | None
    front: int


def summaries(sweeps: Sequence[Sweep]) -> list[Summary]:
    """Return what the list shows of these sweeps, in two queries."""
    rows = SweepTrial.objects.filter(sweep__in=sweeps).order_by()
    states: dict[int, Counter[str]] = defaultdict(Counter)
    for pk, state, number in rows.values_list("sweep", "state").annotate(Count("pk")):
        states[pk][state] = number
    values: dict[int, dict[int, list[float]]] = defaultdict(dict)
    complete = rows.filter(state=State.COMPLETE).values_list("sweep", "number", "values")
    for pk, number, found in complete:
        values[pk][number] = found
    return [_summary(sweep, states[sweep.pk], values[sweep.pk]) for sweep in sweeps]


def _summary(sweep: Sweep, states: Counter[str], values: dict[int, list[float]]) -> Summary:
    wanted = objectives.load(sweep.objectives)
    best = best_numbers(values.items(), wanted)
    alone = len(wanted) == 1 and bool(best)
    return Summary(
        sweep=sweep,
        counts=counts(states, sweep.max_trials),
        objective="; ".join(f"{one.goal} {one.title}" for one in wanted),
        value=values[best[0]][0] if alone else None,
        front=0 if alone else len(best),
    )
