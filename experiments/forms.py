"""The config form of a recipe, made from its pydantic model, and the config as YAML."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from django import forms
from django.db.models import QuerySet

from backline import bounds, config_files
from experiments import recipes
from experiments.clearance import project_scope
from experiments.models import Checkpoint, Dataset, Project
from experiments.runs import initial_weights
from experiments.runs import resources as machines
from experiments.runs.resources import Resources
from portal.inputs.forms import Form
from portal.models import User
from rights.models import Use
from rights.models.vocabulary import use_choices

MAX_YAML = recipes.MAX_BYTES
# Sets the names of config fields apart from the page's own: a recipe may have a field "name".
PREFIX = "config."


class BadYaml(ValueError):
    """The pasted text is not a config; the message says where it goes wrong."""

    code = "bad_yaml"


@dataclass
class ConfigField:
    """One setting: what the page shows, what was typed and what was wrong with it."""

    key: str
    title: str
    help: str
    kind: str
    value: str
    step: str = "any"
    minimum: str = ""
    maximum: str = ""
    # Value and label.
    choices: list[tuple[str, str]] = field(default_factory=list)
    error: str = ""
    # Whether it is one of the few that are changed first: those are always in sight.
    first: bool = False
    default: str = ""

    @property
    def name(self) -> str:
        return PREFIX + self.key

    @property
    def ident(self) -> str:
        return "config-" + self.key.replace(".", "-")

    @property
    def bounds(self) -> str:
        """The bounds in words: "1 to 256"."""
        if self.minimum and self.maximum:
            return f"{self.minimum} to {self.maximum}"
        if self.minimum:
            return f"at least {self.minimum}"
        return f"at most {self.maximum}" if self.maximum else ""

    @property
    def changed(self) -> bool:
        """Whether it says something else than the recipe's default: 2e-3 is 0.002."""
        if self.kind == "number":
            return _number(self.value) != _number(self.default)
        return _plain(self.value) != _plain(self.default)


@dataclass
class Group:
    """Settings under one heading, folded until somebody looks for one of them."""

    title: str
    fields: list[ConfigField]

    @property
    def changed(self) -> list[ConfigField]:
        return [field for field in self.fields if field.changed]

    @property
    def wrong(self) -> bool:
        return any(field.error for field in self.fields)


