"""Every version of a report: who saved what when, as it was, and back to it."""

from dataclasses import replace

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from experiments.models import Report
from experiments.reports import changes, frozen, pages, reports
from experiments.views.reports.access import done, requires_report
from portal.inputs import parameters
from portal.views import signed_in

PAGE = 50


@require_safe
@requires_report
def report_history(request: HttpRequest, report: Report) -> HttpResponse:
    """List the versions of a report, newest first."""
    rows = report.versions.select_related("by").defer("text")
    number = parameters.read_parameters(request).page()
    context = {
        "project": report.project,
        "report": report,
        "page": Paginator(rows, PAGE).get_page(number),
        "may_change": reports.may_change(user=signed_in(request), report=report),
    }
    return render(request, "reports/history.html", context)


@require_safe
@requires_report
def report_version(request: HttpRequest, report: Report, version: int) -> HttpResponse:
    """Show a version: what it changed, and the report as it was, with what was frozen then."""
    user = signed_in(request)
    row = get_object_or_404(report.versions.select_related("by"), version=version)
    before = report.versions.filter(version=version - 1).first()
    reading = pages.reading_of(user, report)
    kept = frozen.figures_of_version(report, version)
    context = {
        "project": report.project,
        "report": report,
        "row": row,
        "before": before,
        "title_lines": changes.lines(before.title, row.title) if before else [],
        "text_lines": changes.lines(before.text if before else "", row.text),
        "body": pages.html(row.text, replace(reading, frozen=kept)),
        "may_change": reports.may_change(user=user, report=report),
    }
    return render(request, "reports/version.html", context)


@require_POST
@requires_report
def report_restore(request: HttpRequest, report: Report, version: int) -> HttpResponse:
    """Make an earlier version the newest one."""
    by = signed_in(request)
    return done(
        request, report, lambda: reports.restore(by=by, report=report, version=version),
        f"Version {version} is the newest again. That is a version too.",
    )  # fmt: skip
