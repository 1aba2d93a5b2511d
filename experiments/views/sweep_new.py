"""A new sweep: what it would be, and its start. Its fields stand in the form of a new run."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from experiments import forms, recipes
from experiments.models import Project
from experiments.runs import runs
from experiments.sweeps import asked, offer, sweeps
from experiments.sweeps.sweeps import Wanted
from experiments.views import new
from experiments.views.access import requires_member
from portal.inputs import parameters
from portal.views import signed_in


class Filled:
    """The form of a run and a sweep as somebody has filled it in, and what is wrong with it."""

    def __init__(self, request: HttpRequest, project: Project) -> None:
        self.request, self.project, self.user = request, project, signed_in(request)
        self.typed = dict(parameters.posted_parameters(request).words(longest=new.MAX_TYPED))
        self.recipe = new.recipe_or_404(str(self.typed.get("recipe", "")))
        self.form = forms.RunForm(self.typed, project=project, recipe=self.recipe, by=self.user)
        self.sweep_form = asked.SweepForm(self.typed, prefix=asked.PREFIX)
        self.errors: dict[str, str] = {}
        self.extra: dict[str, Any] = {"yaml": self.typed.get("yaml", "")}

    def wanted(self) -> Wanted | None:
        """Return what is asked for; None where a field is wrong already. Raises BadYaml and
        ConfigInvalid."""
        pasted = str(self.typed.get("yaml", "")).strip()
        valid = self.form.is_valid()
        if pasted:
            config = forms.from_yaml(pasted)
            options = asked.from_mapping(config.pop("sweep", {}))
        else:
            rest, space = asked.split(self.recipe, self.typed)
            config = forms.read(self.recipe, rest)
            if not self.sweep_form.is_valid():
                return None
            options = self.sweep_form.options(space)
        if not valid:
            return None
        data = self.form.cleaned_data
        return asked.wanted(
            options, recipe=self.recipe.name, config=config, resources=self.form.resources,
            dataset=data["dataset"], start_from=data["start_from"], name=data["name"],
        )  # fmt: skip

    def refuse(self, refusal: recipes.ConfigInvalid) -> None:
        errors = self.form.add_resource_errors(refusal.errors)
        if self.extra["yaml"].strip():
            self.extra["yaml_errors"] = list(errors.values())
        else:
            self.errors = self.sweep_form.add_sweep_errors(errors)

    def page(self) -> HttpResponse:
        """Show the form again, with everything that was typed."""
        self.form.is_valid()
        return new.page(
            self.request, self.project, self.recipe, self.form,
            forms.fields(self.recipe, typed=self.typed, errors=self.errors),
            dataset=self.form.cleaned_data.get("dataset"),
            first=self.form.cleaned_data.get("start_from"),
            errors=self.errors, sweep_form=self.sweep_form, sweep_open=True, **self.extra,
        )  # fmt: skip


@require_POST
@requires_member
def sweep_offer(request: HttpRequest, project: Project) -> HttpResponse:
    """Show which runs the sweep would be and what they cost at most; nothing is started."""
    filled = Filled(request, project)
    try:
        if (wanted := filled.wanted()) is not None:
            plan = sweeps.check(by=filled.user, project=project, wanted=wanted)
            filled.extra["offer"] = offer.make_offer(plan, project)
    except forms.BadYaml as refusal:
        filled.extra["yaml_errors"] = [str(refusal)]
    except recipes.ConfigInvalid as refusal:
        filled.refuse(refusal)
    return filled.page()


@require_POST
@requires_member
def sweep_start(request: HttpRequest, project: Project) -> HttpResponse:
    """Start the sweep; on any refusal show the page again, with everything that was typed."""
    filled = Filled(request, project)
    try:
        if (wanted := filled.wanted()) is not None:
            return redirect(sweeps.start(by=filled.user, project=project, wanted=wanted))
    except forms.BadYaml as refusal:
        filled.extra["yaml_errors"] = [str(refusal)]
    except recipes.ConfigInvalid as refusal:
        filled.refuse(refusal)
    except runs.NotAllowed as refusal:
        filled.extra["refusals"] = refusal.refusals
    except runs.OverQuota as refusal:
        filled.extra["over_quota"] = refusal
    return filled.page()
