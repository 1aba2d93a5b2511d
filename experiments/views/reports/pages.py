"""The reports of a project, the page of one, and what is done with it as a whole."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST, require_safe

from experiments.clearance.permission import NotPermitted
from experiments.models import Project, Report, ReportExport
from experiments.reports import pages, reports, shelving
from experiments.reports.export import exports
from experiments.views.access import may_act, requires_view
from experiments.views.reports.access import done, refused, requires_report
from portal.inputs import parameters
from portal.views import signed_in

PAGE = 50


@require_safe
@requires_view
def report_list(request: HttpRequest, project: Project) -> HttpResponse:
    """List the reports of a project and one's own drafts, the last changed first."""
    user, asked = signed_in(request), parameters.read_parameters(request)
    rows = Report.objects.visible_to(user).filter(project=project)
    if not (archived := "archived" in asked):
        rows = rows.listed()
    context = {
        "project": project,
        "page": Paginator(rows.select_related("author").defer("text"), PAGE).get_page(asked.page()),
        "archived": archived,
        "deleted": len(shelving.deleted(user, project, timezone.now())),
        "may_act": may_act(user=user, project=project),
    }
    return render(request, "reports/list.html", context)


@require_safe
@requires_view
def reports_deleted(request: HttpRequest, project: Project) -> HttpResponse:
    """List what was deleted and can be brought back by this person."""
    user = signed_in(request)
    found = shelving.deleted(user, project, timezone.now())
    context = {
        "project": project,
        "rows": [(r, r.deleted_at + shelving.KEPT) for r in found if r.deleted_at is not None],
    }
    return render(request, "reports/deleted.html", context)


@require_safe
@requires_report
def report(request: HttpRequest, report: Report) -> HttpResponse:
    """Show a report; `?drawn`: with charts that were drawn here, for who runs no scripts."""
    user = signed_in(request)
    drawn = "drawn" in parameters.read_parameters(request)
    reading = pages.reading_of(user, report, drawn=drawn)
    context = {
        "project": report.project,
        "report": report,
        "body": pages.html(report.text, reading),
        "drawn": drawn,
        "has_frozen": bool(reading.frozen),
        "may_change": reports.may_change(user=user, report=report),
        "may_delete": shelving.may_delete(user=user, report=report),
        "is_author": report.author_id == user.pk,
        "exports": exports.recent(user=user, report=report),
        "formats": ReportExport.Format.choices,
    }
    return render(request, "reports/report.html", context)


@require_POST
@requires_report
def report_publish(request: HttpRequest, report: Report) -> HttpResponse:
    """Show a draft to everybody in the project."""
    by = signed_in(request)

    def publish() -> None:
        if sentence := reports.publish(by=by, report=report).sentence:
            messages.warning(request, sentence)

    return done(request, report, publish, f"Everybody in {report.project.name} sees it now.")


@require_POST
@requires_report
def report_unpublish(request: HttpRequest, report: Report) -> HttpResponse:
    """Make a published report its author's draft again."""
    by = signed_in(request)
    return done(
        request, report, lambda: reports.unpublish(by=by, report=report), "It is your draft again."
    )


@require_POST
@requires_report
def report_archive(request: HttpRequest, report: Report) -> HttpResponse:
    """Take a report out of the list; an archived one: put it back."""
    by, on = signed_in(request), report.archived_at is None
    words = "Archived: it is in no list unless somebody asks for archived ones."
    return done(
        request, report, lambda: shelving.archive(by=by, report=report, on=on),
        words if on else "It is in the list again.",
    )  # fmt: skip


@require_POST
@requires_report
def report_freeze(request: HttpRequest, report: Report) -> HttpResponse:
    """Take the figures of its frozen blocks anew."""
    by = signed_in(request)
    return done(
        request, report, lambda: reports.freeze_again(by=by, report=report),
        "Frozen anew. The versions before keep their figures.",
    )  # fmt: skip


@require_POST
@requires_report
def report_delete(request: HttpRequest, report: Report) -> HttpResponse:
    """Delete a report; the list has the way back for a week."""
    try:
        shelving.delete(by=signed_in(request), report=report)
    except NotPermitted as refusal:
        return refused(request, report.project, str(refusal))
    except reports.NotPossible as refusal:
        messages.error(request, str(refusal))
        return redirect("experiments:reports", report.project.slug)
    address = reverse("experiments:reports_deleted", args=[report.project.slug])
    words = f"The report {report.title} is deleted."
    messages.success(
        request,
        format_html('{} <a href="{}">For a week it can be brought back.</a>', words, address),
    )
    return redirect("experiments:reports", report.project.slug)


@require_POST
def report_bring_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Undo a deletion."""
    by = signed_in(request)
    seen = Q(published_at__isnull=False) | Q(author=by)
    rows = Report.objects.filter(seen, project__in=Project.objects.visible_to(by))
    report = get_object_or_404(rows.exclude(deleted_at=None).select_related("project"), pk=pk)
    if not shelving.may_delete(user=by, report=report):
        return refused(request, report.project, "Its author or an owner brings it back.")
    return done(request, report, lambda: shelving.bring_back(by=by, report=report), "It is back.")
