"""Runs in groups, against figures that are worked out here by the statistics module."""

import math
import random
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.models import Project, Run, Series
from experiments.run_table import directions, grouping, query
from portal.models import User
from tests.experiments.run_table.test_table import make, measure

START = datetime(2026, 11, 1, 20, tzinfo=UTC)
RATES = [0.1, 0.001, "auto", None, True, 1, [1, 2]]


@pytest.fixture
def table(project: Project, ada: User, ben: User) -> list[dict[str, Any]]:
    """A random table of 150 runs, as rows and in the database."""
    chance = random.Random(7)
    rows: list[dict[str, Any]] = []
    for number in range(1, 151):
        config = {"seed": number % 5, "x": chance.gauss(1e6, 1e-3)}
        if number % 9:
            config["lr"] = chance.choice(RATES)
        loss = chance.choice([None, chance.gauss(100_000, 0.01), chance.random()])
        rows.append({
            "number": number, "config": config, "owner": chance.choice([ada, ben]),
            "tags": chance.choice([[], ["b", "a"], ["a", "b"], ["a"]]), "loss": loss,
            "queued": START + timedelta(hours=number),
        })  # fmt: skip
    runs = Run.objects.bulk_create(
        Run(project=project, number=row["number"], name="try", submitted_by=row["owner"],
            config=row["config"], tags=row["tags"], queued_at=row["queued"], state="finished")
        for row in rows
    )  # fmt: skip
    Series.objects.bulk_create(
        Series(run=run, name="loss", last=row["loss"], minimum=row["loss"], count=1)
        for run, row in zip(runs, rows, strict=True)
        if row["number"] % 7
    )
    return rows


def read(project: Project, **asked: Any) -> grouping.Groups:
    return grouping.read(runs=Run.objects.filter(project=project), **asked)


def measured(row: dict[str, Any]) -> float | None:
    return row["loss"] if row["number"] % 7 else None


def test_each_group_has_the_figures_of_its_runs(
    project: Project, table: list[dict[str, Any]]
) -> None:
    found = read(project, by=["config.seed", "owner"], numbers=["metric.loss", "config.x"])
    assert found.runs == 150
    assert found.total == 10
    for group in found.groups:
        seed, owner = group.values
        rows = [r for r in table if r["config"]["seed"] == seed and r["owner"].username == owner]
        assert group.runs == len(rows)
        losses = {r["number"]: loss for r in rows if (loss := measured(r)) is not None}
        summary = group.summaries["metric.loss"]
        assert summary.n == len(losses)
        assert summary.mean == pytest.approx(statistics.mean(losses.values()), rel=1e-12)
        assert summary.spread == pytest.approx(statistics.stdev(losses.values()), rel=1e-9)
        assert (summary.min, summary.max) == (min(losses.values()), max(losses.values()))
        # Less of a loss is better.
        assert summary.best == min(losses.values())
        assert losses[summary.best_run or 0] == summary.best
        exact = [r["config"]["x"] for r in rows]
        assert group.summaries["config.x"].spread == pytest.approx(
            statistics.stdev(exact), rel=1e-3
        )
        assert group.summaries["config.x"].best == max(exact)
        assert group.members == [r["number"] for r in rows][: grouping.MEMBERS]


@pytest.mark.parametrize("by", [["config.lr"], ["tags"], ["queued"], ["config.lr", "config.seed"]])
def test_the_query_of_a_group_finds_its_runs(
    project: Project, table: list[dict[str, Any]], by: list[str]
) -> None:
    found = read(project, by=by, size=500)
    assert sum(group.runs for group in found.groups) == 150
    opened = [group for group in found.groups if group.query]
    assert len(opened) >= 3
    for group in opened:
        runs = query.apply(Run.objects.filter(project=project), group.query)
        numbers = list(runs.order_by("number").values_list("number", flat=True))
        if by == ["tags"]:
            # Runs with more tags have these, too.
            assert set(group.members) <= set(numbers)
        else:
            assert numbers == group.members


def test_settings_of_several_types_are_groups_of_their_own(
    project: Project, table: list[dict[str, Any]]
) -> None:
    found = read(project, by=["config.lr"], sort="config.lr")
    values = [group.values[0] for group in found.groups]
    assert values == ["auto", 0.001, 0.1, 1, [1, 2], True, None]
    assert values[5] is True


