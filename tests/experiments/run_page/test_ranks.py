"""Runs of several processes: side by side, and only where the recipe can share a training."""

import pytest
from django.test import Client, override_settings
from django.urls import reverse

from experiments import recipes
from experiments.models import Project, Run, Series
from experiments.run_page import ranks
from experiments.runs import runs
from portal.models import User


def figure(run: Run, name: str, last: float | None, *, step: int = 10) -> None:
    Series.objects.create(run=run, name=name, last=last, last_step=step, count=1)


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.submit(by=ada, project=project, recipe="tone_check", config={})


def test_a_run_of_one_process_has_no_ranks(run: Run) -> None:
    figure(run, "system/rank/0/step_seconds", 0.1)
    assert ranks.ranks_in(run.series.all()) == []


def test_who_is_behind_and_who_is_slow_is_told_in_words(run: Run) -> None:
    for number, seconds, step in ((0, 0.1, 10), (1, 0.1, 10), (2, 0.25, 10), (3, 0.1, 7)):
        figure(run, f"system/rank/{number}/step_seconds", seconds, step=step)
    figure(run, "system/cpu_percent", 90)
    figure(run, "system/rank/1/cpu_percent", 35)
    figure(run, "system/rank/1/gpu0_percent", 60)
    found = ranks.ranks_in(run.series.all())
    assert [one.words for one in found] == [
        "", "", "2.5 times as slow as the middle one", "3 steps behind",
    ]  # fmt: skip
    assert [one.busy for one in found] == [90, 60, None, None]


def test_figures_that_are_no_numbers_break_nothing(run: Run) -> None:
    for number in (0, 1):
        figure(run, f"system/rank/{number}/step_seconds", None)
    assert [(rank.seconds, rank.words) for rank in ranks.ranks_in(run.series.all())] == [
        (None, "")
    ] * 2


def test_the_page_shows_them(client: Client, ada: User, run: Run) -> None:
    for number, seconds in ((0, 0.1), (1, 0.4), (2, 0.1)):
        figure(run, f"system/rank/{number}/step_seconds", seconds)
    client.force_login(ada)
    page = reverse("experiments:run_system", args=[run.project.slug, run.number])
    assert "4.0 times as slow as the middle one" in client.get(page).content.decode()


@override_settings(CLUSTER="recording")
def test_a_recipe_that_trains_alone_is_refused_several_nodes(ada: User, project: Project) -> None:
    with pytest.raises(recipes.ConfigInvalid) as refused:
        runs.submit(by=ada, project=project, recipe="tone_check", config={}, resources={"nodes": 2})
    assert refused.value.errors == {"resources.nodes": recipes.ONE_NODE}
    config = {"command": ["torchrun", "train.py"]}
    made = runs.submit(
        by=ada, project=project, recipe="program", config=config, resources={"nodes": 2}
    )
    assert made.resources["nodes"] == 2
