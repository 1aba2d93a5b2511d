"""What is tried next, and which trials are stopped: pure rules, beside Optuna's own."""

import math
import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import recipes
from experiments.sweeps import objectives, page, pruning, space, suggestions
from experiments.sweeps.pruning import Rule, Seen
from experiments.sweeps.suggestions import Tried
from tests.examples import examples

TONE, PROGRAM = recipes.get("tone_check"), recipes.get("program")
LOSS = objectives.read("loss")
RANGES = {"frequency": {"min": 100.0, "max": 1000.0, "log": True},
          "seconds": {"min": 0.5, "max": 3.0}}  # fmt: skip


def suggest(method: str, wanted: dict[str, Any], tried: list[Tried], seed: int = 1) -> Any:
    return suggestions.suggest(
        method=method, space=space.read(wanted, TONE), objectives=LOSS, seed=seed,
        number=len(tried) + 1, tried=tried,
    )  # fmt: skip


def walk(method: str, wanted: dict[str, Any], count: int, seed: int = 1) -> list[Tried]:
    """Try as the sweep does, each trial before the next; best at 440 Hz and one second."""
    tried: list[Tried] = []
    for number in range(1, count + 1):
        params = suggest(method, wanted, tried, seed)
        value = math.log(params.get("frequency", 440) / 440) ** 2
        value += (params.get("seconds", 1.0) - 1) ** 2
        tried.append(Tried(number, params, "complete", [value]))
    return tried


@pytest.mark.parametrize("method", ["random", "tpe", "cmaes"])
def test_the_same_rows_give_the_same_suggestion_and_another_seed_another(method: str) -> None:
    tried = walk(method, RANGES, 13)
    assert suggest(method, RANGES, tried) == suggest(method, RANGES, tried)
    assert [t.params for t in walk(method, RANGES, 3)] == [t.params for t in tried[:3]]
    assert suggest(method, RANGES, [], seed=2) != suggest(method, RANGES, [], seed=1)


@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_a_method_that_learns_comes_nearer_than_its_first_tries(method: str) -> None:
    values = [trial.values[0] for trial in walk(method, RANGES, 40)]
    assert np.median(values[-10:]) < np.median(values[:10]) / 3


@pytest.mark.parametrize("method", ["grid", "random", "tpe"])
def test_no_combination_is_tried_twice_and_the_space_ends(method: str) -> None:
    wanted = {"seed": [1, 1.0, 2, 3], "steps": {"min": 1, "max": 3}}
    tried = walk(method, wanted, 9)
    assert len({space.canonical(trial.params) for trial in tried}) == 9
    with pytest.raises(suggestions.Exhausted):
        suggest(method, wanted, tried)


def test_cmaes_waits_for_its_generation_and_a_trial_without_a_value_is_the_worst() -> None:
    tried = walk("cmaes", RANGES, 6)
    running = [*tried[:5], Tried(6, tried[5].params, "running")]
    with pytest.raises(suggestions.Wait):
        suggest("cmaes", RANGES, running)
    failed = [*tried[:5], Tried(6, tried[5].params, "failed")]
    worst = [*tried[:5], Tried(6, tried[5].params, "complete", [99.0])]
    assert suggest("cmaes", RANGES, failed) == suggest("cmaes", RANGES, worst)


@settings(max_examples=examples(40))
@given(
    low=st.floats(1e-6, 1.0), factor=st.floats(1.5, 1e4), log=st.booleans(), seed=st.integers(0, 99)
)
def test_every_suggestion_lies_in_its_range(
    low: float, factor: float, log: bool, seed: int
) -> None:
    wanted = {"a": {"min": low, "max": low * factor, "log": log, "type": "float"},
              "b": {"min": 1, "max": 9, "step": 4, "type": "int"},
              "c": ["x", None, [1, 2]]}  # fmt: skip
    searched = space.load(wanted)
    for method in ("random", "tpe"):
        params = suggestions.suggest(
            method=method, space=searched, objectives=LOSS, seed=seed, number=1, tried=[]
        )
        assert low <= params["a"] <= low * factor * (1 + 1e-9)
        assert params["b"] in {1, 5, 9}
        assert params["c"] in ["x", None, [1, 2]]


# --- The space --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "name at least one"),
        ({"seed": 3}, "needs a list of values, or a range"),
        ({"seed": {"min": 3}}, "seed needs max as a number"),
        ({"seed": {"min": 5, "max": 2}}, "min must be less than max"),
        ({"seed": {"min": 0, "max": 2, "log": True}}, "begins above 0"),
        ({"seed": {"min": 1, "max": 2, "steps": 3}}, "has “steps”, which no range has"),
        ({"seed": {"min": 0.5, "max": 2}}, "takes whole numbers"),
        ({"seed": {"min": 1, "max": math.nan}}, "needs max as a number"),
        ({"seed": {"min": True, "max": 2}}, "needs min as a number"),
        ({"frequency": {"min": 1.0, "max": 2.0, "step": 5}}, "a step that does not fit"),
        ({"seed": list(range(999))}, "at most 200 go"),
        ({"use": ["train.generative", "eval"]}, "consent is asked for one use"),
        ({"--lr": [1, 2]}, "no option of an own program"),
        ({"seed": [1, 2], "a\nb": [1]}, "is no name of a setting"),
        ({f"k{n}": [1, 2] for n in range(30)}, "at most 20 go"),
    ],
)
def test_a_space_that_cannot_be_searched_is_a_sentence(wanted: Any, words: str) -> None:
    with pytest.raises(recipes.ConfigInvalid, match=words):
        space.read(wanted, TONE)


