"""The sweeps of a project, the page of one, and what people do with it."""

from typing import Any, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from experiments import forms, recipes
from experiments.models import Project, Run, Sweep
from experiments.run_table import compare
from experiments.runs import costs
from experiments.sweeps import asked, page, sweeps
from experiments.sweeps import trials as trial_rows
from experiments.views.access import may_act, requires_member, requires_view
from portal.inputs import parameters
from portal.models import User
from portal.views import signed_in

PAGE = 50


def visible_sweep(user: User, project: Project, number: int) -> Sweep:
    """Return the sweep with that number if the user may see it, else 404."""
    rows = Sweep.objects.visible_to(user).filter(project=project, number=number)
    sweep = rows.select_related(
        "project", "submitted_by", "dataset", "start_from__run", "decision"
    ).first()
    if sweep is None:
        raise Http404
    return sweep


@require_safe
@requires_view
def sweeps_list(request: HttpRequest, project: Project) -> HttpResponse:
    """List the sweeps of the project, newest first."""
    user = signed_in(request)
    rows = Sweep.objects.visible_to(user).filter(project=project).select_related("submitted_by")
    number = parameters.read_parameters(request).page()
    listed = Paginator(rows, PAGE).get_page(number)
    context = {
        "project": project,
        "rows": page.summaries(list(listed)),
        "page": listed,
        "may_act": may_act(user=user, project=project),
    }
    return render(request, "experiments/sweeps.html", context)


@require_safe
@requires_view
def sweep(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    user = signed_in(request)
    return _page(request, user, visible_sweep(user, project, number))


def _page(
    request: HttpRequest, user: User, sweep: Sweep, form: asked.BudgetForm | None = None
) -> HttpResponse:
    """Show the page of a sweep; with the form of its budget, if that was sent and is wrong."""
    acts = may_act(user=user, project=sweep.project)
    everything = "all" in parameters.read_parameters(request)
    shown = page.read(sweep, timezone.now(), everything=everything)
    drawn = [run.number for row in shown.rows if (run := row.trial.run) and run.deleted_at is None]
    context = {
        "project": sweep.project,
        "sweep": sweep,
        "shown": shown,
        "numbers": ",".join(map(str, drawn[-page.MAX_CURVES :])),
        "left_out": max(len(drawn) - page.MAX_CURVES, 0),
        "unlisted": len(shown.rows) - len(shown.listed),
        "metric": page.drawn_metric(shown.objectives),
        "config_yaml": forms.to_yaml(sweep.config),
        "may_act": acts,
        "may_resume": acts and sweep.state in {
            Sweep.State.PAUSED, Sweep.State.STOPPED, Sweep.State.FAILED
        } and len(shown.rows) < sweep.max_trials,
        "may_change": acts and sweep.state != Sweep.State.WITHHELD,
        "form": form or asked.BudgetForm(initial=asked.budget_of(sweep)),
        "prices": bool(costs.prices()),
    }  # fmt: skip
    status = 422 if form is not None else 200
    return render(request, "experiments/sweep.html", context, status=status)


@require_safe
@requires_view
def sweep_curves(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Return the curves of `?name=loss` of the newest trials as JSON for the chart."""
    user = signed_in(request)
    found = visible_sweep(user, project, number)
    name = parameters.read_parameters(request).text("name")
    rows = Run.objects.visible_to(user).filter(sweep_trial__sweep=found)
    rows = rows.select_related("submitted_by", "dataset")
    newest = rows.order_by("-sweep_trial__number").select_related("sweep_trial")
    drawn = list(newest[: page.MAX_CURVES])[::-1]
    trials = {run.number: f"trial {run.sweep_trial.number}" for run in drawn}
    curves = [
        {**trace, "label": trials.get(cast("int", trace["run"]))}
        for trace in compare.traces(drawn, name)
    ]
    return JsonResponse({"name": name, "curves": curves})


def _act(request: HttpRequest, project: Project, number: int, act: Any) -> HttpResponse:
    """Do one act of this module's verbs and go back to the page, with its refusal in words."""
    user = signed_in(request)
    found = visible_sweep(user, project, number)
    try:
        act(sweep=found, by=user)
    except sweeps.NotPossible as refusal:
        messages.error(request, str(refusal))
    return redirect(found)


@require_POST
@requires_member
def sweep_stop(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    return _act(request, project, number, sweeps.stop)


@require_POST
@requires_member
def sweep_pause(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    return _act(request, project, number, sweeps.pause)


@require_POST
@requires_member
def sweep_resume(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    return _act(request, project, number, sweeps.resume)


@require_POST
@requires_member
def sweep_trial_stop(
    request: HttpRequest, project: Project, number: int, trial: int
) -> HttpResponse:
    user = signed_in(request)
    found = visible_sweep(user, project, number)
    row = next((row for row in trial_rows.read(found) if row.number == trial), None)
    if row is None:
        raise Http404
    try:
        sweeps.stop_trial(trial=row, by=user)
    except sweeps.NotPossible as refusal:
        messages.error(request, str(refusal))
    else:
        messages.info(request, f"Trial {trial} was asked to stop.")
    return redirect(found)


@require_POST
@requires_member
def sweep_budget(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Change how much it may take; on a refusal show the page with what was typed."""
    user = signed_in(request)
    found = visible_sweep(user, project, number)
    form = asked.BudgetForm(request.POST)
    if form.is_valid():
        try:
            sweeps.change_budget(sweep=found, by=user, budget=form.budget())
        except sweeps.NotPossible as refusal:
            form.add_error(None, str(refusal))
        except recipes.ConfigInvalid as refusal:
            for key, text in form.add_sweep_errors(refusal.errors).items():
                form.add_error(None, f"{key}: {text}")
        else:
            messages.info(request, "The budget is changed.")
            return redirect(found)
    return _page(request, user, found, form)
