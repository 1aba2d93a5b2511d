"""Groups as one curve with a band, beside references that are written otherwise."""

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.charts import bands
from experiments.charts.bands import Member, Spread


def member(x: list[float], mean: list[float], width: float = 0.0) -> Member:
    values = np.array(mean, float)
    return Member(np.array(x, float), values, values - width, values + width)


def test_runs_with_the_same_x_are_combined_at_it() -> None:
    band = bands.combine(
        [member([0, 1, 5], [1, 2, 3], 0.5), member([0, 1, 5], [3, 4, 9], 0.5)], Spread.EXTREMES, 100
    )
    assert band.x.tolist() == [0, 1, 5]
    assert band.mean.tolist() == [2, 3, 6]
    assert band.low.tolist() == [0.5, 1.5, 2.5]
    assert band.high.tolist() == [3.5, 4.5, 9.5]
    assert band.runs.tolist() == [2, 2, 2]


def test_a_run_that_ended_says_nothing_after_its_end() -> None:
    band = bands.combine([member([0, 10], [0, 10]), member([0, 5], [2, 2])], Spread.DEVIATION, 11)
    assert band.x.tolist() == list(range(11))
    assert band.runs.tolist() == [2] * 6 + [1] * 5
    assert band.mean.tolist() == pytest.approx([1, 1.5, 2, 2.5, 3, 3.5, 6, 7, 8, 9, 10])
    assert np.isnan(band.low[6:]).all()


def test_a_value_that_is_not_finite_is_not_bridged() -> None:
    one = member([0, 1, 2, 3], [1, np.nan, 1, 1])
    band = bands.combine([one, member([0, 1, 2, 3], [3, 3, 3, 3])], Spread.EXTREMES, 10)
    assert band.mean.tolist() == [2, 3, 2, 2]
    assert band.runs.tolist() == [2, 1, 2, 2]


def test_nothing_gives_nothing() -> None:
    for spread in Spread:
        assert len(bands.combine([], spread, 10).x) == 0
        assert len(bands.combine([member([], [])], spread, 10).x) == 0


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=2, max_size=7))
def test_deviation_and_interval_are_those_of_the_textbook(rows: list[list[float]]) -> None:
    members = [member([0, 1, 2], row) for row in rows]
    deviation = bands.combine(members, Spread.DEVIATION, 10)
    interval = bands.combine(members, Spread.INTERVAL, 10)
    for at in range(3):
        values = [row[at] for row in rows]
        mean, spread = statistics.fmean(values), statistics.stdev(values)
        room = pytest.approx
        assert deviation.mean[at] == room(mean, rel=1e-9, abs=1e-6)
        assert deviation.high[at] == room(mean + spread, rel=1e-9, abs=1e-6)
        reach = stats.t.ppf(0.975, len(values) - 1) * spread / len(values) ** 0.5
        assert interval.low[at] == room(mean - reach, rel=1e-9, abs=1e-5)


curves = st.lists(
    st.tuples(
        st.lists(st.integers(0, 50), min_size=1, max_size=8, unique=True).map(sorted),
        st.lists(st.floats(-100, 100), min_size=8, max_size=8),
    ),
    min_size=1,
    max_size=5,
)


@given(curves)
def test_on_any_grid_the_mean_is_that_of_the_runs_that_reach_it(
    drawn: list[tuple[list[int], list[float]]],
) -> None:
    members = [member([*map(float, x)], y[: len(x)]) for x, y in drawn]
    band = bands.combine(members, Spread.EXTREMES, 16)
    for at, x in enumerate(band.x):
        heights = [_height(one, float(x)) for one in members]
        there = [height for height in heights if height is not None]
        assert band.runs[at] == len(there)
        if there:
            assert band.mean[at] == pytest.approx(statistics.fmean(there), rel=1e-9, abs=1e-9)
            assert band.low[at] == pytest.approx(min(there), rel=1e-9, abs=1e-9)
            assert band.high[at] == pytest.approx(max(there), rel=1e-9, abs=1e-9)


def _height(one: Member, x: float) -> float | None:
    """The straight line between the two points around x, step by step."""
    points = list(zip(one.x.tolist(), one.mean.tolist(), strict=True))
    for (left, low), (right, high) in itertools.pairwise(points):
        if left <= x <= right:
            return low + (high - low) * (x - left) / (right - left)
    return points[0][1] if len(points) == 1 and points[0][0] == x else None