def test_an_own_program_is_swept_by_its_environment_and_its_options() -> None:
    searched = space.read({"env.LR": [0.1, 0.01], "--width": [8, 16]}, PROGRAM)
    base = {"command": ["python", "train.py", "--width", "4", "--deep"], "env": {"A": "1"}}
    first = space.put(base, searched.combination(0))
    assert first["env"] == {"A": "1", "LR": 0.1}
    assert first["command"] == ["python", "train.py", "--deep", "--width=8"]
    assert base["env"] == {"A": "1"}
    assert recipes.validate("program", first).env["LR"] == "0.1"  # type: ignore[attr-defined]


def test_a_space_is_read_from_its_row_as_it_was() -> None:
    wanted = {**RANGES, "steps": {"min": 8, "max": 64, "step": 8}, "seed": [3, 1]}
    searched = space.read(wanted, TONE)
    assert space.load(searched.as_json()) == searched
    assert str(searched.parameters[2]) == "8 to 64 in steps of 8"
    assert searched.parameters[2].count == 8


# --- Pruning ----------------------------------------------------------------------------------

curves = st.lists(st.floats(0, 1, allow_nan=False), min_size=9, max_size=9)


@settings(max_examples=examples(60))
@given(others=st.lists(curves, min_size=1, max_size=12), own=curves, goal=st.booleans())
def test_the_median_rule_prunes_at_its_first_look_as_optuna_does(
    others: list[list[float]], own: list[float], goal: bool
) -> None:
    objective = objectives.Objective("loss", "minimize" if goal else "maximize")
    rule = Rule("median", first=3, every=3)
    peers = [Seen(n, {3: curve[2]}, complete=True) for n, curve in enumerate(others)]
    step, _ = pruning.judge(rule, Seen(99, {3: own[2]}), peers, objective)
    study = optuna.create_study(
        direction=objective.goal,
        pruner=optuna.pruners.MedianPruner(pruning.WARM_UP_TRIALS, 0),
    )
    for curve in others:
        trial = optuna.create_trial(value=0.0, intermediate_values={3: curve[2]})
        study.add_trial(trial)
    asked = study.ask()
    asked.report(own[2], 3)
    assert (step == 3) == asked.should_prune()


@settings(max_examples=examples(60))
@given(values=st.lists(st.floats(0, 1, allow_nan=False), min_size=1, max_size=12))
def test_asha_lets_the_same_trials_over_its_first_rung_as_optuna(values: list[float]) -> None:
    rule = Rule("asha", first=4, factor=3)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=4, reduction_factor=3)
    study = optuna.create_study(pruner=pruner)
    seen: list[Seen] = []
    for number, value in enumerate(values):
        trial = study.ask()
        trial.report(value, 4)
        stopped = trial.should_prune()
        own = Seen(number, {4: value})
        assert (pruning.judge(rule, own, seen, LOSS[0])[0] == 4) == stopped
        seen.append(own)


def test_values_that_are_not_finite_are_worse_than_all_numbers() -> None:
    rule = Rule("asha", first=1, factor=2)
    lost = pruning.judge(rule, Seen(1, {1: None}), [], LOSS[0])
    assert lost == (1, "At step 1 its loss was not finite.")
    assert pruning.judge(rule, Seen(1, {1: 5.0}), [Seen(2, {1: None})], LOSS[0])[0] == -1


def test_hyperband_spreads_its_trials_over_brackets_that_begin_at_several_steps() -> None:
    rule = Rule("hyperband", first=1, factor=3, most=81)
    brackets = [pruning.bracket(rule, number) for number in range(500)]
    counts = [brackets.count(late) for late in range(5)]
    assert counts == sorted(counts, reverse=True)
    assert min(counts) > 0
    late = brackets.index(2)
    assert pruning.looks(rule, late, 100) == [9, 27, 81]


def test_a_rule_looks_at_a_bounded_number_of_steps() -> None:
    assert len(pruning.looks(Rule("median"), 1, 10**15)) == pruning.MAX_LOOKS
    assert len(pruning.looks(Rule("asha", factor=2), 1, 2**53)) == 54


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("best", "Pruning needs a rule"),
        ({"rule": "asha", "eta": 3}, "Pruning has no “eta”"),
        ({"rule": "asha", "first": 0}, "First of the pruning is a whole number"),
        ({"rule": "asha", "factor": 1}, "One in 2 to 100"),
        ({"rule": "hyperband", "first": 9, "most": 10}, "Hyperband needs most"),
    ],
)
def test_a_rule_that_makes_no_sense_is_a_sentence(wanted: Any, words: str) -> None:
    with pytest.raises(recipes.ConfigInvalid, match=words):
        pruning.read(wanted, LOSS)


@pytest.fixture(autouse=True)
def _optuna_as_it_is() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


# --- The best ---------------------------------------------------------------------------------

points = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=0, max_size=14)


@settings(max_examples=examples(60))
@given(values=points, goals=st.tuples(st.booleans(), st.booleans()))
def test_the_front_is_what_optuna_calls_its_best_trials(
    values: list[tuple[int, int]], goals: tuple[bool, bool]
) -> None:
    words = ["minimize" if low else "maximize" for low in goals]
    wanted = [objectives.Objective(name, goal) for name, goal in zip("ab", words, strict=True)]
    study = optuna.create_study(directions=words)
    for pair in values:
        study.add_trial(optuna.create_trial(values=[float(value) for value in pair]))
    theirs = sorted(trial.number for trial in study.best_trials)
    assert page.best_numbers(enumerate(values), wanted) == theirs
