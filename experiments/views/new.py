"""A new run: recipe, dataset, config, resources, queue."""

from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from experiments import forms, recipes
from experiments.clearance import clearance, permission
from experiments.models import Checkpoint, Dataset, DatasetItem, Project, Run
from experiments.runs import costs, initial_weights, quotas, resources, runs
from experiments.runs.resources import Resources
from experiments.views.access import acting
from experiments.views.run import visible_run
from portal.inputs import parameters
from portal.machine import separation
from portal.models import User
from portal.views import signed_in

# Of what a dataset left out, beside the form.
LEFT_OUT_SHOWN = 50

CHECKPOINTS_SHOWN = 100
# A pasted config that is too long is shown again, with what is wrong with it.
MAX_TYPED = 64 * recipes.MAX_BYTES


@require_safe
@acting
def run_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Without a recipe the choice of one; with it the form."""
    name = parameters.read_parameters(request).text("recipe")
    if not name:
        return render(
            request,
            "experiments/recipes.html",
            {
                "project": project,
                "recipes": recipes.RECIPES.values(),
                "no_own": separation.why_not(),
            },
        )
    recipe = _recipe(name)
    asked = parameters.read_parameters(request)
    sets = forms.datasets_for(recipe, project)
    dataset = sets.filter(pk=asked.number("dataset") or 0).first()
    if recipe.needs_dataset:
        dataset = dataset or sets.order_by("-frozen_at").first()
    first = _chosen(signed_in(request), recipe, asked.number("start_from"))
    initial = {"dataset": dataset, "start_from": first}
    form = forms.RunForm(project=project, recipe=recipe, by=signed_in(request), initial=initial)
    # Weights fit one shape of network: a form with some has their settings.
    shape = initial_weights.shape(first) if first and recipe.needs_dataset else {}
    groups = forms.fields(recipe, values=shape)
    return _page(request, project, recipe, form, groups, dataset=dataset, first=first)


@require_safe
@acting
def run_duplicate(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """The form of a new run, filled in as this one was."""
    source = visible_run(signed_in(request), project, number)
    recipe = _recipe(source.recipe)
    initial = {
        "name": source.name, "dataset": source.dataset, "start_from": source.start_from,
        **source.resources,
    }  # fmt: skip
    form = forms.RunForm(project=project, recipe=recipe, by=signed_in(request), initial=initial)
    groups = forms.fields(recipe, values=source.config)
    return _page(
        request, project, recipe, form, groups, dataset=source.dataset, source=source,
        first=source.start_from,
    )  # fmt: skip


@require_safe
@acting
def run_estimate(request: HttpRequest, project: Project) -> HttpResponse:
    """What the machine that was typed costs at most; asked for while the form is filled in."""
    typed = dict(parameters.read_parameters(request).words())
    wanted = {name: typed[name] for name in Resources.model_fields if typed.get(name)}
    return render(request, "experiments/run_estimate.html", estimate(project, wanted))


def estimate(project: Project, wanted: Mapping[str, Any]) -> dict[str, object]:
    """What run_estimate.html says of these resources: the money, the hours, or what is wrong."""
    try:
        asked = resources.read(wanted)
    except recipes.ConfigInvalid as refusal:
        return {"errors": list(refusal.errors.values())}
    words = costs.estimate(asked, costs.prices())
    return {"estimate": words, "left": quotas.left_words(project, asked)}


@require_POST
@acting
def run_submit(request: HttpRequest, project: Project) -> HttpResponse:
    """Queue it; on any refusal the same page again, with everything that was typed."""
    user = signed_in(request)
    typed = dict(parameters.sent(request).words(longest=MAX_TYPED))
    recipe = _recipe(str(typed.get("recipe", "")))
    copied = parameters.sent(request).number("copied_from")
    source = visible_run(user, project, copied) if copied is not None else None
    form = forms.RunForm(typed, project=project, recipe=recipe, by=user)
    said: dict[str, Any] = {"source": source, "yaml": typed.get("yaml", "")}
    errors: dict[str, str] = {}
    try:
        pasted = str(typed.get("yaml", "")).strip()
        config = forms.from_yaml(pasted) if pasted else forms.read(recipe, typed)
        if form.is_valid():
            data = form.cleaned_data
            run = runs.submit(
                by=user,
                project=project,
                recipe=recipe.name,
                config=config,
                dataset=data["dataset"],
                resources=form.resources,
                name=data["name"],
                copied_from=source,
                start_from=data["start_from"],
            )
            return redirect(run)
        # What is wrong with the config is said beside what is wrong with the rest.
        recipes.validate(recipe.name, config)
    except forms.BadYaml as refusal:
        said["yaml_error"] = str(refusal)
    except recipes.ConfigInvalid as refusal:
        errors = form.take(refusal.errors)
    except runs.NotAllowed as refusal:
        said["refusals"] = refusal.refusals
    except runs.OverQuota as refusal:
        said["over_quota"] = refusal
    form.is_valid()
    dataset = form.cleaned_data.get("dataset")
    groups = forms.fields(recipe, typed=typed, errors=errors)
    first = form.cleaned_data.get("start_from")
    return _page(
        request, project, recipe, form, groups, dataset=dataset, first=first, errors=errors, **said
    )


def _typed_resources(form: forms.RunForm) -> dict[str, object]:
    """The resources as they stand in the form, whatever is wrong with them."""
    values = {name: form[name].value() for name in Resources.model_fields}
    return {name: value for name, value in values.items() if value not in (None, "")}


def _chosen(user: User, recipe: recipes.Recipe, asked: int | None) -> Checkpoint | None:
    """The checkpoint of that number, if this person may begin such a run with it."""
    if asked is None or recipe.weights == "none":
        return None
    return initial_weights.choices(user, recipe).filter(pk=asked).first()


def _beginning(
    project: Project, recipe: recipes.Recipe, form: forms.RunForm, first: Checkpoint | None
) -> dict[str, object]:
    """The checkpoints to choose from, and what the chosen one is cleared for."""
    if recipe.weights == "none":
        return {}
    rows = initial_weights.choices(form.by, recipe).startable()
    shown = list(rows[:CHECKPOINTS_SHOWN])
    if first is not None and first not in shown:
        shown.append(first)
    found: dict[str, object] = {"weights": shown, "first": first}
    if first is not None:
        cleared = clearance.of_weights(first)
        found["lines"] = clearance.lines(cleared, permission.context_of(project))
        found["free"] = cleared.free
        found["shape"] = initial_weights.shape(first) if recipe.needs_dataset else {}
        found["why_not"] = permission.why_not_start_from(
            first, project, recipe=recipe.name, use=initial_weights.fitting_use(first, recipe)
        )
    return found


def _recipe(name: str) -> recipes.Recipe:
    try:
        return recipes.get(name)
    except recipes.UnknownRecipe as refusal:
        raise Http404(str(refusal)) from None


def _page(
    request: HttpRequest,
    project: Project,
    recipe: recipes.Recipe,
    form: forms.RunForm,
    groups: dict[str, list[forms.ConfigField]],
    *,
    dataset: Dataset | None,
    first: Checkpoint | None = None,
    source: Run | None = None,
    errors: dict[str, str] | None = None,
    **said: Any,
) -> HttpResponse:
    errors = errors or {}
    beside = {field.key for group in groups.values() for field in group}
    items = dataset.items if dataset else DatasetItem.objects.none()
    left_out = items.filter(included=False).select_related("recording")
    context = {
        "project": project,
        "recipe": recipe,
        "form": form,
        "groups": groups.items(),
        "dataset": dataset,
        "datasets": forms.datasets_for(recipe, project),
        "included": items.filter(included=True).count(),
        "left_out": left_out[:LEFT_OUT_SHOWN],
        "left_out_count": left_out.count(),
        "source": source,
        "separation": separation.words() if recipe.own else "",
        "refused": separation.why_not() if recipe.own else "",
        "dataset_error": errors.get("dataset", ""),
        "start_error": errors.get("start_from", ""),
        "whole": [
            text for key, text in errors.items() if key not in beside | {"dataset", "start_from"}
        ],
        **_beginning(project, recipe, form, first),
        "wrong": bool(
            errors
            or form.errors
            or said.get("yaml_error")
            or said.keys() & {"refusals", "over_quota"}
        ),
        **estimate(project, _typed_resources(form)),
        **said,
    }
    status = 422 if context["wrong"] else 200
    return render(request, "experiments/run_new.html", context, status=status)
