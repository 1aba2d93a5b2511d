"""The form of a new run: made from the recipe's model, and nothing that was typed is lost."""

import contextlib

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
