"""Runs beside each other."""

import numpy as np
from django.test import Client
from django.urls import reverse

from experiments.models import Project
from experiments.run_table import compare
from experiments.templatetags.figures import colour, dash
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


def test_a_runs_colour_follows_from_its_number(ada: User, project: Project) -> None:
    looks = {(colour(n), dash(n)) for n in range(1, 33)}
    assert len(looks) == 32
    assert (colour(1), dash(1), colour(9), dash(9)) == (1, "solid", 1, "dash")


def test_traces_carry_the_curve_as_json(ada: User, project: Project) -> None:
    run_with_loss = make(project, ada, 5)
    log_loss(run_with_loss, [0.5, 0.25])
    (trace,) = compare.traces([run_with_loss], "loss")
    assert trace["run"] == run_with_loss.number
    assert np.allclose(trace["mean"], [0.5, 0.25])  # type: ignore[arg-type]
    assert compare.traces([run_with_loss], "nothing") == []
