"""A new run: recipe, dataset, config, resources, queue."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from experiments import forms, recipes
from experiments.clearance import clearance, permission
from experiments.models import Checkpoint, Dataset, DatasetItem, Project, Run
from experiments.runs import costs, forks, initial_weights, quotas, resources, runs
from experiments.runs.resources import Resources
from experiments.views.access import requires_member
from experiments.views.run import header, visible_run
from portal.inputs import parameters, problems
from portal.inputs.problems import Problem
from portal.machine import separation
from portal.models import User
from portal.views import signed_in

# Recordings left out of the dataset that are shown beside the form.
LEFT_OUT_SHOWN = 50

CHECKPOINTS_SHOWN = 100
# Longer than a valid config, so that one that is too long is shown again with its error.
MAX_TYPED = 64 * recipes.MAX_BYTES
# Errors with these keys are not about a setting, so YAML in place of the settings cannot mend them.
BESIDE_SETTINGS = ("dataset", "start_from", recipes.WHOLE)


@require_safe
@requires_member
def run_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Show the choice of recipes, or the form of the chosen recipe."""
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
    query = parameters.read_parameters(request)
    sets = forms.datasets_for(recipe, project)
    dataset = sets.filter(pk=query.number("dataset") or 0).first()
    if recipe.needs_dataset:
        dataset = dataset or sets.order_by("-frozen_at").first()
    checkpoint = _chosen_checkpoint(signed_in(request), recipe, query.number("start_from"))
    initial = {"dataset": dataset, "start_from": checkpoint}
    form = forms.RunForm(project=project, recipe=recipe, by=signed_in(request), initial=initial)
    # Weights fit one network shape, so the form starts with the settings of these weights.
    shape = initial_weights.shape(checkpoint) if checkpoint and recipe.needs_dataset else {}
    groups = forms.fields(recipe, values=shape)
    return _page(request, project, recipe, form, groups, dataset=dataset, first=checkpoint)


@require_safe
@requires_member
def run_duplicate(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show the form for a new run, filled in like this run."""
    source = visible_run(signed_in(request), project, number)
    recipe = _recipe(source.recipe)
    # The checkpoint at which it is forked: a copy that goes on from there, with its curves.
    wanted = parameters.read_parameters(request).number("fork")
    fork = source.checkpoints.startable().filter(pk=wanted).first() if wanted else None
    initial = {
        "name": source.name, "dataset": source.dataset, "start_from": fork or source.start_from,
        **source.resources,
    }  # fmt: skip
    form = forms.RunForm(project=project, recipe=recipe, by=signed_in(request), initial=initial)
    groups = forms.fields(recipe, values=source.submitted_config)
    return _page(
        request, project, recipe, form, groups, dataset=source.dataset,
        source=None if fork else source, first=fork or source.start_from, fork=fork is not None,
    )  # fmt: skip


@require_safe
@requires_member
def run_fork(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Lead to the form of a fork at the newest checkpoint at or before `?step=`."""
    user = signed_in(request)
    source = visible_run(user, project, number)
    step = parameters.read_parameters(request).number("step")
    checkpoint = forks.nearest_checkpoint(source, forks.last_step(source) if step is None else step)
    if checkpoint is not None and header(user, source)["may_fork"]:
        address = reverse("experiments:run_duplicate", args=[project.slug, number])
        return redirect(f"{address}?fork={checkpoint.pk}")
    messages.error(
        request,
        f"Run {number} has no checkpoint at or before that step from which a run may start.",
    )
    return redirect("experiments:run_checkpoints", project.slug, number)


@require_safe
@requires_member
def run_estimate(request: HttpRequest, project: Project) -> HttpResponse:
    """Show the maximum cost of the typed resources, while the form is being filled in."""
    typed = dict(parameters.read_parameters(request).words())
    values = {name: typed[name] for name in Resources.model_fields if typed.get(name)}
    return render(request, "experiments/run_estimate.html", estimate(project, values))


def estimate(project: Project, values: Mapping[str, Any]) -> dict[str, object]:
    """Return what run_estimate.html shows of these resources: cost, quota left, or errors."""
    try:
        requested = resources.read(values)
    except recipes.ConfigInvalid as refusal:
        return {"errors": list(refusal.errors.values())}
    sentence = costs.estimate(requested, costs.prices())
    return {"estimate": sentence, "left": quotas.remaining_hours_sentence(project, requested)}


@require_POST
@requires_member
def run_submit(request: HttpRequest, project: Project) -> HttpResponse:
    """Queue the run; on any refusal show the page again, with everything that was typed."""
    user = signed_in(request)
    typed = dict(parameters.posted_parameters(request).words(longest=MAX_TYPED))
    recipe = _recipe(str(typed.get("recipe", "")))
    copied_from = parameters.posted_parameters(request).number("copied_from")
    source = visible_run(user, project, copied_from) if copied_from is not None else None
    fork = parameters.posted_parameters(request).number("fork") == 1
    form = forms.RunForm(typed, project=project, recipe=recipe, by=user)
    extra: dict[str, Any] = {"source": source, "fork": fork, "yaml": typed.get("yaml", "")}
    errors: dict[str, str] = {}
    pasted = str(typed.get("yaml", "")).strip()
    try:
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
                fork=fork,
            )
            return redirect(run)
        # The form is wrong already: report the errors of the config together with its own.
        recipes.validate(recipe.name, config)
    except forms.BadYaml as refusal:
        extra["yaml_errors"] = [str(refusal)]
    except recipes.ConfigInvalid as refusal:
        errors = form.add_resource_errors(refusal.errors)
        if pasted:
            # What was pasted is used instead of the settings: it has to be mended, not they.
            of_config, errors = _apart(errors)
            extra["yaml_errors"] = list(of_config.values())
    except runs.NotAllowed as refusal:
        extra["refusals"] = refusal.refusals
    except runs.OverQuota as refusal:
        extra["over_quota"] = refusal
    form.is_valid()
    form.add_resource_errors(_resource_errors(form))
    dataset = form.cleaned_data.get("dataset")
    groups = forms.fields(recipe, typed=typed, errors=errors)
    checkpoint = form.cleaned_data.get("start_from")
    return _page(
        request,
        project,
        recipe,
        form,
        groups,
        dataset=dataset,
        first=checkpoint,
        errors=errors,
        **extra,
    )


