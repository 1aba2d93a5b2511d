"""Compare the runs of a project."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from experiments.models import Project
from experiments.run_table import compare as comparing
from experiments.views.access import requires_view
from portal.inputs import parameters
from portal.views import signed_in


@require_safe
@requires_view
def compare(request: HttpRequest, project: Project) -> HttpResponse:
    # A table without a script sends each run by itself.
    text = ",".join(parameters.read_parameters(request).texts("runs"))
    choice = comparing.choose(user=signed_in(request), project=project, text=text)
    runs = choice.runs
    names = comparing.metric_names(runs)
    requested = parameters.read_parameters(request).text("metric")
    metric = requested if requested in names else comparing.first_choice(names)
    context = {
        "project": project,
        "runs": runs,
        "note": choice.note,
        "numbers": ",".join(str(run.number) for run in runs),
        "ids": ",".join(str(run.pk) for run in runs),
        "names": names,
        "metric": metric,
        "differences": comparing.differences(runs),
        "max_runs": comparing.MAX_RUNS,
    }
    return render(request, "experiments/compare.html", context)


@require_safe
@requires_view
def curves(request: HttpRequest, project: Project) -> HttpResponse:
    """Return the curves of `?runs=3,5&name=loss` as JSON for the chart."""
    text = parameters.read_parameters(request).text("runs")
    runs = comparing.choose(user=signed_in(request), project=project, text=text).runs
    name = parameters.read_parameters(request).text("name")
    return JsonResponse({"name": name, "curves": comparing.traces(runs, name)})
