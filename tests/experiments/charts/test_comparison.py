"""Runs beside each other: values with the best and a baseline, differences, samples before them."""

import math

import pytest
from django.test import Client
from django.urls import reverse

from experiments.charts import comparison, layouts
from experiments.models import Project
from experiments.run_table import compare
from portal.models import User
from tests.experiments.charts.test_data import log
from tests.experiments.charts.test_layouts import LAYOUT
from tests.experiments.run_table.test_table import make


def test_the_best_is_marked_where_a_name_says_what_is_better(ada: User, project: Project) -> None:
    one, two, three = (make(project, ada, number) for number in (1, 2, 3))
    log(one, loss=[3, 2], accuracy=[0.5, 0.5], lr=[1, 1])
    log(two, loss=[3, 1], accuracy=[0.5, 0.7], lr=[1, 2])
    log(three, loss=[3, float("nan")], accuracy=[0.5, 0.7])
    table = comparison.metric_table(
        runs=[one, two, three], names=["accuracy", "loss", "lr"], summary="last", baseline=1
    )
    accuracy, loss, lr = table.rows
    assert (accuracy.direction, loss.direction, lr.direction) == ("higher", "lower", "")
    assert [value.is_best for value in accuracy.values] == [False, True, True]
    assert [value.is_best for value in loss.values] == [False, True, False]
    assert not any(value.is_best for value in lr.values)
    assert (loss.values[0].more, loss.values[1].more, loss.values[1].share) == (None, -1, -0.5)
    assert loss.values[2].value is not None
    assert math.isnan(loss.values[2].value)
    assert loss.values[2].more is None
    assert lr.values[2].value is None


def test_equal_values_have_no_best(ada: User, project: Project) -> None:
    runs = [make(project, ada, number) for number in (1, 2)]
    for run in runs:
        log(run, loss=[2])
    table = comparison.metric_table(runs=runs, names=["loss"], summary="min", baseline=None)
    assert table.rows[0].direction == ""
    assert not any(value.is_best for value in table.rows[0].values)


def test_a_table_holds_the_baseline_and_says_what_it_leaves_out(
    ada: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "MOST_COLUMNS", 2)
    monkeypatch.setattr(comparison, "MOST_METRICS", 1)
    runs = [make(project, ada, number) for number in (1, 2, 3)]
    table = comparison.metric_table(runs=runs, names=["a", "b"], summary="last", baseline=3)
    assert [run.number for run in table.runs] == [1, 3]
    assert table.note == "The table has 2 of the 3 runs and 1 of the 2 metrics."


def test_what_differs_is_asked_of_all_runs_and_parted(ada: User, project: Project) -> None:
    one, two = make(project, ada, 1, config={"lr": 1}), make(project, ada, 2, config={"lr": 1})
    other = make(project, ada, 3, config={"lr": 2}, code_version="abc")
    found = comparison.differences([one, two, other], [one, two])
    assert found.settings == [compare.Difference("lr", [1, 1])]
    assert [difference.key for difference in found.environment] == ["code"]


def test_the_page_has_curves_values_samples_then_settings(
    client: Client, ada: User, project: Project
) -> None:
    for number in range(1, 15):
        log(make(project, ada, number, config={"seed": number}), loss=[number, number])
    client.force_login(ada)
    address = reverse("experiments:compare", args=[project.slug])
    numbers = ",".join(str(number) for number in range(1, 15))
    page = client.get(f"{address}?runs={numbers}&baseline=2&value=min")
    text = page.content.decode()
    order = [text.index(f'id="{name}"') for name in
             ("charts-data", "metric-values", "samples-title", "differences")]  # fmt: skip
    assert order == sorted(order)
    assert "Players for the first 12 of 14 runs" in text
    assert "(+50 %)" in text
    assert [run["number"] for run in page.context["data"]["runs"]] == list(range(1, 15))


def test_a_metric_in_the_address_stands_first_and_does_not_change_ones_own_panels(
    client: Client, ada: User, project: Project
) -> None:
    log(make(project, ada, 1), loss=[1], lr=[1])
    layouts.keep(by=ada, project=project, content=LAYOUT)
    client.force_login(ada)
    address = reverse("experiments:compare", args=[project.slug]) + "?runs=1"
    data = client.get(address + "&metric=lr").context["data"]
    assert data["layout"]["panels"][0]["names"] == ["lr"]
    assert data["saved"] is True
    assert client.get(address).context["data"]["layout"]["panels"][0]["names"][0] == "loss"


def test_what_sets_two_groups_apart_is_told_with_its_chance(
    client: Client, ada: User, project: Project
) -> None:
    for number in range(1, 17):
        config = {"lr": number / 100, "seed": (number * 7) % 5, "opt": "adam", "fixed": 1}
        if number > 12:
            config["opt"] = "sgd"
        log(make(project, ada, number, config=config), loss=[number])
    make(project, ada, 17)
    client.force_login(ada)
    numbers = ",".join(str(number) for number in range(1, 18))
    address = reverse("experiments:compare", args=[project.slug]) + f"?runs={numbers}"
    found = client.get(address + "&split=loss").context["explanation"]
    first = found.contrasts[0]
    assert (found.first, found.second) == ("Better half (8)", "Other half (8)")
    assert (first.key, first.apart, first.is_beyond_chance) == ("lr", 1.0, True)
    assert first.first == "0.045 (0.01 to 0.08)"
    by_key = {one.key: one for one in found.contrasts}
    assert not by_key["seed"].is_beyond_chance
    assert by_key["opt"].apart == 0.5
    assert by_key["opt"].second == "adam (4 of 8), sgd (4 of 8)"
    assert "fixed" not in by_key
    assert "1 of the runs are in neither group" in found.note
    assert client.get(address + "&split=failed").context["explanation"] is None
    assert client.get(address + "&split=%00x").status_code == 400
