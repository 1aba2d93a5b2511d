"""What charts draw: curves as bytes, values and bars as JSON."""

import re

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from experiments.charts import answers, groups, lines, selection, values
from experiments.charts.bands import Spread
from experiments.charts.lines import Wanted
from experiments.charts.selection import Selection
from experiments.metrics import metrics
from experiments.models import Project
from experiments.views.access import requires_view
from portal.http import serving
from portal.inputs import parameters
from portal.inputs.parameters import Parameters
from portal.views import signed_in

MAX_NAMES = 40
MAX_FIELDS = 16
DEFAULT_POINTS = 400


@require_safe
@requires_view
def charts_data(request: HttpRequest, project: Project) -> HttpResponse:
    """Return the lines of `?runs=3,5&name=loss&name=lr` as bytes, or what is new since `after`."""
    chosen = chosen_runs(request, project)
    if chosen.error:
        return HttpResponseBadRequest(chosen.error)
    query = parameters.read_parameters(request)
    wanted = _wanted(query, chosen)
    if known := _known(query):
        return _bytes(answers.since(wanted, known))
    state = metrics.state([run.pk for run in wanted.runs], answers.metrics_of(wanted))
    etag = quote_etag(f"{state}-{answers.fingerprint(wanted)}")
    if serving.matches(request.headers.get("If-None-Match", ""), etag):
        return HttpResponse(status=304, headers={"ETag": etag})
    return _bytes(answers.whole(wanted), etag)


@require_safe
@requires_view
def charts_values(request: HttpRequest, project: Project) -> HttpResponse:
    """Return the values of `?field=config.lr&field=metric.loss` of the chosen runs."""
    chosen = chosen_runs(request, project)
    if chosen.error:
        return HttpResponseBadRequest(chosen.error)
    keys = parameters.read_parameters(request).texts("field", most=MAX_FIELDS)
    return JsonResponse(values.of_runs(chosen.runs, list(dict.fromkeys(keys))))


@require_safe
@requires_view
def charts_bars(request: HttpRequest, project: Project) -> HttpResponse:
    """Return a bar of `?field=metric.loss` for each group of `&group=config.lr`."""
    chosen = chosen_runs(request, project)
    if chosen.error:
        return HttpResponseBadRequest(chosen.error)
    query = parameters.read_parameters(request)
    bars = values.bars(chosen.runs, query.text("field"), query.listed("group"))
    return JsonResponse({"bars": bars})


@require_safe
@requires_view
def charts_importance(request: HttpRequest, project: Project) -> HttpResponse:
    """Return which settings of the chosen runs matter for `?field=metric.loss`."""
    chosen = chosen_runs(request, project)
    if chosen.error:
        return HttpResponseBadRequest(chosen.error)
    key = parameters.read_parameters(request).text("field")
    return JsonResponse(dict(values.importances(project, chosen.runs, key)))


def chosen_runs(request: HttpRequest, project: Project) -> Selection:
    """Return the runs that a request for what panels draw is about."""
    query = parameters.read_parameters(request)
    return selection.choose(
        user=signed_in(request),
        project=project,
        numbers=query.text("runs", longest=parameters.LONGEST_VALUE),
        text=query.text("q", longest=parameters.LONGEST_VALUE),
        archived="archived" in query,
    )


def _bytes(body: bytes, etag: str = "") -> HttpResponse:
    response = HttpResponse(body, content_type="application/octet-stream")
    response.headers["Cache-Control"] = "private, no-cache"
    if etag:
        response.headers["ETag"] = etag
    return response


def _wanted(query: Parameters, chosen: Selection) -> Wanted:
    names = list(dict.fromkeys(name for name in query.texts("name", most=MAX_NAMES) if name))
    points = query.number("points") or DEFAULT_POINTS
    keys = query.listed("group")
    return Wanted(
        runs=chosen.runs,
        names=names,
        points=answers.affordable(points, len(chosen.runs), len(lines.names_in(names))),
        x=query.text("x", "step"),
        x_from=_real(query.text("from")),
        x_to=_real(query.text("to")),
        groups=groups.by(chosen.runs, keys) if keys else None,
        spread=Spread(query.choice("spread", [spread.value for spread in Spread], "minmax")),
    )


def _real(text: str) -> float | None:
    """Return the finite number that a text is, else None."""
    number = re.fullmatch(r"-?\d{1,20}(\.\d{1,20})?(e[+-]?\d{1,2})?", text)
    return float(text) if number else None


def _known(query: Parameters) -> dict[int, list[tuple[int, int] | None]]:
    """Return what the page has: `after=12:3400.3399,-` is run 12 with 3,400 points up to step
    3,399 of the first name, and none of the second."""
    known: dict[int, list[tuple[int, int] | None]] = {}
    for text in query.texts("after", longest=parameters.LONGEST_VALUE):
        run, _, states = text.partition(":")
        if (number := parameters.number(run)) is None:
            continue
        pairs = [re.fullmatch(r"(\d{1,18})\.(-?\d{1,18})", state) for state in states.split(",")]
        known[number] = [(int(pair[1]), int(pair[2])) if pair else None for pair in pairs]
    return known
