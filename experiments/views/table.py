"""The run table of a project: its page, and the same runs as a file."""

from collections.abc import Iterator, Sequence

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from experiments.models import Project, RunView
from experiments.run_table import (
    export,
    fields,
    group_table,
    layout,
    query,
    saved_views,
    table,
)
from experiments.run_table.layout import Column, Layout
from experiments.run_table.links import Links
from experiments.runs import bulk
from experiments.views.access import may_act, requires_view
from portal.inputs import parameters
from portal.inputs.parameters import Parameters
from portal.models import User
from portal.views import signed_in

# What is done with the chosen runs, in this order.
ACTS = ("tag", "untag", "archive", "cancel", "delete")
CSV = "text/csv; charset=utf-8"
PARQUET = "application/vnd.apache.parquet"


@require_safe
@requires_view
def runs(request: HttpRequest, project: Project) -> HttpResponse:
    """Show the run table, all set by its address: query, order, columns, groups, page, choice."""
    user, asked = signed_in(request), parameters.read_parameters(request)
    view, current = chosen_layout(user, project, asked)
    pk = view.pk if view else None
    reads = group_table.read if current.groups else table.read
    shown = reads(user=user, project=project, layout=current, page=asked.page(), view=pk)
    links = Links(current, pk)
    context = {
        "project": project,
        "table": shown,
        "layout": current,
        "links": links,
        "terms": links.parts(),
        "wrong": links.wrong(shown.error) if shown.error else None,
        "hints": links.hints(shown.offered) if not (shown.rows or shown.error) else [],
        "rows_alone": links.rows_alone(shown.columns, asked.page()),
        "view": view,
        "changed": view is not None and saved_views.layout_of(view) != current,
        "may_delete_view": view is not None and saved_views.may_delete(user=user, view=view),
        "views": saved_views.visible(user=user, project=project),
        "selected": set(asked.listed("select")),
        "acts": [(act, bulk.WORDS[act][0]) for act in ACTS],
        "may_act": may_act(user=user, project=project),
    }
    return render(request, "experiments/runs.html", context)


@require_safe
@requires_view
def runs_groupings(request: HttpRequest, project: Project) -> HttpResponse:
    """Show what the runs can be grouped by: as a part of the table's page or by itself."""
    user, asked = signed_in(request), parameters.read_parameters(request)
    view, current = chosen_layout(user, project, asked)
    links = Links(current, view.pk if view else None)
    context = {
        "project": project,
        "layout": current,
        "links": links,
        "groupable": links.grouped_by(fields.catalogue(project)),
    }
    part = "experiments/run_table/groupings.html"
    whole = "experiments/runs_groupings.html"
    return render(request, part if request.headers.get("HX-Request") else whole, context)


@require_safe
@requires_view
def runs_columns(request: HttpRequest, project: Project) -> HttpResponse:
    """Show which columns there are, to choose from: as a part of the table's page or by itself."""
    user, asked = signed_in(request), parameters.read_parameters(request)
    view, current = chosen_layout(user, project, asked)
    offered = table.offer_columns(project)
    columns = current.columns or table.usual_columns(offered)
    keys = {column.key for column in columns}
    context = {
        "project": project,
        "layout": current,
        "links": Links(current, view.pk if view else None),
        "view": view,
        "shown": [fields.find(column.key) for column in columns],
        "offered": [offer for offer in offered if offer.key not in keys],
    }
    part = "experiments/run_table/columns.html"
    whole = "experiments/runs_columns.html"
    return render(request, part if request.headers.get("HX-Request") else whole, context)


@require_safe
@requires_view
def runs_csv(request: HttpRequest, project: Project) -> HttpResponseBase:
    """Send the runs that the address finds as CSV; `select` names some of them alone."""
    try:
        numbers, columns = _wanted(request, project)
    except query.BadQuery as error:
        return _unreadable(error)
    lines: Iterator[str] = export.as_csv(project, numbers, columns)
    return _attached(StreamingHttpResponse(lines, content_type=CSV), project, "csv")


@require_safe
@requires_view
def runs_parquet(request: HttpRequest, project: Project) -> HttpResponseBase:
    """Send the same as a Parquet file."""
    try:
        numbers, columns = _wanted(request, project)
    except query.BadQuery as error:
        return _unreadable(error)
    body = export.as_parquet(project, numbers, columns)
    return _attached(HttpResponse(body, content_type=PARQUET), project, "parquet")


def _wanted(request: HttpRequest, project: Project) -> tuple[list[int], Sequence[Column]]:
    user, asked = signed_in(request), parameters.read_parameters(request)
    _, current = chosen_layout(user, project, asked)
    rows = table.find(user=user, project=project, layout=current)
    if chosen := [parameters.number(word) for word in asked.listed("select")]:
        rows = rows.filter(number__in=[number for number in chosen if number])
    numbers = list(fields.ordered(rows, current.sort).values_list("number", flat=True))
    return numbers, current.columns or table.usual_columns(fields.catalogue(project))


def _unreadable(error: query.BadQuery) -> HttpResponse:
    return HttpResponse(str(error), status=422, content_type="text/plain; charset=utf-8")


def _attached(response: HttpResponseBase, project: Project, ending: str) -> HttpResponseBase:
    name = f"{project.slug}-runs-{timezone.now():%Y-%m-%d}.{ending}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def chosen_layout(user: User, project: Project, asked: Parameters) -> tuple[RunView | None, Layout]:
    """Return the view that an address names, and the layout: what stands in the address, else the
    view's, else that of the view that the person sees first."""
    view = None
    if pk := asked.number("view"):
        view = RunView.objects.visible_to(user, project).filter(pk=pk).first()
    if any(name in asked for name in layout.NAMES):
        return view, Layout.from_parameters(asked)
    if view is None and asked.text("view") != layout.STANDARD:
        view = saved_views.first(user=user, project=project)
    return view, saved_views.layout_of(view) if view else Layout()