def _apart(errors: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the errors of the settings, and those of what is chosen beside them."""
    beside = {name: text for name, text in errors.items() if name in BESIDE_SETTINGS}
    return {name: text for name, text in errors.items() if name not in beside}, beside


def _typed_resources(form: forms.RunForm) -> dict[str, object]:
    """Return the resources as typed in the form, valid or not."""
    values = {name: form[name].value() for name in Resources.model_fields}
    return {name: value for name, value in values.items() if value not in (None, "")}


def _resource_errors(form: forms.RunForm) -> dict[str, str]:
    """Return what is wrong with the typed resources, so that all is said at once."""
    try:
        resources.read(_typed_resources(form))
    except recipes.ConfigInvalid as refusal:
        known = {f"resources.{name}" for name in form.errors}
        return {key: text for key, text in refusal.errors.items() if key not in known}
    return {}


def _chosen_checkpoint(user: User, recipe: recipes.Recipe, number: int | None) -> Checkpoint | None:
    """Return the checkpoint with that number if the user may start such a run from it."""
    if number is None or recipe.weights == "none":
        return None
    return initial_weights.choices(user, recipe).filter(pk=number).first()


def _initial_weights_context(
    project: Project, recipe: recipes.Recipe, form: forms.RunForm, checkpoint: Checkpoint | None
) -> dict[str, object]:
    """Return the checkpoints to choose from, and what the chosen one is licensed for."""
    if recipe.weights == "none":
        return {}
    every = initial_weights.choices(form.by, recipe)
    shown = list(every.startable()[:CHECKPOINTS_SHOWN])
    if checkpoint is not None and checkpoint not in shown:
        shown.append(checkpoint)
    context: dict[str, object] = {
        "weights": shown,
        "first": checkpoint,
        "weights_withheld": not shown and every.exists() and not every.usable().exists(),
    }
    if checkpoint is not None:
        scope = clearance.of_weights(checkpoint)
        context["lines"] = clearance.lines(scope, permission.context_of(project))
        context["free"] = scope.free
        context["shape"] = initial_weights.shape(checkpoint) if recipe.needs_dataset else {}
        context["why_not"] = permission.why_not_start_from(
            checkpoint,
            project,
            recipe=recipe.name,
            use=initial_weights.fitting_use(checkpoint, recipe),
        )
    return context


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
    **extra: Any,
) -> HttpResponse:
    errors = errors or {}
    first_settings, folded = forms.arrange(groups)
    items = dataset.items if dataset else DatasetItem.objects.none()
    left_out = items.filter(included=False).select_related("recording")
    context = {
        "project": project,
        "recipe": recipe,
        "form": form,
        "first_settings": first_settings,
        "groups": folded,
        "dataset": dataset,
        "datasets": forms.datasets_for(recipe, project),
        "retired": project.datasets.filter(use__in=recipe.uses, status=Dataset.Status.RETIRED),
        "included": items.filter(included=True).count(),
        "left_out": left_out[:LEFT_OUT_SHOWN],
        "left_out_count": left_out.count(),
        "source": source,
        "separation": separation.words() if recipe.own else "",
        "refused": separation.why_not() if recipe.own else "",
        "dataset_error": errors.get("dataset", ""),
        "start_error": errors.get("start_from", ""),
        **_initial_weights_context(project, recipe, form, first),
        "problems": _problems(form, first_settings, folded, errors, extra),
        **estimate(project, _typed_resources(form)),
        **extra,
    }
    context["wrong"] = bool(context["problems"] or extra.get("refusals"))
    status = 422 if context["wrong"] else 200
    return render(request, "experiments/run_new.html", context, status=status)


def _problems(
    form: forms.RunForm,
    first_settings: list[forms.ConfigField],
    folded: list[forms.Group],
    errors: Mapping[str, str],
    extra: Mapping[str, Any],
) -> list[Problem]:
    """Return all that is wrong, in the order of the page; what belongs to no field comes first."""
    known = {field.key for field in first_settings} | {"dataset", "start_from"}
    known |= {field.key for group in folded for field in group.fields}
    return [
        *(Problem(text) for key, text in errors.items() if key not in known),
        *problems.of_whole(form),
        *problems.of_fields(form, ["name"]),
        *_of_choice(form, "start_from", errors),
        *_of_choice(form, "dataset", errors),
        *_of_settings(first_settings),
        *problems.of_fields(form, [one.name for one in form.machine]),
        *(
            Problem(f"Not queued: {refusal}", "id_gpus")
            for refusal in filter(None, [extra.get("over_quota")])
        ),
        *(problem for group in folded for problem in _of_settings(group.fields)),
        *(Problem(text, "id_yaml") for text in extra.get("yaml_errors", [])),
    ]


def _of_choice(form: forms.RunForm, name: str, errors: Mapping[str, str]) -> list[Problem]:
    """Return what is wrong with the dataset or the weights: for the run, then as such."""
    return [
        *(Problem(text, f"id_{name}") for text in filter(None, [errors.get(name)])),
        *problems.of_fields(form, [name]),
    ]


def _of_settings(settings: list[forms.ConfigField]) -> list[Problem]:
    return [Problem(field.error, field.ident) for field in settings if field.error]
