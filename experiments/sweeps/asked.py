"""How somebody asks for a sweep: in the fields of a form, or as `sweep:` of YAML and the API.

In a number's field "0.001, 0.002" is a list, "1e-4 .. 1e-2" a range, "1e-4 .. 1e-2 log" one on a
log scale and "8 .. 64 step 8" one with steps.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from pydantic import ValidationError

from backline import wire
from experiments import forms as config_forms
from experiments import recipes
from experiments.models import Checkpoint, Dataset, Sweep
from experiments.runs import costs
from experiments.sweeps import pruning
from experiments.sweeps.space import WHOLE
from experiments.sweeps.sweeps import MAX_PARALLEL, MAX_TRIALS, Budget, Wanted
from portal.inputs.forms import Form

PREFIX = "sweep"
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
RANGE = re.compile(
    rf"\s*(?P<min>{NUMBER})\s*(?:\.\.|…)\s*(?P<max>{NUMBER})"
    rf"(?:\s+(?:(?P<log>log)|step\s+(?P<step>{NUMBER})))?\s*"
)
LIST = re.compile(rf"\s*{NUMBER}\s*(?:[,;]\s*{NUMBER}\s*)+,?\s*")
DATALIST = "sweep-metrics"


def split(
    recipe: recipes.Recipe, typed: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what was typed without the settings that have several values, and those as a space."""
    rest, space = dict(typed), dict[str, Any]()
    for group in config_forms.fields(recipe).values():
        for field in group:
            if field.kind == "number" and (spec := several(typed.get(field.name, ""))) is not None:
                space[field.key] = spec
                del rest[field.name]
    return rest, space


def is_sweep(recipe: recipes.Recipe, typed: Mapping[str, str]) -> bool:
    """Whether a form asks for several values of a setting, in its fields or in its YAML."""
    pasted = str(typed.get("yaml", "")).strip()
    if not pasted:
        more = str(typed.get(f"{PREFIX}-space", "")).strip()
        return bool(more or split(recipe, typed)[1])
    try:
        return "sweep" in config_forms.from_yaml(pasted)
    except config_forms.BadYaml:
        return False


def several(text: str) -> list[int | float] | dict[str, Any] | None:
    """Return the list or the range that a text is; None for a single number and for all else."""
    if LIST.fullmatch(text):
        return [_number(part) for part in re.findall(NUMBER, text)]
    match = RANGE.fullmatch(text)
    if match is None:
        return None
    spec: dict[str, Any] = {"min": _number(match["min"]), "max": _number(match["max"])}
    if match["log"]:
        spec["log"] = True
    if match["step"]:
        spec["step"] = _number(match["step"])
    return spec


def _number(text: str) -> int | float:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


class BudgetForm(Form):
    """How much a sweep may take."""

    trials = forms.IntegerField(
        label="Trials at most", required=False, min_value=1, max_value=MAX_TRIALS,
        help_text="Empty: the whole grid, or 20.",
    )  # fmt: skip
    parallel = forms.IntegerField(
        label="At once", required=False, min_value=1, max_value=MAX_PARALLEL, initial=2
    )
    hours = forms.FloatField(
        label="Hours in all", required=False, min_value=0.01, max_value=1e6,
        help_text="Of GPUs, or of machines without any. Used up, they stop all of it.",
    )  # fmt: skip
    cost = forms.DecimalField(
        label="Cost in all", required=False, min_value=Decimal("0.01"), max_digits=12,
        decimal_places=2,
    )  # fmt: skip
    failures = forms.IntegerField(
        label="Failures in a row", required=False, min_value=1, max_value=MAX_TRIALS, initial=3,
        help_text="So many stop the sweep.",
    )  # fmt: skip

    def budget(self) -> Budget:
        data = {name: value for name, value in self.cleaned_data.items() if value is not None}
        return Budget(**data)

    def add_sweep_errors(self, errors: Mapping[str, str]) -> dict[str, str]:
        """Add the errors of the sweep to their fields; return the other errors."""
        other = {}
        for key, text in errors.items():
            name = key.removeprefix(f"{WHOLE}.")
            if name != key and name in self.fields:
                self.add_error(name, text)
            else:
                other[key] = text
        return other


