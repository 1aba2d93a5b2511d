"""The console of a run: all of it, page by page, as it grows, searched, and as a file."""

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from experiments.deliveries import log_pages, logs
from experiments.models import Project, Run
from experiments.run_page import live
from experiments.views.access import requires_view
from experiments.views.run import header, visible_run
from portal.http.serving import gathered, stream_response
from portal.inputs import parameters
from portal.views import signed_in

MAX_SEARCH = 200


@require_safe
@requires_view
def run_log(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show a page of the log (`?page=`, that of `?line=`, else the last one), or what a search
    finds (`?q=`); `?rank=3` selects one of several processes."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    query = parameters.read_parameters(request)
    rank, text = query.number("rank"), query.text("q")[:MAX_SEARCH]
    line = query.number("line")
    page = query.number("page") if line is None else log_pages.page_with(line)
    found = log_pages.search(run, text, rank=rank) if text else None
    shown = None if found else log_pages.read_page(run, page, rank=rank)
    lines = found.matches if found else shown.lines if shown else []
    context = {
        **header(user, run, tab="log"),
        "text": text,
        "rank": rank,
        "ranks": logs.ranks(run),
        "found": found,
        "shown": shown,
        "line": line,
        "previous": shown.page - 1 if shown else 0,
        "next": shown.page + 1 if shown else 0,
        "follows": bool(shown and run.is_open and shown.page == shown.pages),
        "lines": written(run, lines, rank),
    }
    return render(request, "experiments/run/log.html", context)


@require_safe
@requires_view
def run_log_lines(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show what was written after the line `?after=`, for a page that follows the log."""
    run = visible_run(signed_in(request), project, number)
    query = parameters.read_parameters(request)
    rank = query.number("rank")
    grown = log_pages.read_after(run, query.number("after") or 0, rank=rank)
    context = {"rank": rank, "grown": grown, "lines": written(run, grown.lines, rank)}
    return render(request, "experiments/run/log_lines.html", context)


def written(
    run: Run, lines: list[logs.LogLine], rank: int | None
) -> list[tuple[logs.LogLine, int, str]]:
    """Return each line with the page that has it, and as a terminal shows it."""
    ranks = logs.ranks(run) if rank is None else []
    width = len(str(max(ranks))) if ranks else 0
    return [(line, log_pages.page_of(line), live.line_html(line, width)) for line in lines]


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
