"""A project's settings: what it is for, its quotas, its use of the cluster and its cost."""

from django.conf import settings
from django.contrib import messages
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from experiments.clearance import project_scope as projects
from experiments.clearance.permission import NotPermitted
from experiments.forms import ProjectScopeForm, QuotaForm
from experiments.media import limits
from experiments.models import Project, Run
from experiments.runs import costs, quotas
from experiments.views.access import requires_view
from portal import audit
from portal.views import signed_in

HISTORY = 20


@require_safe
@requires_view
def project_settings(request: HttpRequest, project: Project) -> HttpResponse:
    """Show what the project is for, its use of the cluster, its cost and its quotas."""
    return _page(request, project)


@require_POST
@requires_view
def project_quotas(request: HttpRequest, project: Project) -> HttpResponse:
    """Set the quotas, as an owner of the project or an operator."""
    form = QuotaForm(request.POST)
    if not form.is_valid():
        return _page(request, project, form=form, status=422)
    try:
        quotas.change(by=signed_in(request), project=project, **form.cleaned_data)
    except NotPermitted as refusal:
        return _refused(request, project, refusal)
    messages.success(request, "The quotas are set.")
    return redirect("experiments:project_settings", project.slug)


@require_POST
@requires_view
def project_scope(request: HttpRequest, project: Project) -> HttpResponse:
    """Set the model version and the product that consent is asked for, as an owner."""
    form = ProjectScopeForm(request.POST)
    if not form.is_valid():
        return _page(request, project, scope_form=form, status=422)
    try:
        projects.rescope(by=signed_in(request), project=project, **form.cleaned_data)
    except NotPermitted as refusal:
        return _refused(request, project, refusal)
    messages.success(request, "Set. Runs that start from now on ask in this scope.")
    return redirect("experiments:project_settings", project.slug)


def _refused(request: HttpRequest, project: Project, refusal: NotPermitted) -> HttpResponse:
    context = {"project": project, "sentence": str(refusal)}
    return render(request, "experiments/refused.html", context, status=403)


def _page(
    request: HttpRequest,
    project: Project,
    *,
    form: QuotaForm | None = None,
    scope_form: ProjectScopeForm | None = None,
    status: int = 200,
) -> HttpResponse:
    prices = costs.prices()
    quota_changes = audit.history(project).filter(verb="project.quota")
    scope = model_to_dict(project, ProjectScopeForm.base_fields)
    context = {
        "project": project,
        "form": form or QuotaForm(initial=model_to_dict(project, QuotaForm.base_fields)),
        "scope_form": scope_form or ProjectScopeForm(initial=scope),
        "may_rescope": projects.may_change(signed_in(request), project),
        "rescoped": audit.history(project).filter(verb="project.scope")[:HISTORY],
        "may_change": quotas.may_change(signed_in(request), project),
        "cost": prices.format_amount(costs.of_project(project)) if prices else "",
        "gpus": quotas.busy_gpus().get(project.pk, 0),
        "gpu_hours": quotas.hours_taken(project),
        "open": project.runs.filter(state__in=Run.OPEN_STATES).count(),
        "media": limits.project_bytes(project),
        "media_limit": settings.MEDIA_PROJECT_BYTES,
        "history": quota_changes[:HISTORY],
    }
    return render(request, "experiments/project_settings.html", context, status=status)
