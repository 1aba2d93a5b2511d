"""Runs beside each other."""

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

from experiments.charts import selection
from experiments.models import Project
from experiments.run_table import compare
from experiments.templatetags.figures import colour
from portal.models import User
from tests.experiments.metrics.measured import log_loss
from tests.experiments.run_table.test_table import make, measure


def test_only_what_differs_is_shown(ada: User, project: Project) -> None:
    one = make(project, ada, 1, config={"seed": 1, "steps": 5, "optim": {"lr": 0.1}})
    two = make(project, ada, 2, config={"seed": 2, "steps": 5, "optim": {"lr": 0.2}, "new": True})
    found = {line.key: line.values for line in compare.differences([one, two])}
    assert found == {"seed": [1, 2], "optim.lr": [0.1, 0.2], "new": [None, True]}
    assert compare.differences([one]) == []
    assert compare.differences([]) == []


def test_only_visible_runs_of_this_project_are_compared(
    client: Client, ada: User, ben: User, project: Project
) -> None:
    make(project, ada, 1)
    other = Project.objects.create(slug="other", name="Other")
    make(other, ben, 2, name="secret")
    client.force_login(ada)
    page = client.get(reverse("experiments:compare", args=[project.slug]) + "?runs=1,2,x,99")
    assert page.status_code == 200
    assert [run.number for run in page.context["runs"]] == [1]
    assert "secret" not in page.content.decode()


def test_the_loss_is_looked_at_first_and_another_by_address(
    client: Client, ada: User, project: Project
) -> None:
    run = make(project, ada, 1)
    for name in ("accuracy", "train/loss"):
        measure(run, name, 0.5)
    client.force_login(ada)
    address = reverse("experiments:compare", args=[project.slug]) + "?runs=1"
    assert client.get(address).context["metric"] == "train/loss"
    assert client.get(address + "&metric=accuracy").context["metric"] == "accuracy"


def test_a_runs_colour_follows_from_its_number_and_dashes_tell_equal_ones_apart(
    ada: User, project: Project
) -> None:
    runs = [make(project, ada, number) for number in (9, 10, 17, 1, 25, 2)]
    assert [colour(run.number) for run in runs] == [1, 2, 1, 1, 1, 2]
    assert list(compare.dashes(runs).values()) == [
        "solid", "solid", "dash", "dot", "dashdot", "dash",
    ]  # fmt: skip


def test_runs_of_one_name_are_told_apart_by_what_differs(ada: User, project: Project) -> None:
    config = {"lr": 0.1, "steps": 5, "long": list(range(50))}
    one = make(project, ada, 1, name="same", config=config)
    two = make(project, ada, 2, name="same", config=config | {"lr": 0.2, "long": [1]})
    other = make(project, ada, 3, name="other", config={"lr": 7})
    assert compare.labels([one, two, other]) == {
        1: "1 same, lr 0.1", 2: "2 same, lr 0.2", 3: "3 other",
    }  # fmt: skip


def test_true_is_not_one_and_one_is_one(ada: User, project: Project) -> None:
    one = make(project, ada, 1, config={"flag": True, "seed": 1})
    two = make(project, ada, 2, config={"flag": 1, "seed": 1.0})
    found = {line.key: line.values for line in compare.differences([one, two])}
    assert found == {"flag": [True, 1]}


def test_what_is_left_out_of_a_comparison_is_said(
    client: Client, ada: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "MOST", 3)
    for number in range(1, 6):
        make(project, ada, number)
    client.force_login(ada)
    page = client.get(reverse("experiments:compare", args=[project.slug]) + "?runs=1,2,3,4,5,99")
    assert [run.number for run in page.context["runs"]] == [1, 2, 3]
    assert page.context["note"] == (
        "At most 3 runs are compared; left out: 4, 5. This project has no run 99."
    )
    assert page.context["note"] in page.content.decode()


def test_the_loss_comes_first_and_once(client: Client, ada: User, project: Project) -> None:
    run = make(project, ada, 1)
    for name in ("accuracy_loss", "accuracy", "control/genre"):
        measure(run, name, 0.5)
    client.force_login(ada)
    page = client.get(run.get_absolute_url())
    assert [s.name for s in page.context["headlines"]] == ["accuracy_loss", "control/genre"]
    text = page.content.decode()
    assert text.count('data-name="accuracy_loss"') == 1
    assert text.index('data-name="accuracy_loss"') < text.index('data-name="control/genre"')


def test_traces_carry_the_curve_as_json(ada: User, project: Project) -> None:
    run_with_loss = make(project, ada, 5)
    log_loss(run_with_loss, [0.5, 0.25])
    (trace,) = compare.traces([run_with_loss], "loss")
    assert trace["run"] == run_with_loss.number
    assert np.allclose(trace["mean"], [0.5, 0.25])  # type: ignore[arg-type]
    assert compare.traces([run_with_loss], "nothing") == []
