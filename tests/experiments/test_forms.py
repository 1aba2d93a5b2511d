"""The form of a new run: made from the recipe's model, and nothing that was typed is lost."""

import contextlib
import re

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import forms, recipes
from experiments.models import Project, Run
from experiments.runs import datasets
from portal.models import User
from rights.grants import lifecycle
from rights.models import Grant, Use
from tests.catalogue import make_allowed
from tests.examples import examples

FLOW = recipes.get("flow_matching")


def typed(**changes: str) -> dict[str, str]:
    """What a browser sends when nothing was changed but `changes`."""
    sent = {"recipe": "tone_check", "cpus": "1", "memory_gb": "2", "gpus": "0"}
    groups = forms.fields(recipes.get("tone_check"))
    sent |= {one.name: one.value for group in groups.values() for one in group}
    return sent | {forms.PREFIX + key: value for key, value in changes.items()}


def submit(client: Client, project: Project, data: dict[str, str]) -> tuple[int, str]:
    answer = client.post(reverse("experiments:run_submit", args=[project.slug]), data)
    return answer.status_code, answer.content.decode()


def test_untouched_fields_give_the_defaults_back() -> None:
    for recipe in recipes.RECIPES.values():
        groups = forms.fields(recipe)
        sent = {one.name: one.value for group in groups.values() for one in group}
        assert recipes.validate(recipe.name, forms.read(recipe, sent)) == recipe.config()


@settings(max_examples=examples(50))
@given(
    steps=st.integers(1, 200_000),
    rate=st.floats(1e-6, 0.1),
    prompts=st.lists(
        st.from_regex(r"[a-z]{1,10}( [a-z]{1,10})?", fullmatch=True), min_size=1, max_size=8
    ),
)
def test_a_config_goes_through_the_form_unchanged(
    steps: int, rate: float, prompts: list[str]
) -> None:
    config = FLOW.config(steps=steps, learning_rate=rate, prompts=prompts)
    groups = forms.fields(FLOW, values=config.model_dump(mode="json"))
    sent = {one.name: one.value for group in groups.values() for one in group}
    assert recipes.validate(FLOW.name, forms.read(FLOW, sent)) == config
    assert (
        recipes.validate(FLOW.name, forms.from_yaml(forms.to_yaml(config.model_dump()))) == config
    )


def test_groups_bounds_help_and_choices_come_from_the_model() -> None:
    groups = forms.fields(FLOW)
    every = {one.key: one for group in groups.values() for one in group}
    assert "Training" in groups
    assert every["batch_size"].bounds == "1 to 256"
    assert every["precision"].choices == [(name, name) for name in ("auto", "bf16", "fp32")]
    assert every["prompts"].kind == "textarea"
    assert all(one.help for one in every.values())


def test_a_run_is_queued_as_typed(client: Client, ada: User, project: Project) -> None:
    client.force_login(ada)
    status, _ = submit(client, project, typed(steps="7") | {"name": "quick"})
    assert status == 302
    run = Run.objects.get()
    assert (run.name, run.config["steps"]) == ("quick", 7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": "0"}, "must be at least 1"),
        ({"steps": "many"}, "must be a whole number"),
        ({"frequency": "1e99"}, "must be at most"),
        ({"surprise": "1"}, "no setting “surprise”"),
    ],
)
def test_what_is_wrong_stands_beside_it_and_the_rest_is_kept(
    client: Client, ada: User, project: Project, changes: dict[str, str], words: str
) -> None:
    client.force_login(ada)
    status, page = submit(client, project, typed(seconds="3.25", **changes) | {"name": "kept"})
    assert status == 422
    assert words in page
    assert 'value="3.25"' in page
    assert 'value="kept"' in page
    assert not Run.objects.exists()


