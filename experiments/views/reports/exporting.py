"""Reports as files: asked for, made by a worker, fetched by who asked."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_POST, require_safe

from experiments.models import Report, ReportExport
from experiments.reports import reports
from experiments.reports.export import exports
from experiments.views.reports.access import requires_report
from portal.http.serving import blob_response
from portal.inputs import parameters
from portal.views import signed_in


@require_POST
@requires_report
def report_export(request: HttpRequest, report: Report) -> HttpResponse:
    """Have a file made of the report, `format=html` or `format=pdf`."""
    wanted = parameters.posted_parameters(request).choice("format", ReportExport.Format.values)
    if not wanted:
        messages.error(request, "Say which file: HTML or PDF.")
        return redirect(report)
    try:
        made = exports.ask(by=signed_in(request), report=report, format=wanted)
    except reports.NotPossible as refusal:
        messages.error(request, str(refusal))
        return redirect(report)
    return redirect("report_export_state", report.pk, made.pk)


@require_safe
@requires_report
def report_export_state(request: HttpRequest, report: Report, number: int) -> HttpResponse:
    """Show how far the file is: the whole page, or the part that is asked for until it is there."""
    context = {"project": report.project, "report": report, "made": _own(request, report, number)}
    part = request.headers.get("HX-Request") == "true"
    return render(request, f"reports/export.html{'#state' if part else ''}", context)


@require_safe
@requires_report
def report_export_file(request: HttpRequest, report: Report, number: int) -> HttpResponseBase:
    """Send the file, once it is there, to who asked for it."""
    made = _own(request, report, number)
    if made.file is None:
        raise Http404
    if sentence := exports.why_gone(made):
        return HttpResponse(sentence, status=410, content_type="text/plain; charset=utf-8")
    name = f"{slugify(report.title)[:80] or 'report'}-{made.version}.{made.format}"
    return blob_response(request, made.file, name, attachment=True)


def _own(request: HttpRequest, report: Report, number: int) -> ReportExport:
    rows = report.exports.filter(by=signed_in(request)).select_related("file")
    return get_object_or_404(rows, pk=number)
