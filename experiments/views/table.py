"""The run table of a project."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from experiments.models import Project
from experiments.run_table import table
from experiments.views.access import looking, may_act
from portal.inputs import parameters
from portal.views import signed_in


@require_safe
@looking
def runs(request: HttpRequest, project: Project) -> HttpResponse:
    """Everything the page shows stands in its address: query, order, columns, page, selection."""
    user = signed_in(request)
    asked = parameters.read_parameters(request)
    found = table.read(
        user=user,
        project=project,
        text=asked.text("q", longest=parameters.LONGEST_VALUE),
        sort=asked.text("sort"),
        columns=[key for value in asked.texts("col") for key in value.split(",")],
        page=asked.page(),
    )
    context = {
        "project": project,
        "table": found,
        "selected": set(asked.listed("select")),
        "may_act": may_act(user=user, project=project),
        "filtered": bool(found.text),
    }
    return render(request, "experiments/runs.html", context)