class SweepForm(BudgetForm):
    """What a sweep needs beside a run: for what, how, and how much of it."""

    objective = forms.CharField(
        label="Metric", max_length=200, initial="loss",
        widget=forms.TextInput(attrs={"list": DATALIST, "autocomplete": "off"}),
        help_text="As its runs log it. Several between commas: the best compromises are shown.",
    )  # fmt: skip
    goal = forms.ChoiceField(
        label="Goal",
        initial="minimize",
        choices=[("minimize", "as small as possible"), ("maximize", "as large as possible")],
    )
    reading = forms.ChoiceField(
        label="Which of its values",
        initial="last",
        choices=[("last", "the last"), ("min", "the smallest"), ("max", "the largest")],
    )
    method = forms.ChoiceField(
        label="Method", required=False,
        choices=[("", "Grid if small, else TPE"), *Sweep.Method.choices],
    )  # fmt: skip
    pruning = forms.ChoiceField(
        label="Stop bad trials early", required=False,
        choices=[("", "No"), *pruning.RULES.items()],
    )  # fmt: skip
    first = forms.IntegerField(label="First look at step", required=False, min_value=1, initial=10)
    factor = forms.IntegerField(
        label="One in so many goes on", required=False, min_value=2, max_value=100, initial=3,
        help_text="ASHA and Hyperband.",
    )  # fmt: skip
    every = forms.IntegerField(
        label="Steps between looks", required=False, min_value=1, initial=10, help_text="Median."
    )
    most = forms.IntegerField(
        label="Steps of a whole trial", required=False, min_value=1, help_text="Hyperband."
    )
    seed = forms.IntegerField(
        label="Seed of the sweep", required=False, min_value=0, initial=1,
        help_text="The same seed suggests the same trials.",
    )  # fmt: skip
    space = forms.CharField(
        label="More settings to try, as YAML", required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "mono"}),
        help_text=(
            "One setting per line: name: [first, second], or name: {min: 1, max: 9, log: true}. "
            "Of an own program also env.NAME and --option."
        ),
    )  # fmt: skip

    @property
    def shown(self) -> list[forms.BoundField]:
        """The fields in their order on the page, but for the longest."""
        names = (
            "objective", "goal", "reading", "method", "trials", "parallel", "hours", "cost",
            "pruning", "first", "factor", "every", "most", "failures", "seed",
        )  # fmt: skip
        priced = bool(costs.prices())
        return [self[name] for name in names if name != "cost" or priced]

    def clean_space(self) -> dict[str, Any]:
        text = self.cleaned_data["space"]
        if not text:
            return {}
        try:
            return config_forms.from_yaml(text)
        except config_forms.BadYaml as refusal:
            raise forms.ValidationError(str(refusal)) from None

    def options(self, space: Mapping[str, Any]) -> wire.SweepOptions:
        """Return what was asked for, with the settings that have several values in their fields."""
        data = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        metrics = [name.strip() for name in data["objective"].split(",") if name.strip()]
        objective = [
            {"metric": name, "goal": data["goal"], "reading": data["reading"]} for name in metrics
        ]
        rule = None
        if data.get("pruning"):
            names = {"median": ("first", "every"), "asha": ("first", "factor")}.get(
                data["pruning"], ("first", "factor", "most")
            )
            rule = {"rule": data["pruning"], **{n: data[n] for n in names if n in data}}
        limits = ("method", "trials", "parallel", "hours", "failures", "seed")
        return wire.SweepOptions(
            space={**space, **data.get("space", {})}, objective=objective, pruning=rule,
            cost=float(data["cost"]) if "cost" in data else None,
            **{name: data[name] for name in limits if name in data},
        )  # fmt: skip


def from_mapping(data: object) -> wire.SweepOptions:
    """Return the options that YAML has under `sweep:`; raise recipes.ConfigInvalid."""
    try:
        return wire.SweepOptions.model_validate(data)
    except ValidationError as refusal:
        error = refusal.errors(include_url=False)[0]
        name = str(error["loc"][0])[:40] if error["loc"] else ""
        if error["type"] == "extra_forbidden":
            known = ", ".join(wire.SweepOptions.model_fields)
            sentence = f"A sweep has no “{name}”. Known are: {known}."
        else:
            sentence = f"The sweep's {name} is not valid: {error['msg']}."
        raise recipes.ConfigInvalid({WHOLE: sentence}) from None


def wanted(
    options: wire.SweepOptions,
    *,
    recipe: str,
    config: Mapping[str, Any],
    resources: Mapping[str, Any],
    dataset: Dataset | None,
    start_from: Checkpoint | None,
    name: str,
) -> Wanted:
    """Return the sweep of these options, of a run of these."""
    budget = Budget(
        trials=options.trials, parallel=options.parallel, hours=options.hours,
        cost=Decimal(str(options.cost)) if options.cost is not None else None,
        failures=options.failures,
    )  # fmt: skip
    return Wanted(
        recipe=recipe, config=config, space=options.space, objective=options.objective,
        method=options.method, pruning=options.pruning, seed=options.seed, budget=budget,
        dataset=dataset, resources=resources, start_from=start_from, name=name,
    )  # fmt: skip


def budget_of(sweep: Sweep) -> dict[str, Any]:
    """Return the first values of a form that changes the budget."""
    return {
        "trials": sweep.max_trials, "parallel": sweep.parallel, "hours": sweep.max_hours,
        "cost": sweep.max_cost, "failures": sweep.max_failures,
    }  # fmt: skip
