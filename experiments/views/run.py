"""One run: its page, and what one may do to it."""

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from experiments import forms, recipes
from experiments.clearance import attribution, clearance, permission
from experiments.deliveries import logs
from experiments.models import Project, Run
from experiments.models.cleared_scope import ClearedScope
from experiments.run_page import live, ranks
from experiments.run_table import compare
from experiments.runs import attempts as trying
from experiments.runs import cluster_events, costs, runs
from experiments.runs.resources import Resources
from experiments.views.access import acting, looking, may_act
from portal import audit
from portal.models import Role, User
from portal.views import signed_in
from rights.usage import crediting

SYSTEM = "system/"
HISTORY = 100


def visible_run(user: User, project: Project, number: int) -> Run:
    """The run of that number if this person may see it, else 404."""
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


def header(user: User, run: Run) -> dict[str, object]:
    """What the run's header shows, on its page and on a refusal."""
    allowed = may_act(user=user, project=run.project)
    portal = run.origin == Run.Origin.PORTAL
    retried = run.state in {Run.State.FAILED, Run.State.CANCELLED}
    return {
        "project": run.project,
        "run": run,
        "now": live.moment(run),
        "may_act": allowed,
        "may_cancel": allowed and run.is_open and run.state != Run.State.STOPPING,
        "may_retry": allowed and portal and retried,
        "may_start_from": allowed and run.recipe == recipes.get("generate").reads,
        "may_copy": allowed and portal and run.recipe in recipes.RECIPES,
    }


def _notes(run: Run) -> crediting.Notes | None:
    """Whose music it learned from, with names: the greatest shares."""
    statement = attribution.statement(run, top=crediting.LISTED)
    return crediting.notes(statement) if statement else None


@require_safe
@looking
def run(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    user = signed_in(request)
    run = visible_run(user, project, number)
    series = list(run.series.order_by("name"))
    names = [s.name for s in series if not s.name.startswith(SYSTEM)]
    context = {
        **header(user, run),
        "summaries": [s for s in series if not s.name.startswith(SYSTEM)],
        "loss": compare.first_choice(names),
        "controls": compare.controls(names),
        "others": names,
        "system": [s.name for s in series if s.name.startswith(SYSTEM)],
        "log_text": live.log_text(run),
        "settings": compare.flat(run.config),
        "config_yaml": forms.to_yaml(run.config),
        "notes": _notes(run),
        "checkpoints": run.checkpoints.select_related("blob"),
        "startable": set(run.checkpoints.startable().values_list("pk", flat=True)),
        "ranks": logs.ranks(run),
        "rank_rows": ranks.ranks_in(series),
        "kept": settings.CHECKPOINTS_KEPT,
        **attempts(run),
        "history": audit.history(run)[:HISTORY],
    }
    return render(request, "experiments/run.html", context)


@require_safe
@looking
def run_scope(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """What the run's checkpoints are cleared for now; apart, because everybody behind them is
    asked anew."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    cleared = clearance.current_scope(run)
    context = {
        "project": project,
        "run": run,
        "lines": clearance.lines(cleared, permission.context_of(project)),
        "free": cleared.free,
        "unknown": cleared.unknown,
        "kept": ClearedScope.objects.get(run=run),
        "may_name": may_act(user=user, project=project) or user.has_role(Role.RIGHTS_ADMIN),
    }
    return render(request, "experiments/run_scope.html", context)


def attempts(run: Run) -> dict[str, object]:
    """What run_attempts.html shows: how the tries went, what they cost, what the cluster said."""
    now, listed, asked = timezone.now(), costs.prices(), Resources.of(run)
    rows = list(run.attempts.select_related("run").order_by("number"))
    sums = [costs.of_attempt(row, now, listed) for row in rows]
    portal = run.origin == Run.Origin.PORTAL
    return {
        "attempts": [
            (row, costs.taken(row, now).total_seconds(), listed.sum(paid))
            for row, paid in zip(rows, sums, strict=True)
        ],
        "tried": trying.in_words(run, rows),
        "asked": asked,
        "hours": costs.hours(asked.max_hours),
        "cost": listed.sum(sum(sums, costs.NOTHING)) if listed and portal else "",
        "at_most": f"at most {listed.sum(listed.at_most(asked))}",
        "timeline": cluster_events.timeline(run),
        "look": next((row.look for row in reversed(rows) if row.look), ""),
    }


@require_POST
@acting
def run_cancel(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    user = signed_in(request)
    run = visible_run(user, project, number)
    try:
        done = runs.cancel(run=run, by=user)
    except runs.NotPossible as refusal:
        messages.error(request, str(refusal))
    else:
        asked = done.state == Run.State.STOPPING
        messages.info(request, "Asked to stop; it ends shortly." if asked else "Cancelled.")
    return redirect(run)


@require_POST
@acting
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
@acting
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
    """The refusal of consent, naming each recording, on a page of the run."""
    context = {**header(user, run), "refusals": refusal.refusals}
    return render(request, "experiments/not_allowed.html", context, status=409)
