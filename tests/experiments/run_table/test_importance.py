"""Importance of settings: known answers, and scikit-learn's forest on the same tables."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.inspection import permutation_importance

from experiments.run_table import importance
from tests.examples import examples

Row = dict[str, Any]
SCORES: dict[str, Callable[[Row], float]] = {
    "one matters more": lambda row: 3 * row["a"] + row["b"],
    "the middle is best": lambda row: abs(row["a"] - 0.5) + 0.3 * row["b"],
    "only together": lambda row: row["a"] * row["b"],
}


def table(count: int, score: Callable[[Row], float], seed: int = 1) -> tuple[list[Row], Any]:
    random = np.random.default_rng(seed)
    rows = [{"a": random.random(), "b": random.random(), "noise": random.random(), "same": 7}
            for _ in range(count)]  # fmt: skip
    return rows, [score(row) + 0.02 * random.normal() for row in rows]


def shares(rows: list[Row], target: list[float]) -> dict[str, float]:
    return {one.key: one.share for one in importance.measure(rows, target).rows}


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES.keys())
def test_shares_are_those_of_a_forest_of_scikit_learn(score: Callable[[Row], float]) -> None:
    rows, target = table(200, score)
    found = importance.measure(rows, target)
    keys = ["a", "b", "noise"]
    features = np.array([[row[key] for key in keys] for row in rows])
    ranks = np.argsort(np.argsort(target))
    half = len(rows) // 2
    forest = ExtraTreesRegressor(100, min_samples_leaf=2, random_state=1)
    forest.fit(features[:half], ranks[:half])
    theirs = permutation_importance(
        forest, features[half:], ranks[half:], n_repeats=5, random_state=1
    ).importances_mean.clip(0)
    theirs /= theirs.sum()
    ours = {one.key: one.share for one in found.rows}
    assert set(ours) == set(keys)
    for key, share in zip(keys, theirs, strict=True):
        assert ours[key] == pytest.approx(share, abs=0.12), (ours, theirs)
    assert found.explained > 0.5
    assert found.note == ""


def test_a_trend_has_its_sign_and_a_category_has_none() -> None:
    random = np.random.default_rng(2)
    rows = [{"lr": 10 ** random.uniform(-5, -1), "kind": str(random.choice(["x", "y"]))}
            for _ in range(60)]  # fmt: skip
    target = [-math.log(row["lr"]) + 3 * (row["kind"] == "x") for row in rows]
    found = {one.key: one for one in importance.measure(rows, target).rows}
    assert found["lr"].trend is not None
    assert found["lr"].trend < -0.8
    assert found["kind"].trend is None
    assert found["lr"].share > found["kind"].share > 0.05


def test_what_is_missing_counts_as_a_value_of_its_own() -> None:
    random = np.random.default_rng(3)
    rows: list[Row] = [{"a": random.random()} | ({"drop": 0.1} if n % 2 else {}) for n in range(60)]
    found = shares(rows, [1.0 if "drop" in row else 0.0 for row in rows])
    assert found["drop"] > 0.9


@pytest.mark.parametrize(
    ("rows", "target", "words"),
    [
        ([], [], "It takes 5 runs"),
        ([{"a": n} for n in range(9)], [None, math.nan, math.inf] * 3, "It takes 5 runs"),
        ([{"a": n} for n in range(9)], [1.0] * 9, "the same value"),
        ([{"a": 1}] * 9, range(9), "No setting differs"),
        ([{"name": f"run {n}"} for n in range(9)], range(9), "No setting differs"),
    ],
)
def test_a_table_that_says_nothing_is_a_sentence(rows: Any, target: Any, words: str) -> None:
    found = importance.measure(rows, list(target))
    assert found.rows == []
    assert words in found.note


def test_few_runs_and_pure_noise_are_warned_of() -> None:
    rows, target = table(12, SCORES["one matters more"])
    assert "under 20 the order may be chance" in importance.measure(rows, target).note
    random = np.random.default_rng(4)
    noise = importance.measure(table(100, lambda _: 0.0)[0], list(random.normal(size=100)))
    assert "read no order into them" in noise.note


cells = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=True, width=32),
    st.sampled_from(["x", "y", ""]), st.lists(st.integers(0, 1), max_size=2),
)  # fmt: skip


@settings(max_examples=examples(25))
@given(
    rows=st.lists(st.dictionaries(st.sampled_from("abc"), cells), min_size=0, max_size=14),
    data=st.data(),
)
def test_whatever_stands_in_the_table_shares_add_up_to_one_or_nothing(
    rows: list[Row], data: st.DataObject
) -> None:
    target = data.draw(
        st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=len(rows), max_size=len(rows))
    )
    found = importance.measure(rows, target)
    total = sum(one.share for one in found.rows)
    assert total == pytest.approx(1) or total == 0
    assert all(0 <= one.share <= 1 for one in found.rows)
    assert found.rows or found.note
