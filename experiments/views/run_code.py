"""The tabs of a run's page about its code and environment, and how to do it again."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from experiments.models import Project, Run
from experiments.run_page import diffs, reproducing
from experiments.runs import environments
from experiments.views.access import requires_view
from experiments.views.run import header, visible_run
from portal.http.serving import disposition
from portal.inputs import parameters
from portal.views import signed_in

MAX_SEARCH = 200


def chosen(request: HttpRequest, run: Run) -> dict[str, object]:
    """Return the starts of the run's program, and the one that `?start=` names, else the newest."""
    reports = environments.reports(run)
    wanted = parameters.read_parameters(request).number("start")
    newest = reports[-1] if reports else None
    report = next((one for one in reports if one.row.pk == wanted), newest)
    return {"reports": reports, "report": report}


@require_safe
@requires_view
def code(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show commit, entry point and what was not committed of one start of the run."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    context = {**header(user, run, tab="code"), **chosen(request, run)}
    report = context["report"]
    if isinstance(report, environments.Report):
        context |= {
            "facts": report.facts,
            "diff": diffs.read(report.diff),
            "web": reproducing.web_address(report.facts.code),
        }
    return render(request, "experiments/run/code.html", context)


@require_safe
@requires_view
def environment(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show Python, packages, machine and image of one start; `?q=` finds packages by a word."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    text = parameters.read_parameters(request).text("q")[:MAX_SEARCH]
    context = {**header(user, run, tab="environment"), **chosen(request, run), "text": text}
    report = context["report"]
    if isinstance(report, environments.Report):
        packages = report.packages
        shown = {
            name: version
            for name, version in packages.items()
            if text.casefold() in f"{name}=={version}".casefold()
        }
        context |= {"facts": report.facts, "packages": shown, "package_count": len(packages)}
    context["images"] = run.attempts.exclude(image="").values_list("number", "image")
    return render(request, "experiments/run/environment.html", context)


@require_safe
@requires_view
def reproduce(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show how to do the run again: commands, files to take away, and what is missing."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    context = {**header(user, run), "how": reproducing.describe(run)}
    return render(request, "experiments/run/reproduce.html", context)


@require_safe
@requires_view
def reproduce_file(request: HttpRequest, project: Project, number: int, name: str) -> HttpResponse:
    """Return one of the files that are needed to do the run again."""
    run = visible_run(signed_in(request), project, number)
    text = reproducing.describe(run).files.get(name)
    if text is None:
        raise Http404
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response.headers["Content-Disposition"] = disposition(name, attachment=True)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
