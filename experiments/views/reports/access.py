"""Which report a page is about, and how its acts answer."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render

from experiments.clearance.permission import NotPermitted
from experiments.models import Project, Report
from experiments.reports import reports
from experiments.views.access import MAY_ONLY_LOOK
from portal.views import signed_in

View = Callable[..., HttpResponseBase]


def requires_report(view: View) -> View:
    """Call the view with the report in place of its number; 404 unless the person may see it."""

    @wraps(view)
    def guarded(request: HttpRequest, pk: int, **kwargs: Any) -> HttpResponseBase:
        rows = Report.objects.visible_to(signed_in(request))
        rows = rows.select_related("project", "author", "changed_by")
        return view(request, get_object_or_404(rows, pk=pk), **kwargs)

    return guarded


def refused(request: HttpRequest, project: Project, sentence: str = MAY_ONLY_LOOK) -> HttpResponse:
    context = {"project": project, "sentence": sentence}
    return render(request, "experiments/refused.html", context, status=403)


def done(
    request: HttpRequest, report: Report, act: Callable[[], object], sentence: str
) -> HttpResponse:
    """Do an act on a report and go back to it; say what became of it."""
    try:
        act()
    except NotPermitted as refusal:
        return refused(request, report.project, str(refusal))
    except reports.NotPossible as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, sentence)
    return redirect(report)
