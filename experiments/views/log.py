"""The console of a run: all of it, page by page, searched, and as a file."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from experiments.deliveries import logs
from experiments.models import Project
from experiments.run_page import live
from experiments.views.access import requires_view
from experiments.views.run import visible_run
from portal.http.serving import gathered, stream_response
from portal.inputs import parameters
from portal.views import signed_in

MAX_SEARCH = 200


@require_safe
@requires_view
def run_log(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show a page of the log (`?page=`, the last one without), or what a search finds (`?q=`);
    `?rank=3` selects one of several processes."""
    run = visible_run(signed_in(request), project, number)
    query = parameters.read_parameters(request)
    rank, text = query.number("rank"), query.text("q")[:MAX_SEARCH]
    ranks = logs.ranks(run)
    width = len(str(max(ranks))) if ranks and rank is None else 0
    found = logs.search(run, text, rank=rank) if text else None
    shown = None if found else logs.read_page(run, query.number("page"), rank=rank)
    lines = found.matches if found else shown.lines if shown else []
    context = {
        "project": project,
        "run": run,
        "text": text,
        "rank": rank,
        "ranks": ranks,
        "found": found,
        "shown": shown,
        "previous": shown.page - 1 if shown else 0,
        "next": shown.page + 1 if shown else 0,
        "lines": [(line, logs.page_of(line), live.line_html(line, width)) for line in lines],
    }
    return render(request, "experiments/run_log.html", context)


@require_safe
@requires_view
def run_log_file(request: HttpRequest, project: Project, number: int) -> StreamingHttpResponse:
    """Return everything that was written as a file, as it was written, with its colours."""
    run = visible_run(signed_in(request), project, number)
    rank = parameters.read_parameters(request).number("rank")
    of_rank = "" if rank is None else f"-rank-{rank}"
    name = f"{project.slug}-{run.number}{of_rank}.log"
    pieces = gathered(logs.whole(run, rank=rank))
    return stream_response(request, pieces, "text/plain; charset=utf-8", name)
