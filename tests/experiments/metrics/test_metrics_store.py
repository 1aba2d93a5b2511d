"""The metric store: counted once, kept whole, drawn from little."""

import math
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backline import batches
from experiments.metrics import compaction, metrics
from experiments.models import Batch, Chunk, Project, Run, Series
from portal.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(project: Project, ada: User) -> Run:
    return Run.objects.create(
        project=project, number=1, name="Probe", submitted_by=ada, state=Run.State.RUNNING
    )


def batch(steps: Any, values: Any, name: str = "loss") -> bytes:
    columns = np.asarray(steps, np.int64), np.asarray(values, float)
    times = columns[0] * 0.1 + 1.7e9
    return batches.encode([batches.Table((name,), columns[0], times, columns[1][np.newaxis])])


def fold(run: Run) -> None:
    metrics.compact(run)
    assert not Batch.objects.filter(run=run).exists()


def test_a_batch_sent_twice_counts_once(run: Run) -> None:
    sent = batch([1, 2, 3], [3.0, 1.0, 2.0])
    assert not metrics.ingest(run, "s", 1, sent).duplicate
    assert metrics.ingest(run, "s", 1, sent).duplicate
    fold(run)
    assert metrics.ingest(run, "s", 1, sent).duplicate
    row = Series.objects.get(run=run, name="loss")
    assert (row.count, row.last, row.last_step) == (3, 2.0, 3)
    assert (row.minimum, row.minimum_step, row.maximum, row.maximum_step) == (1.0, 2, 3.0, 1)
    assert metrics.read(run, "loss").mean.tolist() == [3.0, 1.0, 2.0]


def test_the_same_number_with_other_content_is_refused(run: Run) -> None:
    metrics.ingest(run, "s", 1, batch([1], [1.0]))
    fold(run)
    with pytest.raises(metrics.Conflict, match="Delivery 1 of session s"):
        metrics.ingest(run, "s", 1, batch([1], [2.0]))
    assert Series.objects.get(run=run).count == 1


def test_two_sessions_number_for_themselves(run: Run) -> None:
    metrics.ingest(run, "attempt-1", 1, batch([1], [1.0]))
    metrics.ingest(run, "attempt-2", 1, batch([2], [2.0]))
    assert metrics.read(run, "loss").steps.tolist() == [1, 2]


def test_a_batch_that_cannot_be_read_leaves_nothing(run: Run) -> None:
    with pytest.raises(batches.Malformed):
        metrics.ingest(run, "s", 1, batch([1], [1.0])[:-3])
    assert not Batch.objects.exists()
    assert not Series.objects.exists()


def test_nan_and_infinities_are_kept_and_counted(run: Run) -> None:
    values = [1.0, math.nan, math.inf, -math.inf, 2.0, math.nan]
    metrics.ingest(run, "s", 1, batch(range(6), values))
    for _ in range(2):
        row = Series.objects.get(run=run)
        assert (row.count, row.nonfinite, row.last, row.last_step) == (6, 4, None, 5)
        assert (row.minimum, row.maximum) == (1.0, 2.0)
        assert np.array_equal(metrics.points(run, "loss")[2], values, equal_nan=True)
        curve = metrics.read(run, "loss").as_json()
        assert curve["mean"] == [1.0, None, None, None, 2.0, None]
        assert curve["nonfinite"] == [0, 1, 1, 1, 0, 1]
        fold(run)


@pytest.mark.parametrize("when", ["never", "each", "last"])
def test_out_of_order_batches_read_in_order(run: Run, when: str) -> None:
    order = [3, 0, 2, 1]
    for number, part in enumerate(order):
        steps = np.arange(part * 1500, part * 1500 + 1500)
        metrics.ingest(run, "s", number, batch(steps, steps * 2.0))
        if when == "each":
            fold(run)
    if when == "last":
        fold(run)
    steps, _, values = metrics.points(run, "loss")
    assert steps.tolist() == list(range(6000))
    assert np.array_equal(values, steps * 2.0)
    curve = metrics.read(run, "loss", points=100)
    assert len(curve) <= 100
    assert int(curve.count.sum()) == 6000
    assert (np.diff(curve.steps) > 0).all()
    assert Series.objects.get(run=run).last == 11998.0


