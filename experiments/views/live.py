"""The live parts of a run's page: events, polling, curves, log."""

from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.views.decorators.http import require_safe

from experiments.metrics import metrics
from experiments.models import Project, Run
from experiments.run_page import inherited, live
from experiments.runs import forks
from experiments.views.access import requires_view
from experiments.views.run import visible_run
from portal.inputs import parameters
from portal.models import User
from portal.views import signed_in

MAX_CURVES = 40
MAX_POINTS = 4000


@require_safe
async def run_live(request: HttpRequest, slug: str, number: int) -> HttpResponseBase:
    """Stream server-sent events until the run ends or the connection reaches its time limit."""
    user = await request.auser()
    run_id = await _visible_id(user, slug, number) if isinstance(user, User) else None
    if run_id is None:
        raise Http404
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse(content_type="text/event-stream")
    else:
        response = StreamingHttpResponse(live.stream(run_id), content_type="text/event-stream")
    # A proxy that buffers the response would hold the events back.
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Cache-Control"] = "no-store"
    return response


@sync_to_async
def _visible_id(user: User, slug: str, number: int) -> UUID | None:
    rows = Run.objects.visible_to(user).filter(project__slug=slug, number=number)
    return rows.values_list("pk", flat=True).first()


@require_safe
@requires_view
def run_state(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Return the same state as the events, for browsers that have to poll."""
    run = visible_run(signed_in(request), project, number)
    log_from = parameters.read_parameters(request).number("log")
    return JsonResponse(live.snapshot(run.pk, log_from=-1 if log_from is None else log_from))


@require_safe
@requires_view
def run_curve(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Return curves by name: `?name=loss&name=lr&points=1000`; beside each, what a fork has of the
    runs behind it, and what attempts have logged that a newer attempt has logged again."""
    run = visible_run(signed_in(request), project, number)
    query = parameters.read_parameters(request)
    names = query.texts("name", most=MAX_CURVES)
    points = query.number("points") if "points" in query else 1000
    if points is None or not 2 <= points <= MAX_POINTS:
        return HttpResponseBadRequest(f"points goes from 2 to {MAX_POINTS}.")
    line = forks.segments(run, user=signed_in(request))
    curves = [
        {
            **metrics.read(run, name, points).as_json(),
            "inherited": inherited.curves(line, name, points),
            "replaced": [
                {**curve.as_json(), "attempt": attempt}
                for attempt, curve in metrics.replaced(run, name, points)
            ],
        }
        for name in names
    ]
    return JsonResponse({"run": run.number, "curves": curves})
