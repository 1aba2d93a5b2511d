"""One run: its header, and the acts on it. Its tabs are in `run_tabs.py`."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from experiments import recipes
from experiments.clearance import clearance, permission
from experiments.models import Project, Run
from experiments.models.cleared_scope import ClearedScope
from experiments.run_page import live, tabs
from experiments.runs import runs
from experiments.views.access import may_act, requires_member, requires_view
from portal.models import Role, User
from portal.views import signed_in


def visible_run(user: User, project: Project, number: int) -> Run:
    """Return the run with that number if the user may see it, else 404."""
    rows = Run.objects.visible_to(user).filter(project=project, number=number)
    run = rows.select_related(
        "project",
        "dataset",
        "submitted_by",
        "decision",
        "copied_from",
        "start_from__run__project",
    ).first()
    if run is None:
        raise Http404
    return run


def header(user: User, run: Run, *, tab: str = "") -> dict[str, object]:
    """Return what the run's header shows, on each tab and on a refusal."""
    allowed = may_act(user=user, project=run.project)
    from_portal = run.origin == Run.Origin.PORTAL
    retryable = run.state in {Run.State.FAILED, Run.State.CANCELLED}
    return {
        "project": run.project,
        "run": run,
        "now": live.read_moment(run),
        "tabs": tabs.labels(run, current=tab),
        "may_act": allowed,
        "may_cancel": allowed and run.is_open and run.state != Run.State.STOPPING,
        "may_retry": allowed and from_portal and retryable,
        "may_start_from": allowed and run.recipe == recipes.get("generate").reads,
        "may_fork": allowed and from_portal and _starts_from_itself(run),
        "may_copy": allowed and from_portal and run.recipe in recipes.RECIPES,
    }


def _starts_from_itself(run: Run) -> bool:
    """Return whether the run's recipe can go on from the weights that it saves."""
    recipe = recipes.RECIPES.get(run.recipe)
    return recipe is not None and recipe.weights == "may" and recipe.reads in {None, run.recipe}


@require_safe
@requires_view
def run_scope(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show what the run's checkpoints are licensed for now.

    Apart from the run's page, because everybody behind them is looked up anew.
    """
    user = signed_in(request)
    run = visible_run(user, project, number)
    scope = clearance.current_scope(run)
    context = {
        "project": project,
        "run": run,
        "lines": clearance.lines(scope, permission.context_of(project)),
        "free": scope.free,
        "unknown": scope.unknown,
        "kept": ClearedScope.objects.get(run=run),
        "may_name": may_act(user=user, project=project) or user.has_role(Role.RIGHTS_ADMIN),
    }
    return render(request, "experiments/run_scope.html", context)


@require_POST
@requires_member
def run_cancel(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    user = signed_in(request)
    run = visible_run(user, project, number)
    try:
        updated = runs.cancel(run=run, by=user)
    except runs.NotPossible as refusal:
        messages.error(request, str(refusal))
    else:
        stopping = updated.state == Run.State.STOPPING
        messages.info(request, "Asked to stop; it ends shortly." if stopping else "Cancelled.")
    return redirect(run)


@require_POST
@requires_member
def run_retry(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    user = signed_in(request)
    run = visible_run(user, project, number)
    try:
        runs.retry(run=run, by=user)
    except (runs.NotPossible, runs.OverQuota) as refusal:
        messages.error(request, str(refusal))
    except runs.NotAllowed as refusal:
        return refused(request, user, run, refusal)
    return redirect(run)


@require_POST
@requires_member
def run_rerun(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    user = signed_in(request)
    run = visible_run(user, project, number)
    try:
        return redirect(runs.rerun(run=run, by=user))
    except (
        runs.NotPossible, runs.OverQuota, recipes.ConfigInvalid, recipes.UnknownRecipe,
    ) as refusal:  # fmt: skip
        messages.error(request, str(refusal))
    except runs.NotAllowed as refusal:
        return refused(request, user, run, refusal)
    return redirect(run)


def refused(request: HttpRequest, user: User, run: Run, refusal: runs.NotAllowed) -> HttpResponse:
    """Show the refusal of consent, naming each recording, on a page of the run."""
    context = {**header(user, run), "refusals": refusal.refusals}
    return render(request, "experiments/not_allowed.html", context, status=409)
