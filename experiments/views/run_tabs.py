"""The tabs of a run's page, one view each. Acts on the run are in `run.py`, its log in `log.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from backline.configs import same
from experiments import forms
from experiments.clearance import attribution
from experiments.models import Attempt, Checkpoint, ModelPage, Project, Run, Series
from experiments.reports import reports
from experiments.run_page import live, overview, ranks, tabs
from experiments.run_table import compare
from experiments.runs import attempts as trying
from experiments.runs import cluster_events, costs, forks, outside
from experiments.runs.resources import Resources
from experiments.views.access import requires_view
from experiments.views.run import header, visible_run
from portal import audit
from portal.inputs import parameters
from portal.models import User
from portal.views import signed_in
from rights.usage import crediting

HISTORY = 100
# Charts of one page, and rows of its table of metrics; what is beyond them is found by a word.
MAX_CHARTS = 60
MAX_ROWS = 1_000
MAX_SEARCH = 200
# Of those that name the run.
MAX_REPORTS = 5
# Runs that went on from this one's checkpoints, listed.
MAX_DESCENDANTS = 100


@dataclass(frozen=True)
class Section:
    """Metrics of one page that begin with the same word, such as `train/`."""

    title: str
    names: list[str]


@require_safe
@requires_view
def run(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show the overview: state, main figures, loss, first samples, what was set, the last lines."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    series = list(run.series.exclude(name__startswith=tabs.SYSTEM).order_by("name"))
    names = [one.name for one in series]
    chosen = overview.settings(run)
    context = {
        **header(user, run, tab="overview"),
        "loss": compare.first_choice(names),
        "controls": compare.controls(names)[: overview.FIGURES],
        "headlines": overview.headlines(series),
        "others": names,
        "log_html": live.log_html(run),
        "changed": [one for one in chosen if one.changed],
        "settings_count": len(chosen),
        "parent": forks.visible_parent(run, user),
        "reports": list(reports.naming(run, user)[:MAX_REPORTS]),
        **expenses(run, list(run.attempts.select_related("run").order_by("number"))),
    }
    return render(request, "experiments/run/overview.html", context)


@require_safe
@requires_view
def charts(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show every metric as a chart and as a row; `?q=` finds some of many by a word."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    text = parameters.read_parameters(request).text("q")[:MAX_SEARCH]
    rows = run.series.exclude(name__startswith=tabs.SYSTEM)
    found = list((rows.filter(name__icontains=text) if text else rows).order_by("name"))
    names = [one.name for one in found]
    first = [compare.first_choice(names), *compare.controls(names)] if names else []
    context = {**header(user, run, tab="charts"), "text": text, **_charted(found, first)}
    return render(request, "experiments/run/charts.html", context)


@require_safe
@requires_view
def system(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show what the run used of its machines, and its processes side by side."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    text = parameters.read_parameters(request).text("q")[:MAX_SEARCH]
    rows = run.series.filter(name__startswith=tabs.SYSTEM)
    found = list((rows.filter(name__icontains=text) if text else rows).order_by("name"))
    context = {
        **header(user, run, tab="system"),
        "text": text,
        "rank_rows": ranks.ranks_in(found),
        **_charted(found, []),
    }
    return render(request, "experiments/run/system.html", context)


def _charted(series: Sequence[Series], first: Sequence[str]) -> dict[str, object]:
    """Return the metrics in sections, `first` before the others, and how many are not drawn."""
    names = [one.name for one in series]
    ordered = [*first, *(name for name in names if name not in first)][:MAX_CHARTS]
    sections: dict[str, Section] = {}
    for name in ordered:
        title = "Loss and control" if name in first else _prefix(name)
        sections.setdefault(title, Section(title, [])).names.append(name)
    return {
        "found": len(series),
        "drawn": len(ordered),
        "sections": list(sections.values()),
        "summaries": series[:MAX_ROWS],
        "rows_left_out": max(0, len(series) - MAX_ROWS),
    }


def _prefix(name: str) -> str:
    """Return the section of a metric: what stands before its last slash."""
    if not name.startswith(tabs.SYSTEM):
        return name.rpartition("/")[0] or "Others"
    return name.removeprefix(tabs.SYSTEM).rpartition("/")[0] or "Machine"


@require_safe
@requires_view
def samples(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    user = signed_in(request)
    run = visible_run(user, project, number)
    return render(request, "experiments/run/samples.html", header(user, run, tab="samples"))


@require_safe
@requires_view
def config(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show the settings, what its program has changed in them, and the machine it asked for."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    chosen = overview.settings(run)
    context = {
        **header(user, run, tab="config"),
        "changed": [one for one in chosen if one.changed],
        "unchanged": [one for one in chosen if not one.changed],
        "config_yaml": forms.to_yaml(run.config),
        "config_changes": _config_changes(run),
    }
    return render(request, "experiments/run/config.html", context)


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
def data(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show what the run learned from, whom to credit, and what it may be used for."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    statement = attribution.statement(run, top=crediting.LISTED)
    context = {
        **header(user, run, tab="data"),
        "origin": visible_origin(user, run),
        "notes": crediting.credit_notes(statement) if statement else None,
    }
    return render(request, "experiments/run/data.html", context)


def visible_origin(user: User, run: Run) -> Checkpoint | None:
    """Return the checkpoint that the run started from, if the person may see what made it."""
    checkpoint = run.start_from
    if checkpoint is None or not Run.objects.visible_to(user).filter(pk=checkpoint.run_id).exists():
        return None
    return checkpoint


@require_safe
@requires_view
def checkpoints(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show the weights that the run saved, where it started from, and what came of them."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    later = Run.objects.visible_to(user).filter(Q(start_from__run=run) | Q(forked_from=run))
    pages = ModelPage.objects.visible_to(user).filter(run=run)
    context = {
        **header(user, run, tab="checkpoints"),
        "origin": visible_origin(user, run),
        "parent": forks.visible_parent(run, user),
        "last_step": forks.last_step(run),
        "checkpoints": run.checkpoints.select_related("blob"),
        "startable": set(run.checkpoints.startable().values_list("pk", flat=True)),
        "kept": settings.CHECKPOINTS_KEPT,
        "later": later.select_related("project", "start_from").order_by("-queued_at")[
            : MAX_DESCENDANTS + 1
        ],
        "most_later": MAX_DESCENDANTS,
        "pages": pages.select_related("checkpoint", "project").distinct(),
    }
    return render(request, "experiments/run/checkpoints.html", context)


@require_safe
@requires_view
def attempts(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show how each attempt went, what the cluster said, and what people did with the run."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    rows = list(run.attempts.select_related("run").order_by("number"))
    from_portal = run.origin == Run.Origin.PORTAL
    context = {
        **header(user, run, tab="attempts"),
        **expenses(run, rows),
        "tried": trying.describe_attempts(run, rows),
        "starts": [] if from_portal else outside.starts(run),
        "timeline": cluster_events.timeline(run),
        "look": next((row.look for row in reversed(rows) if row.look), ""),
        "history": audit.history(run)[:HISTORY],
    }
    return render(request, "experiments/run/attempts.html", context)


def expenses(run: Run, rows: Sequence[Attempt]) -> dict[str, object]:
    """Return what the run has asked for and what each attempt has cost, with its sum."""
    now, prices, requested = timezone.now(), costs.prices(), Resources.of(run)
    amounts = [costs.of_attempt(row, now, prices) for row in rows]
    from_portal = run.origin == Run.Origin.PORTAL
    return {
        "attempts": [
            (row, costs.occupied_time(row, now).total_seconds(), prices.format_amount(amount))
            for row, amount in zip(rows, amounts, strict=True)
        ],
        "asked": requested,
        "hours": costs.hours(requested.max_hours),
        "cost": prices.format_amount(sum(amounts, costs.NOTHING)) if prices and from_portal else "",
        "at_most": f"at most {prices.format_amount(prices.at_most(requested))}",
    }