def test_groups_are_ordered_by_any_figure_with_nothing_last(project: Project, ada: User) -> None:
    for number, (kind, loss) in enumerate(
        [("a", 3.0), ("a", 1.0), ("b", 5.0), ("c", None), ("b", 0.5), ("b", 0.6)], 1
    ):
        run = make(project, ada, number, config={"kind": kind})
        if number != 4:
            measure(run, "loss", loss)

    def order(sort: str) -> list[str]:
        found = read(project, by=["config.kind"], numbers=["metric.loss"], sort=sort)
        return [group.values[0] for group in found.groups]

    assert order("metric.loss:mean") == ["a", "b", "c"]
    assert order("metric.loss:best") == ["b", "a", "c"]
    assert order("-metric.loss:max") == ["b", "a", "c"]
    assert order("metric.loss:max") == ["a", "b", "c"]
    assert order("-metric.loss:spread") == ["b", "a", "c"]
    assert order("") == ["b", "a", "c"]
    assert order("runs") == ["c", "a", "b"]
    assert order("-config.kind") == ["c", "b", "a"]


def test_a_single_run_has_no_spread_and_what_is_not_finite_does_not_count(
    project: Project, ada: User
) -> None:
    measure(make(project, ada, 1), "loss", 2.0)
    measure(make(project, ada, 2, state=Run.State.FAILED), "loss", None)
    found = read(project, by=["state"], numbers=["metric.loss", "name"], sort="state")
    failed, finished = found.groups
    assert failed.summaries["metric.loss"].n == 0
    assert failed.summaries["metric.loss"].mean is failed.summaries["metric.loss"].best_run is None
    assert finished.summaries["metric.loss"] == grouping.Summary(1, 2.0, None, 2.0, 2.0, 2.0, 1)
    assert finished.summaries["name"].n == 0


def test_the_direction_of_best_may_be_said(project: Project, ada: User) -> None:
    for number, value in enumerate([1.0, 3.0, 3.0], 1):
        measure(make(project, ada, number), "loss", value)
    found = read(project, by=["recipe"], numbers=["metric.loss"], directions={"metric.loss": "max"})
    # Of equal runs the first one is the best.
    summary = found.groups[0].summaries["metric.loss"]
    assert (summary.best, summary.best_run) == (3.0, 2)


@pytest.mark.parametrize(
    ("key", "direction"),
    [
        ("metric.val/loss", "min"), ("metric.trainLoss", "min"), ("metric.FAD", "min"),
        ("duration", "min"), ("cost", "min"), ("metric.accuracy", "max"), ("metric.closs", "max"),
        ("config.x", "max"), ("metric.word_error_rate.min", "min"),
    ],
)  # fmt: skip
def test_less_is_better_of_losses_errors_and_costs(key: str, direction: str) -> None:
    assert directions.better(key) == direction


def test_groups_come_in_pages_and_in_one_query(
    project: Project, table: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with CaptureQueriesContext(connection) as seen:
        found = read(
            project, by=["name", "number"], numbers=["metric.loss"], sort="number", page=3, size=60
        )
    assert len(seen) == 1
    assert (found.total, found.pages, found.page) == (150, 3, 3)
    assert [group.values[1] for group in found.groups] == list(range(121, 151))
    monkeypatch.setattr(grouping, "MAX_GROUPS", 100)
    cut = read(project, by=["number"], sort="number", size=60, page=9)
    assert (cut.pages, cut.page, len(cut.groups)) == (2, 2, 40)
    assert "These are 150 groups; the first 100" in cut.note


def test_nothing_to_group_is_no_groups(project: Project) -> None:
    assert read(project, by=["owner"], numbers=["metric.loss"]).groups == []
    assert read(project, by=["no.such"]).total == 0


def test_without_keys_all_runs_are_one_group(project: Project, table: list[dict[str, Any]]) -> None:
    found = read(project, by=[], numbers=["metric.loss.min"])
    (group,) = found.groups
    assert group.runs == 150
    assert group.summaries["metric.loss.min"].n == sum(
        1 for row in table if measured(row) is not None
    )
    assert not math.isnan(group.summaries["metric.loss.min"].mean or 0)
