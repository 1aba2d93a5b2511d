"""Writing a report: a new one, a change, and how it looks meanwhile."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from experiments.clearance.permission import NotPermitted
from experiments.discussion import mentions
from experiments.models import Project, Report
from experiments.reports import changes, frozen, kinds, pages, reports, run_blocks, starts
from experiments.reports.kinds import Reading
from experiments.run_table.layout import Layout
from experiments.views.access import requires_member
from experiments.views.reports.access import refused, requires_report
from experiments.views.reports.forms import ReportForm
from portal.inputs import parameters
from portal.models import User
from portal.views import signed_in


@require_http_methods(["GET", "HEAD", "POST"])
@requires_member
def report_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Write a new report: empty, from a template `?start=learned`, or with the run table of the
    address in it, `?start=table&q=…`."""
    asked = parameters.read_parameters(request)
    key = asked.text("start")
    if request.method == "POST":
        form = ReportForm(request.POST)
    elif key == "table":
        form = ReportForm(initial={"text": run_blocks.written(Layout.from_parameters(asked))})
    else:
        form = ReportForm(initial={"text": starts.find(key).text})
    if form.is_bound and form.is_valid():
        words = {name: form.cleaned_data[name] for name in ("title", "text")}
        try:
            made = reports.create(by=signed_in(request), project=project, **words)
        except reports.BadReport as refusal:
            form.add_error(refusal.field, str(refusal))
        else:
            messages.success(request, "A draft, which you alone see until you publish it.")
            return redirect(made)
    context = {"starts": starts.EVERY, "start": key or "empty"}
    return _editor(request, project, form, context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires_report
def report_edit(request: HttpRequest, report: Report) -> HttpResponse:
    """Change title and text."""
    user = signed_in(request)
    if not reports.may_change(user=user, report=report):
        return refused(request, report.project)
    form = ReportForm(request.POST) if request.method == "POST" else ReportForm.of(report)
    theirs: dict[str, object] = {}
    if form.is_bound and form.is_valid():
        try:
            return _saved(request, reports.save(by=user, report=report, **form.cleaned_data))
        except reports.BadReport as refusal:
            form.add_error(refusal.field, str(refusal))
        except (reports.NotPossible, NotPermitted) as refusal:
            form.add_error(None, str(refusal))
        except reports.Overtaken as clash:
            apart = changes.lines(clash.current.text, form.cleaned_data["text"])
            theirs = {"theirs": clash.current, "apart": apart}
            form.ask_again(clash)
    if not report.is_draft:
        # Names are completed as in its discussion, which a draft has not.
        people = reverse("discussion_people", args=["report", report.pk])
        form.fields["text"].widget.attrs["data-mentions"] = people
    return _editor(request, report.project, form, {"report": report, **theirs})


def _saved(request: HttpRequest, report: Report) -> HttpResponse:
    """Go to the report; of one that others read, say which names in it told nobody."""
    named = mentions.find(report.text, report.project)
    if named.sentence and not report.is_draft:
        messages.warning(request, named.sentence)
    return redirect(report)


@require_POST
@requires_member
def report_preview(request: HttpRequest, project: Project) -> HttpResponse:
    """Return a text as it will look, with its blocks; `report` is the one that is changed."""
    user, posted = signed_in(request), parameters.posted_parameters(request)
    text = posted.text("text", longest=reports.LONGEST)
    return HttpResponse(pages.html(text, _reading(user, project, posted.number("report"))))


def _reading(user: User, project: Project, pk: int | None) -> Reading:
    rows = Report.objects.visible_to(user).filter(project=project, pk=pk or 0)
    report = rows.first()
    if report is None:
        return Reading(user=user, project=project)
    return Reading(
        user=user,
        project=project,
        report=report,
        frozen=frozen.current_figures(report),
        trail=(report.pk,),
    )


def _editor(
    request: HttpRequest, project: Project, form: ReportForm, more: dict[str, Any]
) -> HttpResponse:
    context = {
        "project": project,
        "form": form,
        "kinds": kinds.every(),
        "people": mentions.people(project),
        **more,
    }
    status = 422 if form.errors else 200
    return render(request, "reports/edit.html", context, status=status)