def check_pyramid(run: Run, values: np.ndarray[Any, Any], points: int) -> None:
    curve = metrics.read(run, "loss", points=points)
    assert len(curve) <= points
    assert int(curve.count.sum()) == len(values)
    assert curve.minimum.min() == values.min()
    assert curve.maximum.max() == values.max()
    assert curve.steps[-1] == len(values) - 1
    edges = np.concatenate([[0], curve.steps + 1])
    for first, end, mean, low in zip(edges[:-1], edges[1:], curve.mean, curve.minimum, strict=True):
        part = values[first:end]
        assert mean == pytest.approx(part.mean(), abs=1e-9)
        assert low == part.min()


@pytest.mark.parametrize("sizes", [[700, 1, 8, 3000, 5, 20_000, 1], [4096, 4096], [513] * 20])
def test_levels_of_detail_agree_with_the_points_however_they_came(
    run: Run, sizes: list[int]
) -> None:
    values = np.random.default_rng(3).normal(size=sum(sizes))
    start = 0
    for number, size in enumerate(sizes):
        steps = np.arange(start, start + size)
        metrics.ingest(run, "s", number, batch(steps, values[start : start + size]))
        start += size
        fold(run)
    for points in (10, 100, 1000, 5000):
        check_pyramid(run, values, points)
    metrics.ingest(run, "s", 99, batch([sum(sizes)], [9.0]))
    check_pyramid(run, np.append(values, 9.0), 1000)


def test_a_million_points_are_drawn_from_a_thousandth_of_them(run: Run) -> None:
    million = 1_000_000
    values = np.sin(np.arange(million) / 1000)
    values[123_456] = 50.0
    for number in range(5):
        steps = np.arange(number * 200_000, (number + 1) * 200_000)
        metrics.ingest(run, "s", number, batch(steps, values[steps]))
    fold(run)
    assert Series.objects.get(run=run).count == million
    with CaptureQueriesContext(connection) as queries:
        curve = metrics.read(run, "loss", points=1000)
    assert len(queries) <= 4
    assert 500 <= len(curve) <= 1000
    assert int(curve.count.sum()) == million
    assert curve.maximum.max() == 50.0
    # What was read: chunks of one level only, and few bytes of the whole series.
    level = Chunk.objects.filter(series__run=run, level=curve.level)
    read = sum(chunk.count for chunk in level)
    whole = sum(len(chunk.data) for chunk in Chunk.objects.filter(series__run=run, level=0))
    assert curve.level >= 3
    assert read <= 2_000
    assert sum(len(chunk.data) for chunk in level) < whole / 50
    assert not any('"level" = 0' in query["sql"] for query in queries.captured_queries)
    near = metrics.read(run, "loss", points=1000, from_step=123_000, to_step=123_900)
    assert near.level == 0
    assert near.steps.tolist() == list(range(123_000, 123_901))


def test_reading_many_runs_takes_the_same_number_of_queries(
    run: Run, project: Project, ada: User
) -> None:
    more = [Run(project=project, number=n, name="r", submitted_by=ada) for n in range(2, 8)]
    runs = [run, *Run.objects.bulk_create(more)]
    for one in runs:
        metrics.ingest(one, "s", 1, batch(range(3000), np.arange(3000.0)))
        metrics.compact(one)
        metrics.ingest(one, "s", 2, batch([3000], [1.0]))
    with CaptureQueriesContext(connection) as queries:
        curves = metrics.read_many([one.pk for one in runs], "loss", 100)
    assert len(queries) <= 4
    assert {key: int(curve.count.sum()) for key, curve in curves.items()} == {
        one.pk: 3001 for one in runs
    }
    assert metrics.read_many([run.pk], "nothing", 100) == {}
    assert len(metrics.read(run, "nothing")) == 0


def test_many_small_batches_fold_by_themselves(run: Run) -> None:
    for number in range(100):
        metrics.ingest(run, "s", number, batch([number], [number / 2]))
    assert Batch.objects.filter(run=run).count() < compaction.FOLD_BATCHES
    assert metrics.read(run, "loss").mean.tolist() == [n / 2 for n in range(100)]