def fields(
    recipe: recipes.Recipe,
    *,
    values: Mapping[str, Any] | None = None,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> dict[str, list[ConfigField]]:
    """Return a recipe's settings by group, with what was typed, else `values`, else defaults."""
    schema = recipe.config.model_json_schema()
    groups: dict[str, list[ConfigField]] = {}
    for key, part in _flat(schema, schema, ""):
        given = _value_at(values, key) if values is not None else None
        field = _field(key, part, part.get("default"))
        field.default = field.value
        if given is not None:
            field.value = _field(key, part, given).value
        if typed is not None:
            missing = "" if field.kind == "checkbox" else field.value
            field.value = typed.get(field.name, missing)
        field.error = (errors or {}).get(key, "")
        groups.setdefault(str(part.get("group", "Settings")), []).append(field)
    return groups


def arrange(
    groups: Mapping[str, list[ConfigField]],
) -> tuple[list[ConfigField], list[Group]]:
    """Return the settings that stay in sight, and the rest by group.

    Which come first, the recipe's model says. Where it names none, all stay in sight.
    """
    every = [field for fields in groups.values() for field in fields]
    first = [field for field in every if field.first] or every
    rest = [
        Group(title, [field for field in fields if field not in first])
        for title, fields in groups.items()
    ]
    return first, [group for group in rest if group.fields]


def read(recipe: recipes.Recipe, typed: Mapping[str, str]) -> dict[str, Any]:
    """Return what was typed as data for the recipe's model; text that is no number stays text.

    A name that the form does not have stays in, so that the model refuses it by name.
    """
    schema = recipe.config.model_json_schema()
    kinds = dict(_flat(schema, schema, ""))
    data: dict[str, Any] = {}
    for key, part in kinds.items():
        if part.get("type") == "boolean":
            _put(data, key, PREFIX + key in typed)
    for name, text in typed.items():
        if not name.startswith(PREFIX):
            continue
        key = name.removeprefix(PREFIX)
        if key not in kinds:
            data[key] = text
        elif kinds[key].get("type") != "boolean" and (text.strip() or _is_text(kinds[key])):
            _put(data, key, _typed(text, kinds[key]))
    return data


def from_yaml(text: str) -> dict[str, Any]:
    """Return a pasted config as data; raises BadYaml."""
    size = len(text.encode())
    if size > MAX_YAML:
        raise BadYaml(f"The text is {size / 1024:,.0f} kB long; at most {MAX_YAML // 1024} kB go.")
    try:
        # A config has no use for aliases.
        data = config_files.load(text, aliases=False)
    except config_files.BadYaml as error:
        raise BadYaml(str(error)) from None
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise BadYaml("A config is a list of names with values, one “name: value” per line.")
    try:
        bounds.check_json(data, "The config")
    except bounds.NotStorable as error:
        raise BadYaml(str(error)) from None
    return data


def to_yaml(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)


def _flat(
    part: dict[str, Any], root: dict[str, Any], path: str
) -> list[tuple[str, dict[str, Any]]]:
    """Return a JSON schema's leaves by dotted name; a nested model's title is their group."""
    leaves: list[tuple[str, dict[str, Any]]] = []
    for name, spec in part.get("properties", {}).items():
        target = {**_resolved(spec, root), **{k: v for k, v in spec.items() if k != "$ref"}}
        if "properties" in target:
            group = target.get("title", name)
            inner = _flat(target, root, f"{path}{name}.")
            leaves += [(key, {"group": group, **leaf}) for key, leaf in inner]
        else:
            leaves.append((path + name, target))
    return leaves


def _resolved(part: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference; in a choice with null take the other branch."""
    if "$ref" in part:
        target: dict[str, Any] = root["$defs"][part["$ref"].rsplit("/", 1)[-1]]
        return target
    for branch in part.get("anyOf", []):
        if branch.get("type") != "null":
            return _resolved(branch, root)
    return part


def _field(key: str, part: dict[str, Any], value: Any) -> ConfigField:
    title = str(part.get("title", key))
    text_value = WRITERS.get(str(part.get("widget", "")), _text)(value)
    field = ConfigField(key, title, str(part.get("description", "")), "text", text_value)
    field.first = bool(part.get("first"))
    kind = part.get("type")
    if "enum" in part:
        labels = part.get("labels", {})
        field.kind = "select"
        field.choices = [(text, labels.get(text, text)) for text in map(_text, part["enum"])]
    elif kind == "boolean":
        field.kind, field.value = "checkbox", "on" if value else ""
    elif kind in {"integer", "number"}:
        field.kind, field.step = "number", "1" if kind == "integer" else "any"
        field.minimum = _text(part.get("minimum", part.get("exclusiveMinimum")))
        field.maximum = _text(part.get("maximum", part.get("exclusiveMaximum")))
    elif part.get("widget") == "command":
        field.kind = "text"
    elif kind in {"array", "object"} or part.get("widget") == "textarea":
        field.kind = "textarea"
    return field


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(_text(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return yaml.safe_dump(value).strip() if isinstance(value, dict) else str(value)


def _line(value: Any) -> str:
    """Join words with the quotes that a shell needs."""
    return shlex.join(map(str, value)) if isinstance(value, list) else _text(value)


def _pairs(value: Any) -> str:
    """Write one NAME=value per line."""
    if isinstance(value, Mapping):
        return "\n".join(f"{name}={_text(item)}" for name, item in value.items())
    return _text(value)


# How the value of these widgets is written for the form; the recipe's model reads it back.
WRITERS: dict[str, Callable[[Any], str]] = {"command": _line, "pairs": _pairs}


def _is_text(part: dict[str, Any]) -> bool:
    return part.get("type") in {"string", "array"}


def _typed(text: str, part: dict[str, Any]) -> Any:
    if part.get("widget") in WRITERS:
        return text
    match part.get("type"):
        case "integer" | "number":
            return _number(text)
        case "array":
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            inner = part.get("items", {})
            return (
                [_number(x) for x in lines] if inner.get("type") in {"integer", "number"} else lines
            )
    return text.replace("\r\n", "\n")


def _number(text: str) -> int | float | str:
    """Return the number, or the text as it is: the recipe's model says what is wrong with it."""
    text = text.strip()
    for make in (int, float):
        try:
            return make(text)
        except ValueError:
            continue
    return text


def _plain(text: str) -> str:
    """Return the text as it is compared: browsers send line ends of two characters."""
    return text.replace("\r\n", "\n").strip()


def _value_at(values: Mapping[str, Any] | None, key: str) -> Any:
    value: Any = values
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _put(data: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for part in parents:
        data = data.setdefault(part, {})
    data[last] = value


def datasets_for(recipe: recipes.Recipe, project: Project) -> QuerySet[Dataset]:
    """Return the datasets frozen for a use that this recipe has or may choose by its config; none
    that is retired."""
    return project.datasets.usable().filter(use__in=recipe.uses)


class RunForm(Form):
    """What a run needs beside its config: a name, a dataset, weights, and cluster resources."""

    name = forms.CharField(max_length=150, required=False, help_text="Empty: the recipe's name.")
    dataset = forms.ModelChoiceField(Dataset.objects.none(), required=False)
    start_from = forms.ModelChoiceField(Checkpoint.objects.none(), required=False)
    gpus = forms.IntegerField()
    gpu_type = forms.ChoiceField(required=False)
    nodes = forms.IntegerField()
    cpus = forms.IntegerField()
    memory_gb = forms.IntegerField()
    max_hours = forms.FloatField()

    def __init__(
        self, *args: Any, project: Project, recipe: recipes.Recipe, by: User, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.by = by
        weights_field = self.fields["start_from"]
        assert isinstance(weights_field, forms.ModelChoiceField)  # noqa: S101 - declared above.
        weights_field.queryset = initial_weights.choices(by, recipe)
        weights_field.error_messages["invalid_choice"] = (
            "There is no such checkpoint that you may use."
        )
        dataset_field = self.fields["dataset"]
        assert isinstance(dataset_field, forms.ModelChoiceField)  # noqa: S101 - declared above.
        dataset_field.queryset = datasets_for(recipe, project)
        dataset_field.error_messages["invalid_choice"] = (
            "Choose one of this project's datasets that is not retired."
        )
        gpu_type_field = self.fields["gpu_type"]
        assert isinstance(gpu_type_field, forms.ChoiceField)  # noqa: S101 - declared above.
        gpu_type_field.choices = [
            ("", machines.ANY),
            *((name, name) for name in machines.gpu_types()),
        ]
        for name, info in Resources.model_fields.items():
            form_field = self.fields[name]
            form_field.label = info.title
            form_field.help_text = f"{info.description} {machines.bounds(name)}".strip()
            form_field.initial = info.default
            # A browser that leaves a field out gets the default; bounds and their sentences are
            # those of Resources.
            form_field.required = False

    def add_resource_errors(self, errors: Mapping[str, str]) -> dict[str, str]:
        """Add the errors of the resources to their fields; return the other errors."""
        other_errors = {}
        for key, text in errors.items():
            name = key.removeprefix("resources.")
            if name != key and name in self.fields:
                self.add_error(name, text)
            else:
                other_errors[key] = text
        return other_errors

    @property
    def machine(self) -> list[forms.BoundField]:
        """The fields of the group "Machine"."""
        return [self[name] for name in self.fields if name in Resources.model_fields]

    @property
    def resources(self) -> dict[str, Any]:
        """The resources that were typed, without those left out."""
        typed = {name: self.cleaned_data.get(name) for name in Resources.model_fields}
        return {name: value for name, value in typed.items() if value is not None}


class QuotaForm(Form):
    """What a project may use of the cluster; empty is no limit."""

    gpu_quota = forms.IntegerField(
        label="GPUs at once",
        required=False,
        min_value=0,
        max_value=100_000,
        help_text="Runs beyond it wait. Empty: no limit.",
    )
    gpu_hour_quota = forms.IntegerField(
        label="GPU-hours",
        required=False,
        min_value=0,
        max_value=10_000_000,
        help_text="What runs and waits together may take at most. Empty: no limit.",
    )
    background = forms.BooleanField(
        label="In the background",
        required=False,
        help_text="Its runs start one at a time, and only while no other run waits or works.",
    )


class ProjectScopeForm(Form):
    """For which model version and product the project asks consent."""

    model_version = forms.IntegerField(
        min_value=1,
        max_value=project_scope.LAST_VERSION,
        help_text="Of the family. Permissions may be for certain versions alone.",
    )
    product = forms.CharField(
        max_length=100,
        required=False,
        help_text="Empty: none is named, so permissions for certain products do not count.",
    )


class DatasetForm(Form):
    """A name, a use, and the search that picked the recordings."""

    name = forms.CharField(max_length=100)
    use = forms.ChoiceField(choices=use_choices, initial=Use.TRAIN_GENERATIVE)
    # Take all that the search returns, not only those that were shown and chosen.
    everything = forms.BooleanField(required=False)
