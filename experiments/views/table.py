"""The run table of a project."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from experiments.models import Project
from experiments.run_table import table
from experiments.views.access import may_act, requires_view
from portal.inputs import parameters
from portal.views import signed_in


@require_safe
@requires_view
def runs(request: HttpRequest, project: Project) -> HttpResponse:
    """Show the run table, all set by its address: query, order, columns, page, selection."""
    user = signed_in(request)
    query = parameters.read_parameters(request)
    run_table = table.read(
        user=user,
        project=project,
        text=query.text("q", longest=parameters.LONGEST_VALUE),
        sort=query.text("sort"),
        columns=[key for value in query.texts("col") for key in value.split(",")],
        page=query.page(),
        archived=query.choice("archived", ("1",)) == "1",
    )
    context = {
        "project": project,
        "table": run_table,
        "selected": set(query.listed("select")),
        "may_act": may_act(user=user, project=project),
        "filtered": bool(run_table.text),
    }
    return render(request, "experiments/runs.html", context)
