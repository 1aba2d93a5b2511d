"""Attempts that overlap in steps: the newest one's points are the curve, nothing is lost."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from backline import batches
from experiments.metrics import metrics
from experiments.models import Membership, Project, Run, Series
from experiments.runs import runs
from portal.models import User


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.open_client_run(by=ada, project=project)


def batch(steps: Iterable[int], attempt: int, name: str = "loss") -> bytes:
    at = np.array(list(steps), np.int64)
    table = batches.Table((name,), at, at.astype(float), (at + 10_000.0 * attempt)[None])
    return batches.encode([table])


def send(run: Run, attempt: int, number: int, steps: Iterable[int], *, suffix: str = "") -> None:
    metrics.ingest(run, f"attempt-{attempt}{suffix}", number, batch(steps, attempt))


def curve(run: Run, name: str = "loss") -> dict[int, int]:
    """The attempt of each step; every step is there once."""
    steps, _, values = metrics.points(run, name)
    assert len(set(steps.tolist())) == len(steps)
    return dict(zip(steps.tolist(), (values // 10_000).astype(int).tolist(), strict=True))


def beside(run: Run) -> dict[int, list[int]]:
    return {
        attempt: found.steps.tolist() for attempt, found in metrics.replaced(run, "loss", 10_000)
    }


@pytest.mark.django_db
@pytest.mark.parametrize("compacted", [True, False])
def test_a_run_that_resumes_has_each_step_once_and_keeps_the_rest(
    run: Run, compacted: bool
) -> None:
    send(run, 1, 1, range(452))
    if compacted:
        metrics.compact(run)
    send(run, 2, 1, range(400, 500))
    send(run, 2, 2, range(500, 700))
    assert curve(run) == {step: 1 if step < 400 else 2 for step in range(700)}
    row = Series.objects.get(run=run)
    assert (row.count, row.last_step, row.last) == (700, 699, 20_699.0)
    assert (row.minimum, row.maximum) == (10_000.0, 20_699.0)
    assert beside(run) == {1: list(range(400, 452))}
    drawn = metrics.read(run, "loss", 100_000)
    assert drawn.steps.tolist() == list(range(700))
    metrics.compact(run)
    assert curve(run) == {step: 1 if step < 400 else 2 for step in range(700)}


@pytest.mark.django_db
def test_a_restart_from_the_beginning_replaces_all_also_extremes(run: Run) -> None:
    metrics.ingest(run, "attempt-1", 1, batch(range(50), 9))
    send(run, 2, 1, [0])
    row = Series.objects.get(run=run)
    assert (row.count, row.last, row.minimum, row.maximum) == (1, 20_000.0, 20_000.0, 20_000.0)
    assert beside(run) == {1: list(range(50))}


@pytest.mark.django_db
def test_what_an_older_attempt_still_delivers_finds_its_place(run: Run) -> None:
    send(run, 1, 1, range(100))
    send(run, 2, 1, range(90, 120))
    send(run, 1, 2, range(100, 130))
    assert curve(run) == {step: 1 if step < 90 else 2 for step in range(120)}
    assert beside(run) == {1: list(range(90, 130))}
    # The same again counts once; a metric of its own is not touched.
    send(run, 1, 2, range(100, 130))
    metrics.ingest(run, "attempt-1", 3, batch(range(3), 1, "other"))
    assert curve(run, "other") == dict.fromkeys(range(3), 1)
    assert beside(run) == {1: list(range(90, 130))}


@pytest.mark.django_db
def test_sessions_of_one_attempt_share_its_curve(run: Run) -> None:
    send(run, 1, 1, range(10))
    send(run, 2, 1, range(5, 8))
    send(run, 2, 1, range(8, 10), suffix="-1f0c9a")
    send(run, 2, 1, range(3, 5), suffix="-rank-1")
    metrics.ingest(run, "unnamed", 1, batch(range(10, 12), 2))
    assert curve(run) == {step: 1 if step < 3 else 2 for step in range(12)}


@pytest.mark.django_db
def test_one_table_of_several_metrics_is_parted(run: Run) -> None:
    def tables(attempt: int, names: tuple[str, ...], steps: range) -> bytes:
        at = np.array(steps, np.int64)
        values = np.stack([at + 10_000.0 * attempt] * len(names))
        return batches.encode([batches.Table(names, at, at.astype(float), values)])

    metrics.ingest(run, "attempt-1", 1, tables(1, ("loss", "lr"), range(10)))
    metrics.ingest(run, "attempt-2", 1, tables(2, ("loss",), range(5, 8)))
    metrics.ingest(run, "attempt-1", 2, tables(1, ("loss", "lr"), range(10, 12)))
    assert curve(run, "lr") == dict.fromkeys(range(12), 1)
    assert curve(run) == {step: 1 if step < 5 else 2 for step in range(8)}
    assert beside(run) == {1: list(range(5, 12))}


def expected(sent: list[tuple[int, list[int]]]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """By the definition: an attempt's point is in the curve if no newer attempt starts at or
    before its step."""
    starts = {
        attempt: min(step for a, steps in sent for step in steps if a == attempt)
        for attempt, _ in sent
    }
    inside: dict[int, int] = {}
    outside: dict[int, list[int]] = {}
    for attempt, steps in sent:
        limit = min((at for other, at in starts.items() if other > attempt), default=10**9)
        for step in steps:
            if step < limit:
                inside[step] = attempt
            else:
                outside.setdefault(attempt, []).append(step)
    return inside, {attempt: sorted(steps) for attempt, steps in outside.items()}


class InAnyOrder(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_the_curve_follows_from_what_came_not_from_its_order(self, data: st.DataObject) -> None:
        user, _ = User.objects.get_or_create(username="ada")
        project, _ = Project.objects.get_or_create(slug="p", defaults={"name": "P"})
        Membership.objects.get_or_create(
            user=user, project=project, defaults={"level": Membership.Level.MEMBER}
        )
        run = runs.open_client_run(by=user, project=project)
        attempts = st.dictionaries(
            st.integers(1, 4),
            st.lists(st.integers(0, 40), min_size=1, max_size=20, unique=True),
            min_size=1,
        )
        deliveries = []
        for attempt, steps in data.draw(attempts).items():
            start = 0
            while start < len(steps):
                end = data.draw(st.integers(start + 1, len(steps)))
                deliveries.append((attempt, steps[start:end]))
                start = end
        deliveries = data.draw(st.permutations(deliveries))
        for number, (attempt, steps) in enumerate(deliveries):
            send(run, attempt, number, steps)
            if data.draw(st.booleans()):
                metrics.compact(run)
        inside, outside = expected(deliveries)
        assert curve(run) == inside
        found = beside(run)
        assert {attempt: sorted(steps) for attempt, steps in found.items()} == outside
        row = Series.objects.get(run=run)
        values = [step + 10_000.0 * attempt for step, attempt in inside.items()]
        assert (row.count, row.minimum, row.maximum) == (len(inside), min(values), max(values))
        assert row.last_step == max(inside)
