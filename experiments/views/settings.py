"""A project's settings: its quotas, and what it takes of the cluster and of the lab's money."""

from django.contrib import messages
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from experiments import costs, quotas
from experiments.forms import QuotaForm
from experiments.models import Project, Run
from experiments.permission import NotPermitted
from experiments.views.access import looking
from portal import audit
from portal.views import signed_in

HISTORY = 20


@require_safe
@looking
def project_settings(request: HttpRequest, project: Project) -> HttpResponse:
    """What the project takes and has cost, and its quotas."""
    return _page(request, project, QuotaForm(initial=model_to_dict(project, QuotaForm.base_fields)))


@require_POST
@looking
def project_quotas(request: HttpRequest, project: Project) -> HttpResponse:
    """Set the quotas, as an owner of the project or an operator."""
    form = QuotaForm(request.POST)
    if not form.is_valid():
        return _page(request, project, form, status=422)
    try:
        quotas.change(by=signed_in(request), project=project, **form.cleaned_data)
    except NotPermitted as refusal:
        context = {"project": project, "sentence": str(refusal)}
        return render(request, "experiments/refused.html", context, status=403)
    messages.success(request, "The quotas are set.")
    return redirect("experiments:project_settings", project.slug)


def _page(
    request: HttpRequest, project: Project, form: QuotaForm, status: int = 200
) -> HttpResponse:
    listed = costs.prices()
    lines = audit.history(project).filter(verb="project.quota")
    context = {
        "project": project,
        "form": form,
        "may_change": quotas.may_change(signed_in(request), project),
        "cost": listed.sum(costs.of_project(project)) if listed else "",
        "gpus": quotas.busy_gpus().get(project.pk, 0),
        "gpu_hours": quotas.hours_taken(project),
        "open": project.runs.filter(state__in=Run.OPEN_STATES).count(),
        "history": lines[:HISTORY],
    }
    return render(request, "experiments/project_settings.html", context, status=status)
