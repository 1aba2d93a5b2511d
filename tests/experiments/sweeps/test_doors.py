"""A sweep from the form of a new run: what is typed, what it would be, what is refused."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from experiments import recipes
from experiments.models import Project, Run, Sweep, SweepTrial
from experiments.runs import datasets
from experiments.sweeps import asked, passes, sweeps
from portal.models import User
from rights.grants import lifecycle
from rights.models import Use
from tests.catalogue import make_allowed
from tests.experiments.sweeps import world
from tests.experiments.test_forms import typed


def post(client: Client, project: Project, act: str, data: dict[str, str]) -> tuple[int, str]:
    address = reverse(f"experiments:{act}", args=[project.slug])
    answer = client.post(address, data, follow=act == "run_submit")
    return answer.status_code, re.sub(r"\s+", " ", answer.content.decode())


def sent(**changes: str) -> dict[str, str]:
    """What a browser sends of a form in which only `changes` were typed."""
    form = asked.SweepForm(prefix=asked.PREFIX)
    fields = {field.html_name: str(field.value() or "") for field in form}
    config = {key: value for key, value in changes.items() if not key.startswith("sweep_")}
    sweep = {
        key.replace("sweep_", "sweep-", 1): value
        for key, value in changes.items()
        if key.startswith("sweep_")
    }
    return {**typed(**config), **fields, **sweep}


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("0.001, 0.002 ,4e-3", [0.001, 0.002, 0.004]),
        ("1;2", [1, 2]),
        ("8 .. 64 step 8", {"min": 8, "max": 64, "step": 8}),
        ("1e-4..1e-2 log", {"min": 1e-4, "max": 1e-2, "log": True}),
        ("-1 … 1", {"min": -1, "max": 1}),
    ],
)
def test_several_values_in_a_number_field_are_a_list_or_a_range(text: str, spec: object) -> None:
    assert asked.several(text) == spec


@pytest.mark.parametrize(
    "text", ["", "0.5", "a, b", "1, ", "1 .. ", "1,000 steps", "NaN, 1", "1..2..3"]
)
def test_everything_else_stays_what_it_is(text: str) -> None:
    assert asked.several(text) is None


def test_a_list_in_a_field_offers_a_sweep_and_queues_nothing(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    status, page = post(client, project, "run_submit", sent(frequency="220, 440, 880", steps="7"))
    assert status == 200
    assert "Nothing is started yet. Grid: 3 runs, 2 at a time." in page
    assert "Start the sweep of 3 runs" in page
    assert 'value="220, 440, 880"' in page
    assert 'value="7"' in page
    assert "All together at most" in page
    assert not Run.objects.exists()
    assert not Sweep.objects.exists()


def test_the_offered_sweep_is_started_with_what_was_typed(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    data = sent(frequency="220, 440, 880", steps="7", sweep_trials="2", sweep_pruning="median")
    status, _ = post(client, project, "sweep_start", data)
    assert status == 302
    sweep = Sweep.objects.get()
    assert sweep.space == {"frequency": [220, 440, 880]}
    assert (sweep.config["steps"], sweep.max_trials, sweep.method) == (7, 2, "grid")
    assert sweep.objectives == [{"metric": "loss", "goal": "minimize", "reading": "last"}]
    assert sweep.pruning["rule"] == "median"


def test_yaml_with_a_sweep_in_it_is_one(client: Client, ada: User, project: Project) -> None:
    client.force_login(ada)
    text = "steps: 5\nsweep:\n  space:\n    frequency: {min: 100, max: 900}\n  trials: 4\n"
    status, page = post(client, project, "run_submit", sent() | {"yaml": text})
    assert status == 200
    assert "TPE: 4 runs, 2 at a time." in page
    assert post(client, project, "sweep_start", sent() | {"yaml": text})[0] == 302
    assert Sweep.objects.get().space == {"frequency": {"min": 100.0, "max": 900.0, "type": "float"}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frequency": "20, 440"}, "must be at least 40.0. Tried was frequency = 20."),
        ({"frequency": "440, 440"}, "only one combination"),
        ({"frequency": "100..900", "sweep_method": "grid"}, "A grid has an end"),
        ({"frequency": "100..900", "sweep_method": "cmaes"}, "two numbers or more"),
        ({"steps": "1..100000", "sweep_method": "grid"}, "100,000 combinations; at most 1,000"),
        ({"steps": "0..9"}, "must be at least 1. Tried was steps = 0."),
        ({"sweep_space": "seed: []"}, "seed has an empty list"),
        ({"sweep_space": "nothing: [1, 2]"}, "nothing is no setting of tone check"),
        ({"sweep_space": "seed: [1"}, "not YAML"),
        ({}, "name at least one"),
        ({"seed": "1, 2", "sweep_parallel": "0"}, "greater than or equal to 1"),
        ({"seed": "1, 2", "sweep_objective": ""}, "required"),
        ({"seed": "1, 2", "sweep_cost": "5"}, "no prices"),
        ({"seed": "1, 2", "sweep_objective": "a, b", "sweep_pruning": "asha"}, "one objective"),
    ],
)
def test_what_cannot_be_swept_is_said_and_all_that_was_typed_stays(
    client: Client, ada: User, project: Project, changes: dict[str, str], words: str
) -> None:
    client.force_login(ada)
    status, page = post(client, project, "sweep_start", sent(seconds="3.25", **changes))
    assert (status, words in page) == (422, True), re.findall(r"data-errors.*?</div>", page)
    assert 'value="3.25"' in page
    assert not Sweep.objects.exists()


def test_a_viewer_starts_no_sweep_and_a_stranger_sees_none(
    client: Client, ada: User, ben: User, project: Project
) -> None:
    client.force_login(ada)
    post(client, project, "sweep_start", sent(seed="1, 2"))
    page = reverse("experiments:sweep", args=[project.slug, 1])
    assert client.get(page).status_code == 200
    client.force_login(ben)
    assert client.get(page).status_code == 404
    assert post(client, project, "sweep_start", sent(seed="1, 2"))[0] == 404
    project.memberships.create(user=ben, level="viewer")
    assert client.get(page).status_code == 200
    assert post(client, project, "sweep_start", sent(seed="1, 2"))[0] == 403
    stop = reverse("experiments:sweep_stop", args=[project.slug, 1])
    assert client.post(stop).status_code == 403


def test_each_recipe_offers_its_metrics_and_keeps_its_form(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    for name in recipes.RECIPES:
        page = client.get(reverse("experiments:run_new", args=[project.slug]), {"recipe": name})
        assert "Try several values: a sweep" in page.content.decode()


def test_a_large_grid_is_checked_in_few_queries(
    ada: User, project: Project, django_assert_max_num_queries: Any
) -> None:
    space = {"seed": list(range(20)), "steps": {"min": 1, "max": 10}}
    with django_assert_max_num_queries(12):
        plan = sweeps.check(
            by=ada, project=project, wanted=world.wanted(space=space, method="grid")
        )
    assert plan.trials == 200


def test_a_run_says_of_which_sweep_it_is(client: Client, ada: User, project: Project) -> None:
    sweep = world.start(ada, project)
    passes.advance(timezone.now())
    client.force_login(ada)
    page = client.get(reverse("experiments:run", args=[project.slug, 1])).content.decode()
    assert f'<a href="{sweep.get_absolute_url()}">Trial 1 of sweep 1</a>' in page


def test_the_page_of_a_large_sweep_lists_the_newest_and_the_best_and_says_so(
    client: Client, ada: User, project: Project
) -> None:
    sweep = world.start(ada, project, space={"seed": {"min": 1, "max": 900}})
    SweepTrial.objects.bulk_create(
        SweepTrial(
            sweep=sweep, number=number, params={"seed": number}, values=[float(number)],
            state=SweepTrial.State.COMPLETE,
        )
        for number in range(1, 301)
    )  # fmt: skip
    client.force_login(ada)
    page = client.get(sweep.get_absolute_url()).content.decode()
    assert 'id="trial-1"' in page
    assert 'id="trial-300"' in page
    assert 'id="trial-99"' not in page
    assert "99 older trials" in page
    assert 'id="trial-99"' in client.get(f"{sweep.get_absolute_url()}?all").content.decode()


def test_the_list_has_the_best_of_each_sweep_in_few_queries(
    client: Client, ada: User, project: Project, django_assert_max_num_queries: Any
) -> None:
    url = reverse("experiments:sweeps", args=[project.slug])
    client.force_login(ada)
    assert "No sweep yet." in client.get(url).content.decode()
    for _ in range(3):
        sweep = world.start(ada, project)
        for number, value in ((1, 0.5), (2, 0.125)):
            SweepTrial.objects.create(
                sweep=sweep, number=number, params={"frequency": 1.0}, values=[value],
                state=SweepTrial.State.COMPLETE,
            )  # fmt: skip
    with django_assert_max_num_queries(12):
        page = client.get(url).content.decode()
    assert page.count("0.125") == 3
    assert "2 of 3: 2 complete" in page


def test_a_refusal_of_consent_names_the_recordings_as_on_a_new_run(
    client: Client, ada: User, rosa: User, project: Project
) -> None:
    recordings = make_allowed(rosa, 2)
    use = Use.TRAIN_GENERATIVE
    dataset = datasets.freeze(by=ada, project=project, name="d", recordings=recordings, use=use)
    party = recordings[0].credits.get(role="MainArtist").party
    lifecycle.opt_out(recordings[0], use, party, rosa, "No more")
    client.force_login(ada)
    form = {key: value for key, value in sent().items() if not key.startswith("config.")}
    data = form | {"recipe": "flow_matching", "dataset": str(dataset.pk), "config.seed": "1, 2"}
    status, page = post(client, project, "sweep_start", data)
    assert status == 422
    assert "Not queued: not everybody whose music this is allows it." in page
    assert recordings[0].title in page
    assert 'value="1, 2"' in page
    assert not Sweep.objects.exists()
