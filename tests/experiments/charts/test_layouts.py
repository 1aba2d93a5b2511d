"""Layouts of panels: what is kept, for whom, and what a page begins with."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from experiments.charts import layouts, panels
from experiments.models import ChartLayout, Membership, Project
from portal import audit
from portal.models import User
from tests.experiments.charts.test_data import log
from tests.experiments.run_table.test_table import make

PANEL = {"id": "a1", "names": ["loss", "=loss * 2"], "width": 6}
LAYOUT = {"version": 1, "page": {"smooth": "ema", "amount": 0.9}, "panels": [PANEL]}


def address(name: str, project: Project, *more: object) -> str:
    return reverse(f"experiments:{name}", args=[project.slug, *more])


def test_a_page_begins_with_losses_then_sections_by_prefix() -> None:
    names = [
        "system/gpu",
        "system/cpu",
        "lr",
        "train/norm",
        "train/loss",
        "val/loss",
        "opt/a",
        "opt/b",
    ]
    found = [(panel.section, *panel.names) for panel in panels.default(names).panels]
    assert found == [
        ("Loss", "train/loss"), ("Loss", "val/loss"),
        ("Metrics", "lr"), ("Metrics", "train/norm"),
        ("opt", "opt/a"), ("opt", "opt/b"), ("system", "system/cpu"), ("system", "system/gpu"),
    ]  # fmt: skip
    many = panels.default([f"layer{n}/norm" for n in range(3000)])
    assert len(many.panels) == panels.MOST_AT_FIRST
    panels.checked(many.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"version": 2}, "version"),
        ({"panels": [PANEL, PANEL]}, "same id"),
        ({"panels": [PANEL | {"kind": "iframe"}]}, "kind"),
        ({"panels": [PANEL | {"id": "<b>"}]}, "id"),
        ({"panels": [PANEL | {"width": 99}]}, "width"),
        ({"panels": [PANEL | {"script": "x"}]}, "script"),
        ({"panels": [{"id": str(n)} for n in range(201)]}, "panels"),
        ({"page": {"amount": float("nan")}}, "amount"),
        ([], "the layout"),
        ("x" * 100, "the layout"),
    ],
)
def test_what_is_no_layout_is_refused_with_its_place(content: object, words: str) -> None:
    with pytest.raises(panels.BadLayout, match=words):
        panels.checked(content)


def test_each_person_finds_the_page_as_they_left_it(
    client: Client, ada: User, ben: User, project: Project
) -> None:
    log(make(project, ada, 1), loss=[1, 2])
    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    client.force_login(ben)
    kept = client.post(address("charts_keep", project), {"content": json.dumps(LAYOUT)})
    assert kept.status_code == 204
    data = client.get(address("charts", project)).context["data"]
    assert data["layout"]["page"]["amount"] == 0.9
    assert data["layout"]["panels"][0]["names"] == ["loss", "=loss * 2"]
    client.force_login(ada)
    own = client.get(address("charts", project)).context["data"]["layout"]
    assert [panel["names"] for panel in own["panels"]] == [["loss"]]
    client.force_login(ben)
    client.post(address("charts_reset", project))
    again = client.get(address("charts", project)).context["data"]["layout"]
    assert again == own


def test_a_saved_layout_has_an_address_for_all_of_the_project(
    client: Client, ada: User, ben: User, rosa: User, project: Project
) -> None:
    log(make(project, ada, 1), loss=[1])
    client.force_login(ada)
    form = {"name": "Loss, twice", "content": json.dumps(LAYOUT), "runs": "1", "q": ""}
    saved = client.post(address("charts_save", project), form)
    layout = ChartLayout.objects.get(name="Loss, twice")
    assert saved.headers["Location"] == f"{layout.get_absolute_url()}?runs=1"
    assert audit.history(project).filter(verb="charts.saved").count() == 1
    # Again under the same name: in its place.
    client.post(address("charts_save", project), form | {"content": json.dumps({"panels": []})})
    assert ChartLayout.objects.get(name="Loss, twice").content == {"version": 1}

    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    client.force_login(ben)
    page = client.get(layout.get_absolute_url())
    assert page.context["data"]["saved"] is True
    assert "Delete Loss, twice" not in page.content.decode()
    assert client.post(address("charts_delete", project, layout.pk)).status_code == 403
    # Who may only look saves nothing for everybody, and loses nothing of what was arranged.
    refused = client.post(address("charts_save", project), form)
    assert refused.status_code == 422
    assert "Only members of the project save a layout" in refused.content.decode()
    assert ChartLayout.objects.exclude(name="").count() == 1
    assert client.post(address("charts_keep", project), form).status_code == 204
    client.force_login(rosa)
    assert client.get(layout.get_absolute_url()).status_code == 404
    client.force_login(ada)
    there = address("charts_delete", project, layout.pk)
    # Nothing is gone before its page was read.
    assert client.post(there).status_code == 409
    seal = client.get(there).context["shown"]["seal"]
    client.post(there, {"shown": seal})
    assert not ChartLayout.objects.filter(pk=layout.pk).exists()
    assert audit.history(project).filter(verb="charts.deleted").count() == 1


def test_an_own_layout_is_nobody_elses_to_open(
    client: Client, ada: User, ben: User, project: Project
) -> None:
    layouts.keep(by=ada, project=project, content=LAYOUT)
    row = ChartLayout.objects.get()
    Membership.objects.create(project=project, user=ben, level=Membership.Level.OWNER)
    assert not ChartLayout.objects.visible_to(ben).exists()
    client.force_login(ben)
    assert client.get(row.get_absolute_url()).status_code == 404


def test_what_cannot_be_saved_is_said_and_stays_on_the_page(
    client: Client, ada: User, project: Project
) -> None:
    log(make(project, ada, 1), loss=[1])
    client.force_login(ada)
    form = {"name": "", "content": json.dumps(LAYOUT), "runs": "1"}
    page = client.post(address("charts_save", project), form)
    assert page.status_code == 422
    assert page.context["data"]["layout"]["page"]["smooth"] == "ema"
    assert page.context["asked"] == {"runs": "1"}
    bad = client.post(
        address("charts_save", project), form | {"name": "x", "content": '{"panels": 3}'}
    )
    assert "This layout cannot be kept" in bad.content.decode()
    assert client.post(address("charts_keep", project), {"content": "{"}).status_code == 422
    assert not ChartLayout.objects.exists()


def test_a_layout_of_an_unknown_version_gives_way_to_the_beginning(
    ada: User, project: Project
) -> None:
    ChartLayout.objects.create(project=project, owner=ada, content={"version": 9})
    assert layouts.own(user=ada, project=project, names=["loss"]) == panels.default(["loss"])


def test_values_and_bars_of_the_chosen_runs(client: Client, ada: User, project: Project) -> None:
    for number, lr, loss in ((1, 0.1, 2.0), (2, 0.1, 4.0), (3, "auto", 9.0)):
        log(make(project, ada, number, config={"lr": lr}), loss=[loss])
    make(project, ada, 4)
    client.force_login(ada)
    query = {"runs": "1,2,3,4", "field": ["config.lr", "metric.loss", "no.such"]}
    found = client.get(address("charts_values", project), query).json()
    assert [field["number"] for field in found["fields"]] == [False, True, True]
    assert found["rows"][0] == {"run": 1, "values": [0.1, 2.0, None]}
    assert found["rows"][3]["values"] == [None, None, None]
    query = {"runs": "1,2,3,4", "field": "metric.loss", "group": "config.lr"}
    bars = client.get(address("charts_bars", project), query).json()["bars"]
    assert [(bar["label"], bar["n"], bar["mean"]) for bar in bars] == [
        ("lr 0.1", 2, 3.0),
        ("lr auto", 1, 9.0),
    ]
    # Two values 2 and 4: mean 3, standard error 1, t with one degree 12.706.
    assert bars[0]["low"] == pytest.approx(3 - 12.7062, abs=1e-3)
    assert bars[1]["low"] is None


def test_importance_says_its_method_and_warns_of_few_runs(
    client: Client, ada: User, project: Project
) -> None:
    for number in range(1, 13):
        config = {"lr": number / 10, "seed": (number * 7) % 5, "fixed": 1}
        log(make(project, ada, number, config=config), loss=[number / 10])
    client.force_login(ada)
    query = {"runs": ",".join(map(str, range(1, 13))), "field": "metric.loss"}
    found = client.get(address("charts_importance", project), query).json()
    assert [row["title"] for row in found["rows"]] == ["lr", "seed"]
    assert found["rows"][0]["share"] > 0.8
    assert "permutation importance" in found["method"]
    assert "12 runs" in found["note"]
    nothing = client.get(address("charts_importance", project), {"runs": "1", "field": "x"}).json()
    assert nothing["rows"] == []
