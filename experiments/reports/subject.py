"""Published reports can be discussed (experiments/discussion)."""

from django.urls import reverse

from experiments.discussion import subjects
from experiments.models import Report
from portal.inputs import parameters
from portal.models import User


def of_report(report: Report) -> subjects.Subject:
    """Return a report as a subject; its project and author are fetched with it."""
    return subjects.Subject(
        kind="report",
        key=str(report.pk),
        project=report.project,
        title=f"the report {report.title}",
        url=report.get_absolute_url(),
        owner=report.author,
        discussion_url=reverse("discussion", args=["report", report.pk]),
    )


def find_report(user: User, key: str) -> subjects.Subject | None:
    """Return the report of that number as a subject, if the user may see it. A draft is not
    discussed: nobody but its author could read that."""
    pk = parameters.number(key)
    if pk is None:
        return None
    rows = Report.objects.visible_to(user).exclude(published_at=None)
    report = rows.filter(pk=pk).select_related("project", "author").first()
    return of_report(report) if report else None


subjects.register("report", find_report)
