"""What sets two groups apart, beside what scipy says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.charts import explaining
from experiments.templatetags.figures import NOTHING

numbers = st.lists(st.integers(-5, 5), min_size=2, max_size=9)


@given(numbers, numbers)
def test_numbers_are_compared_as_mann_and_whitney_do(ones: list[int], others: list[int]) -> None:
    rows = [{"lr": value} for value in [*ones, *others]]
    found = explaining.contrasts(rows, [True] * len(ones) + [False] * len(others))
    over = stats.mannwhitneyu(ones, others).statistic
    apart = abs(2 * over / (len(ones) * len(others)) - 1)
    assert np.isclose(found[0].apart if found else 0, apart)


def test_chance_is_of_all_settings_that_are_looked_at() -> None:
    random = np.random.default_rng(3)
    rows = [{f"s{n}": float(random.random()) for n in range(60)} for _ in range(20)]
    found = explaining.contrasts(rows, [True] * 10 + [False] * 10)
    # The one furthest apart of sixty would stand out by itself: alone it is beyond chance.
    alone = explaining.contrasts(
        [{"one": row[found[0].key]} for row in rows], [True] * 10 + [False] * 10
    )
    assert not any(one.is_beyond_chance for one in found)
    assert alone[0].is_beyond_chance


def test_too_few_runs_are_never_beyond_chance_and_one_group_is_none() -> None:
    rows = [{"lr": 1}, {"lr": 1}, {"lr": 2}, {"lr": 2}]
    (found,) = explaining.contrasts(rows, [True, True, False, False])
    assert (found.apart, found.is_beyond_chance) == (1.0, False)
    assert explaining.contrasts(rows, [True] * 4) == []


def test_words_and_what_is_missing_are_values() -> None:
    rows = [{"opt": "adam"}, {"opt": "adam"}, {"opt": None}, {}, {"opt": True}, {"opt": 1}]
    (found,) = explaining.contrasts(rows, [True, True, True, False, False, False])
    assert found.first == f"adam (2 of 3), {NOTHING} (1 of 3)"
    assert np.isclose(found.apart, 2 / 3)
