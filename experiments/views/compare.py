"""Compare the runs of a project."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from experiments.charts import comparison, layouts, page_data, selection
from experiments.charts.panels import MOST_PANELS, Layout, Panel
from experiments.media import sources
from experiments.models import Project
from experiments.run_table import compare as comparing
from experiments.views.access import requires_view
from portal.inputs import parameters
from portal.models import User
from portal.views import signed_in

# Players beside each other, and columns of the table of differences.
MOST_PLAYERS = 12


@require_safe
@requires_view
def compare(request: HttpRequest, project: Project) -> HttpResponse:
    """Show runs beside each other: curves, values of metrics, samples, and what differs."""
    query = parameters.read_parameters(request)
    # A table without a script sends each run by itself.
    numbers = ",".join(query.texts("runs", longest=parameters.LONGEST_VALUE))
    choice = comparing.choose(
        user=signed_in(request), project=project, text=numbers, most=selection.MOST
    )
    names = comparing.metric_names(choice.runs)
    asked = query.text("metric")
    table = comparison.metric_table(
        runs=choice.runs,
        names=names,
        summary=query.choice("value", comparison.SUMMARIES, "last"),
        baseline=query.number("baseline"),
    )
    context = {
        "project": project,
        "runs": choice.runs,
        "note": choice.note,
        "numbers": ",".join(str(run.number) for run in choice.runs),
        "players": choice.runs[:MOST_PLAYERS],
        "ids": ",".join(str(run.pk) for run in choice.runs[:MOST_PLAYERS]),
        "names": names,
        "metric": asked if asked in names else comparing.first_choice(names),
        "table": table,
        "values": list(comparison.SUMMARIES),
        "differences": comparison.differences(choice.runs, table.runs),
        "max_runs": selection.MOST,
        "split": (split := query.text("split")),
        "explanation": comparison.explain(choice.runs, split) if split else None,
    }
    if choice.runs:
        context["data"] = _chart_data(signed_in(request), project, choice, names, asked)
    return render(request, "experiments/compare.html", context)


def _chart_data(
    user: User, project: Project, choice: comparing.Choice, names: list[str], asked: str
) -> dict[str, Any]:
    """Return what the grid draws: the person's own panels; a metric that was asked for first."""
    media = sources.names_of(choice.runs)
    layout = layouts.own(user=user, project=project, names=names, media=media)
    if asked in names:
        first = Panel(id="asked", names=[asked], width=12, height=8)
        layout = Layout(
            page=layout.page,
            pins=layout.pins,
            panels=[first, *layout.panels[: MOST_PANELS - 1]],
            folded=layout.folded,
        )
    chosen = selection.Selection(choice.runs, len(choice.runs), choice.note)
    return page_data.make(
        project=project, selection=chosen, names=names, layout=layout, is_saved=asked in names,
        media=media,
    )  # fmt: skip


@require_safe
@requires_view
def curves(request: HttpRequest, project: Project) -> HttpResponse:
    """Return the curves of `?runs=3,5&name=loss` as JSON for the chart."""
    text = parameters.read_parameters(request).text("runs")
    runs = comparing.choose(user=signed_in(request), project=project, text=text).runs
    name = parameters.read_parameters(request).text("name")
    return JsonResponse({"name": name, "curves": comparing.traces(runs, name)})
