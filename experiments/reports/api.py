"""Reports over HTTP, so that a script can write one: listed, read, written, changed."""

from datetime import datetime
from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Path, Router, Schema
from ninja.errors import HttpError
from pydantic import Field

from backline import bounds
from experiments import access
from experiments.clearance.permission import NotPermitted
from experiments.models import Project, Report
from experiments.reports import reports
from portal.inputs.schemas import Limit, Offset, PathNumber

router = Router(tags=["reports"])

Slug = Annotated[str, Path(max_length=50)]


class NewReport(bounds.Message):
    title: str = Field(min_length=1, max_length=reports.LONGEST_TITLE)
    text: str = Field("", max_length=reports.LONGEST, description="Markdown with blocks.")
    publish: bool = Field(default=False, description="Else it is a draft, yours alone.")


class ChangedReport(bounds.Message):
    """What is left out stays."""

    title: str | None = Field(None, min_length=1, max_length=reports.LONGEST_TITLE)
    text: str | None = Field(None, max_length=reports.LONGEST)
    version: int | None = Field(
        None, ge=0, le=bounds.MAX_INT,
        description="The one that you saw: 409 if somebody has saved since.",
    )  # fmt: skip
    publish: bool = Field(default=False, description="Show a draft to the project.")


class ReportBody(Schema):
    id: int
    project: str
    title: str
    version: int
    author: str
    created_at: datetime
    changed_at: datetime
    published_at: datetime | None
    archived_at: datetime | None
    url: str

    @staticmethod
    def resolve_project(report: Report) -> str:
        return report.project.slug

    @staticmethod
    def resolve_author(report: Report) -> str:
        return report.author.username

    @staticmethod
    def resolve_url(report: Report) -> str:
        return report.get_absolute_url()


class WholeReport(ReportBody):
    text: str


class ReportPage(Schema):
    count: int
    items: list[ReportBody]


@router.get("/projects/{slug:slug}/reports", response=ReportPage)
def report_list(
    request: HttpRequest,
    slug: Slug,
    *,
    archived: bool = False,
    limit: Limit = 50,
    offset: Offset = 0,
) -> dict[str, Any]:
    """The reports of a project and your drafts, the last changed first."""
    rows = _visible(request, slug)
    if not archived:
        rows = rows.filter(archived_at=None)
    return {"count": rows.count(), "items": list(rows.defer("text")[offset : offset + limit])}


@router.post("/projects/{slug:slug}/reports", response=WholeReport)
def report_add(request: HttpRequest, slug: Slug, new: NewReport) -> Report:
    """Write a report: a draft, unless it is published at once."""
    by = access.person(request)
    try:
        project = _project(request, slug)
        made = reports.create(by=by, project=project, title=new.title, text=new.text)
        if new.publish:
            reports.publish(by=by, report=made)
    except NotPermitted as refusal:
        raise HttpError(403, str(refusal)) from refusal
    except reports.BadReport as refusal:
        raise HttpError(422, str(refusal)) from refusal
    return _visible(request, slug).get(pk=made.pk)


@router.get("/projects/{slug:slug}/reports/{int:number}", response=WholeReport)
def report_details(request: HttpRequest, slug: Slug, number: PathNumber) -> Report:
    """One report with its text."""
    return _report(request, slug, number)


@router.patch("/projects/{slug:slug}/reports/{int:number}", response=WholeReport)
def report_change(
    request: HttpRequest, slug: Slug, number: PathNumber, wanted: ChangedReport
) -> Report:
    """Change title or text, or publish a draft."""
    by, report = access.person(request), _report(request, slug, number)
    title = report.title if wanted.title is None else wanted.title
    text = report.text if wanted.text is None else wanted.text
    try:
        reports.save(by=by, report=report, title=title, text=text, version=wanted.version)
        if wanted.publish:
            reports.publish(by=by, report=report)
    except NotPermitted as refusal:
        raise HttpError(403, str(refusal)) from refusal
    except (reports.Overtaken, reports.NotPossible) as refusal:
        raise HttpError(409, str(refusal)) from refusal
    except reports.BadReport as refusal:
        raise HttpError(422, str(refusal)) from refusal
    return _report(request, slug, number)


def _project(request: HttpRequest, slug: str) -> Project:
    project = Project.objects.visible_to(access.person(request)).filter(slug=slug).first()
    if project is None:
        raise HttpError(404, f"There is no project {slug} that you are a member of.")
    return project


def _visible(request: HttpRequest, slug: str) -> QuerySet[Report]:
    rows = Report.objects.visible_to(access.person(request)).filter(project=_project(request, slug))
    return rows.select_related("project", "author")


def _report(request: HttpRequest, slug: str, number: int) -> Report:
    report = _visible(request, slug).filter(pk=number).first()
    if report is None:
        raise HttpError(404, "There is no such report, or it is not yours to see.")
    return report
