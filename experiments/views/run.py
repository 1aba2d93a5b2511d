"""One run: its page, and the actions on it."""

from datetime import datetime

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from backline.configs import same
from experiments import forms, recipes
from experiments.clearance import attribution, clearance, permission
from experiments.deliveries import logs
from experiments.models import Project, Run
from experiments.models.cleared_scope import ClearedScope
from experiments.run_page import live, ranks
from experiments.run_table import compare
from experiments.runs import attempts as trying
from experiments.runs import cluster_events, costs, outside, runs
from experiments.runs.resources import Resources
from experiments.views.access import may_act, requires_member, requires_view
from portal import audit
from portal.models import Role, User
from portal.views import signed_in
from rights.usage import crediting

SYSTEM = "system/"
HISTORY = 100


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
        "sweep_trial__sweep__project",
    ).first()
    if run is None:
        raise Http404
    return run


def header(user: User, run: Run) -> dict[str, object]:
    """Return what the run's header shows, on its page and on a refusal."""
    allowed = may_act(user=user, project=run.project)
    from_portal = run.origin == Run.Origin.PORTAL
    retryable = run.state in {Run.State.FAILED, Run.State.CANCELLED}
    return {
        "project": run.project,
        "run": run,
        "now": live.read_moment(run),
        "may_act": allowed,
        "may_cancel": allowed and run.is_open and run.state != Run.State.STOPPING,
        "may_retry": allowed and from_portal and retryable,
        "may_start_from": allowed and run.recipe == recipes.get("generate").reads,
        "may_copy": allowed and from_portal and run.recipe in recipes.RECIPES,
    }


def _notes(run: Run) -> crediting.Notes | None:
    """Return whose music the run learned from, by name: the largest shares."""
    statement = attribution.statement(run, top=crediting.LISTED)
    return crediting.credit_notes(statement) if statement else None


def _config_changes(run: Run) -> list[tuple[datetime, list[tuple[str, object, object]]]]:
    """Return when its program has changed the config: names, and the values before and after."""
    changes = []
    for change in run.config_changes.all():
        before, after = compare.flat(change.before), compare.flat(change.after)
        names = [name for name in after if not same(after[name], before.get(name))]
        lines = [(name, before.get(name), after[name]) for name in names]
        lines += [(name, before[name], None) for name in before if name not in after]
        changes.append((change.at, lines))
    return changes


@require_safe
@requires_view
def run(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    user = signed_in(request)
    run = visible_run(user, project, number)
    series = list(run.series.order_by("name"))
    names = [s.name for s in series if not s.name.startswith(SYSTEM)]
    # In this order: the loss first, as in the charts.
    headlines = [compare.first_choice(names), *compare.controls(names)]
    by_name = {s.name: s for s in series}
    context = {
        **header(user, run),
        "summaries": [s for s in series if not s.name.startswith(SYSTEM)],
        "loss": compare.first_choice(names),
        "controls": compare.controls(names),
        "headlines": [by_name[name] for name in headlines if name in by_name],
        "others": names,
        "system": [s.name for s in series if s.name.startswith(SYSTEM)],
        "log_html": live.log_html(run),
        "settings": compare.flat(run.config),
        "config_yaml": forms.to_yaml(run.config),
        "config_changes": _config_changes(run),
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


def attempts(run: Run) -> dict[str, object]:
    """Return what run_attempts.html shows: the attempts, their cost, the cluster's events."""
    now, prices, requested = timezone.now(), costs.prices(), Resources.of(run)
    rows = list(run.attempts.select_related("run").order_by("number"))
    amounts = [costs.of_attempt(row, now, prices) for row in rows]
    from_portal = run.origin == Run.Origin.PORTAL
    return {
        "attempts": [
            (row, costs.occupied_time(row, now).total_seconds(), prices.format_amount(amount))
            for row, amount in zip(rows, amounts, strict=True)
        ],
        "tried": trying.describe_attempts(run, rows),
        "starts": [] if from_portal else outside.starts(run),
        "asked": requested,
        "hours": costs.hours(requested.max_hours),
        "cost": prices.format_amount(sum(amounts, costs.NOTHING)) if prices and from_portal else "",
        "at_most": f"at most {prices.format_amount(prices.at_most(requested))}",
        "timeline": cluster_events.timeline(run),
        "look": next((row.look for row in reversed(rows) if row.look), ""),
    }


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
