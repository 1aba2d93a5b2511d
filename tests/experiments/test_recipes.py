"""Recipes: every field explains itself, and a refused config says why beside the field."""

import pytest
from pydantic import BaseModel, ValidationError

from experiments import recipes
from rights.models import Use


def refused(name: str, data: dict[str, object]) -> dict[str, str]:
    with pytest.raises(recipes.ConfigInvalid) as refusal:
        recipes.validate(name, data)
    return refusal.value.errors


@pytest.mark.parametrize("recipe", recipes.RECIPES.values(), ids=lambda recipe: recipe.name)
def test_every_field_explains_itself(recipe: recipes.Recipe) -> None:
    properties = recipe.config.model_json_schema()["properties"]
    for name, field in recipe.config.model_fields.items():
        assert field.title, name
        assert field.description, name
        assert field.description.endswith("."), name
        assert properties[name]["group"], name
        assert not field.is_required(), name
        if properties[name].get("type") in {"integer", "number"}:
            assert "minimum" in properties[name], name
            assert "maximum" in properties[name], name


@pytest.mark.parametrize("recipe", recipes.RECIPES.values(), ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("truth", [True, False])
def test_a_boolean_is_no_number(recipe: recipes.Recipe, truth: bool) -> None:
    properties = recipe.config.model_json_schema()["properties"]
    kinds = {name: part.get("type") for name, part in properties.items()}
    numbers = {name for name, kind in kinds.items() if kind in {"integer", "number"}}
    errors = refused(recipe.name, dict.fromkeys(numbers, truth)) if numbers else {}
    assert errors.keys() == numbers
    assert all(text.endswith(("must be a whole number.", "must be a number."))
               for text in errors.values())  # fmt: skip


@pytest.mark.parametrize("recipe", recipes.RECIPES.values(), ids=lambda recipe: recipe.name)
def test_uses_are_the_rights_rooms_words(recipe: recipes.Recipe) -> None:
    assert recipe.use in {"", *Use}
    assert recipe.use or not recipe.needs_dataset
    if recipe.chooses_use:
        choice = recipe.config.model_json_schema()["properties"]["use"]["enum"]
        assert set(choice) <= set(Use)
        assert recipe.uses == tuple(choice)
    if recipe.name == "program":
        assert sorted(choice) == sorted(Use)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_defaults_hold_their_own_bounds_and_survive_json(name: str) -> None:
    config = recipes.validate(name, {})
    again = recipes.validate(name, config.model_dump(mode="json"))
    assert again == config
    with pytest.raises(ValidationError):
        config.seed = 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "field", "sentence"),
    [
        ({"steps": 0}, "steps", "Steps must be at least 1."),
        ({"steps": 10**9}, "steps", "Steps must be at most 200,000."),
        ({"steps": "many"}, "steps", "Steps must be a whole number."),
        ({"learning_rate": "nan"}, "learning_rate", "Learning rate must be a finite number."),
        ({"depth": 3}, "depth", "This recipe has no setting “depth”."),
        ({"precision": "fp8"}, "precision", "Precision must be one of: 'auto', 'bf16' or 'fp32'."),
        ({"width": 161}, "heads", "Attention heads must divide the width (161)."),
        ({"patch": 3}, "patch", "Frames per token must divide the clip length (128)."),
        ({"kernel": 8}, "kernel", "Convolution over time must be an odd number of frames."),
        ({"prompts": []}, "prompts", "Prompts needs at least 1."),
        (
            {"prompts": ["techno", "x" * 10_000]},
            "prompts",
            "Prompts may be 500 characters long each; number 2 has 10,000.",
        ),
        ({"prompts": ["a\x00b"]}, "prompts", "Prompts may not hold control characters (number 1)."),
        ({"prompts": [3]}, "prompts", "Prompts, number 1, is not valid: Input should be"),
    ],
)
def test_a_refused_field_gets_a_sentence(
    data: dict[str, object], field: str, sentence: str
) -> None:
    errors = refused("flow_matching", data)
    assert list(errors) == [field]
    assert errors[field].startswith(sentence)


def test_all_wrong_fields_are_named_at_once() -> None:
    assert set(refused("flow_matching", {"steps": -1, "ema": 2, "other": 1})) == {
        "steps",
        "ema",
        "other",
    }


def test_a_config_of_a_megabyte_is_refused_as_a_whole() -> None:
    errors = refused("flow_matching", {"prompts": ["x" * 1_000_000]})
    assert errors == {recipes.WHOLE: "The config is 977 kB long; at most 64 kB go."}


def test_a_config_that_is_no_mapping_is_refused() -> None:
    assert recipes.WHOLE in refused("flow_matching", [1, 2])  # type: ignore[arg-type]


def test_prompts_of_a_text_area_are_its_lines() -> None:
    config = recipes.validate("flow_matching", {"prompts": "techno\r\n\r\n  <b>waltz</b> \n"})
    assert isinstance(config, BaseModel)
    assert config.model_dump()["prompts"] == ["techno", "<b>waltz</b>"]


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(recipes.UnknownRecipe, match="flow_matching, generate, tone_check, program"):
        recipes.get("waveform")
