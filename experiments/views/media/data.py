"""What panels of media show: which steps there are, what stands there, histograms over steps."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.views.decorators.http import require_safe

from experiments.media import reading, silence, sources
from experiments.models import Project, Run
from experiments.views.access import requires_view
from experiments.views.chart_data import chosen_runs
from experiments.views.media.pages import step_of
from portal.inputs import parameters
from portal.views import signed_in

# Runs that one request shows at a step each.
MOST_RUNS = 60
MOST_NAMES = 12


@require_safe
@requires_view
def charts_media(request: HttpRequest, project: Project) -> HttpResponse:
    """Return the steps at which `?runs=3,5` have something of `&name=spec`, and why all of a run's
    is withheld."""
    chosen = chosen_runs(request, project)
    if chosen.error:
        return HttpResponseBadRequest(chosen.error)
    names = parameters.read_parameters(request).texts("name", most=MOST_NAMES)
    steps = {run.pk: set[int]() for run in chosen.runs}
    for name in names:
        for pk, found in sources.steps_of(chosen.runs, name).items():
            steps[pk] |= set(found)
    held = silence.reasons_of_runs(Run.objects.filter(pk__in=list(steps)))
    runs = [
        {
            "run": run.number,
            "steps": sorted(steps[run.pk]),
            "withheld": held.get(run.number, "") if steps[run.pk] else "",
        }
        for run in chosen.runs
    ]
    return _json({"runs": runs})


@require_safe
@requires_view
def charts_media_items(request: HttpRequest, project: Project) -> HttpResponse:
    """Return what runs have at a step each: `?name=spec&at=3:100&at=5:80` is run 3 at step 100."""
    query = parameters.read_parameters(request)
    names = query.texts("name", most=MOST_NAMES)
    pairs = [text.partition(":") for text in query.texts("at", most=MOST_RUNS)]
    numbered = {
        number: step
        for run, _, at in pairs
        if (number := parameters.number(run)) is not None and (step := step_of(at)) is not None
    }
    visible = Run.objects.visible_to(signed_in(request)).filter(project=project)
    found = visible.filter(number__in=numbered).values_list("pk", "number")
    wanted = {pk: numbered[number] for pk, number in found}
    return _json({"items": sources.items_at(wanted, names)})


@require_safe
@requires_view
def charts_media_histograms(request: HttpRequest, project: Project) -> HttpResponse:
    """Return the histograms of `?runs=3,5&name=weights` over their steps, at most 200 of a run."""
    chosen = chosen_runs(request, project)
    if chosen.error:
        return HttpResponseBadRequest(chosen.error)
    name = parameters.read_parameters(request).text("name")
    held = silence.reasons_of_runs(Run.objects.filter(pk__in=[run.pk for run in chosen.runs]))
    by_pk: dict[UUID, Run] = {run.pk: run for run in chosen.runs}
    found = reading.histograms([pk for pk, run in by_pk.items() if run.number not in held], name)
    runs = [
        {
            "run": run.number,
            "withheld": held.get(run.number, ""),
            "columns": [{"step": step, **content} for step, content in found.get(pk, [])],
        }
        for pk, run in by_pk.items()
    ]
    return _json({"runs": runs})


def _json(content: dict[str, object]) -> JsonResponse:
    response = JsonResponse(content)
    response.headers["Cache-Control"] = "private, no-store"
    return response