def test_resources_out_of_bounds_are_refused_on_the_page(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    status, page = submit(client, project, typed() | {"cpus": "9999"})
    assert status == 422
    assert "Processor cores must be at most 64." in page


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps: 0", "must be at least 1"),
        ("steps: [", "not YAML at line"),
        ("- a\n- b", "list of names"),
        ("a: &x 1\nb: *x", "Aliases"),
        ("!!python/object:os.system {}", "not YAML"),
        ("when: 2026-13-77", "YAML"),
        ("steps: !!bool maybe", "one of its values cannot be read"),
        ("steps: 5\nseconds: 1\nsteps: 9", "“steps” stands twice, again at line 3: keep one."),
        ("a: {b: 1, b: 2}", "“b” stands twice"),
        ("a: " + "[" * 5_000, "too many levels inside each other"),
        ("steps: true", "Steps must be a whole number."),
        ("seconds: yes", "Length must be a number."),
        ("a: " + "x" * 1_000_000, "at most 64 kB"),
    ],
)
def test_pasted_yaml_is_refused_with_a_sentence(
    client: Client, ada: User, project: Project, text: str, words: str
) -> None:
    client.force_login(ada)
    status, page = submit(client, project, typed() | {"yaml": text})
    assert status == 422
    assert words in page
    assert not Run.objects.exists()


def test_pasted_yaml_is_used_instead_of_the_fields(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    status, _ = submit(client, project, typed(steps="7") | {"yaml": "steps: 9\n"})
    assert status == 302
    assert Run.objects.get().config["steps"] == 9


@given(st.text(max_size=200))
def test_any_text_is_yaml_or_a_sentence(text: str) -> None:
    with contextlib.suppress(forms.BadYaml):
        assert isinstance(forms.from_yaml(text), dict)


def test_a_refusal_of_consent_names_recording_holder_and_reason(
    client: Client, ada: User, rosa: User, project: Project
) -> None:
    recordings = make_allowed(rosa)
    frozen = datasets.freeze(
        by=ada, project=project, name="ours", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )
    for grant in Grant.objects.filter(use=Use.TRAIN_GENERATIVE, status=Grant.Status.ACTIVE):
        lifecycle.withdraw(grant=grant, by=rosa, reason="Not any more.")
    client.force_login(ada)
    groups = forms.fields(FLOW)
    sent = {one.name: one.value for group in groups.values() for one in group}
    sent |= {
        "recipe": FLOW.name,
        "dataset": str(frozen.pk),
        "cpus": "1",
        "memory_gb": "2",
        "gpus": "0",
    }
    status, page = submit(client, project, sent)
    assert status == 422
    assert recordings[0].title in page
    assert "withdrew" in page
    assert not Run.objects.exists()


def test_duplicate_starts_from_the_other_run(client: Client, ada: User, project: Project) -> None:
    client.force_login(ada)
    submit(client, project, typed(steps="77"))
    page = client.get(reverse("experiments:run_duplicate", args=[project.slug, 1])).content.decode()
    assert 'value="77"' in page
    submit(client, project, typed(steps="78") | {"copied_from": "1"})
    assert Run.objects.get(number=2).copied_from == Run.objects.get(number=1)


def test_an_unknown_recipe_is_not_there(client: Client, ada: User, project: Project) -> None:
    client.force_login(ada)
    address = reverse("experiments:run_new", args=[project.slug]) + "?recipe=nope"
    assert client.get(address).status_code == 404


def test_few_settings_stay_in_sight_and_the_rest_is_folded() -> None:
    first, folded = forms.arrange(forms.fields(FLOW))
    assert {one.key for one in first} == {
        "prompts", "use", "seed", "steps", "batch_size", "learning_rate",
    }  # fmt: skip
    assert [group.title for group in folded] == ["Samples", "Training", "Model", "Arithmetic"]
    shown = {one.key for one in first} | {one.key for group in folded for one in group.fields}
    assert shown == set(FLOW.config.model_fields)


def test_a_recipe_of_few_settings_folds_none() -> None:
    first, folded = forms.arrange(forms.fields(recipes.get("tone_check")))
    assert len(first) == 7
    assert folded == []


@pytest.mark.parametrize(
    ("recipe", "key", "value"),
    [
        ("flow_matching", "learning_rate", "2e-3"),
        ("flow_matching", "guidance", " 2.0 "),
        ("flow_matching", "prompts", "ambient pad\r\ntechno\r\nchip arpeggio\r\npiano waltz\r\n"),
        ("program", "command", "python train.py"),
        ("program", "image", ""),
    ],
)
def test_the_default_in_another_spelling_is_not_a_change(recipe: str, key: str, value: str) -> None:
    groups = forms.fields(recipes.get(recipe), typed={forms.PREFIX + key: value})
    assert not next(one for group in groups.values() for one in group if one.key == key).changed


def test_a_group_says_what_differs_from_the_recipe() -> None:
    copied = {"steps": 5, "width": 256, "heads": 8, "kernel": 9}
    _, folded = forms.arrange(forms.fields(FLOW, values=copied))
    model = next(group for group in folded if group.title == "Model")
    assert [one.title for one in model.changed] == ["Width", "Attention heads"]


def flow_typed(project: Project, ada: User, rosa: User, **changes: str) -> dict[str, str]:
    frozen = datasets.freeze(
        by=ada,
        project=project,
        name="ours",
        recordings=make_allowed(rosa),
        use=Use.TRAIN_GENERATIVE,
    )
    sent = {one.name: one.value for group in forms.fields(FLOW).values() for one in group}
    sent |= {"recipe": FLOW.name, "dataset": str(frozen.pk), "cpus": "1", "gpus": "0"}
    return sent | changes


def test_an_error_in_a_folded_group_opens_it_and_is_linked_at_the_top(
    client: Client, ada: User, rosa: User, project: Project
) -> None:
    client.force_login(ada)
    sent = flow_typed(project, ada, rosa, **{"config.width": "1"})
    status, page = submit(client, project, sent)
    assert status == 422
    top, rest = page.split("data-run-form", 1)
    assert '<a href="#config-width">Width must be at least 16.</a>' in top
    assert rest.count("<details open>") == 1
    assert "1 changed: Width" in " ".join(rest.split())


def test_all_that_is_wrong_is_said_at_once(
    client: Client, ada: User, rosa: User, project: Project
) -> None:
    client.force_login(ada)
    changes = {"config.steps": "0", "gpus": "99", "name": "x" * 151, "start_from": "77"}
    _, page = submit(client, project, flow_typed(project, ada, rosa, **changes))
    top = page.split("data-run-form", 1)[0]
    for ident in ("id_name", "id_start_from", "id_gpus", "config-steps"):
        assert top.count(f'href="#{ident}"') == 1, ident


def test_an_error_of_pasted_yaml_leads_to_the_yaml(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    _, page = submit(client, project, typed() | {"yaml": "steps: 0\nseconds: 99"})
    assert page.count("Steps must be at least 1.") == 2
    assert '<a href="#id_yaml">' in page.split("data-run-form", 1)[0]
    assert 'href="#config-steps"' not in page


def test_every_error_of_pasted_yaml_is_a_line_of_its_own(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    _, page = submit(client, project, typed() | {"yaml": "steps: 0\nseconds: 99\nloud: 1"})
    wrong = ["Length must be at most 30.0.", "Steps must be at least 1.",
             "This recipe has no setting “loud”."]  # fmt: skip
    top = page.split("data-run-form", 1)[0]
    assert [top.count(f'<a href="#id_yaml">{text}</a>') for text in wrong] == [1, 1, 1]
    assert [page.count(f"<li>{text}</li>") for text in wrong] == [1, 1, 1]


def test_the_errors_of_the_machine_are_said_at_once_in_the_order_of_the_page(
    client: Client, ada: User, rosa: User, project: Project
) -> None:
    client.force_login(ada)
    changes = {"config.prompts": "", "cpus": "abc", "memory_gb": "0", "max_hours": "-1",
               "config.width": "1", "gpus": "9"}  # fmt: skip
    _, page = submit(client, project, flow_typed(project, ada, rosa, **changes))
    top = page.split("data-run-form", 1)[0]
    assert re.findall(r'<li><a href="#(.*?)"', top) == [
        "config-prompts", "id_gpus", "id_cpus", "id_memory_gb", "id_max_hours", "config-width",
    ]  # fmt: skip
    assert ">GPUs must be at most 8.</a>" in top
    assert ">Processor cores: Enter a whole number.</a>" in top


def test_the_title_of_a_page_says_that_something_is_wrong(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    _, page = submit(client, project, typed(steps="0"))
    assert "<title>Error: New run" in page


def test_a_page_that_nobody_sent_says_nothing_is_wrong(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    address = reverse("experiments:run_new", args=[project.slug]) + "?recipe=flow_matching"
    page = client.get(address).content.decode()
    assert "data-errors" not in page
    assert "<details open>" not in page
    assert "<title>New run" in page


def test_errors_of_machine_and_settings_are_said_in_one_round(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    typed = {"recipe": "flow_matching", "gpus": "99", "config.width": "-1"}
    address = reverse("experiments:run_submit", args=[project.slug])
    said = client.post(address, typed).content.decode()
    assert "must be at most 8" in said
    assert "must be at least 16" in said
