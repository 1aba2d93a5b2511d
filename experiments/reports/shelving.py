"""Where a report stands: archived, deleted and brought back, and purged."""

from datetime import datetime, timedelta

from django.db import transaction

from experiments.clearance.permission import NotPermitted
from experiments.discussion import comments
from experiments.models import Notice, Project, Report
from experiments.reports import reports
from portal import storage
from portal.database import commit_order
from portal.models import User

# How long a deleted report may be brought back, as a run.
KEPT = timedelta(days=7)


# --- Writes ---------------------------------------------------------------------------------


def archive(*, by: User, report: Report, on: bool = True) -> Report:
    """Take it out of the list, or put it back. Raises NotPermitted, NotPossible."""
    with transaction.atomic():
        report, at = reports.lock(by, report)
        if on == (report.archived_at is not None):
            raise reports.NotPossible("It is archived already." if on else "It is not archived.")
        if on:
            reports.put(report, by, at, verb="report.archived", archived_at=at)
        else:
            reports.put(report, by, at, verb="report.unarchived", archived_at=None)
    return report


def delete(*, by: User, report: Report) -> Report:
    """Delete it; for a week it can be brought back. Raises NotPermitted for others than its author
    and owners of the project."""
    _require_deleter(by, report)
    with transaction.atomic():
        report, at = reports.lock(by, report)
        reports.put(report, by, at, verb="report.deleted", deleted_at=at)
    return report


def bring_back(*, by: User, report: Report) -> Report:
    """Undo a deletion. Raises NotPermitted, NotPossible."""
    _require_deleter(by, report)
    with transaction.atomic():
        at = commit_order.moment()
        report = reports.locked(report)
        if report.deleted_at is None or report.deleted_at + KEPT <= at:
            raise reports.NotPossible("It is not among the reports that can be brought back.")
        reports.put(report, by, at, verb="report.brought_back", deleted_at=None)
    return report


def purge_due(now: datetime, *, at_most: int = 20) -> int:
    """Purge what was deleted more than a week ago: text, versions, figures, and what was said of
    it; return how many. May be broken off and repeated."""
    due = Report.objects.filter(deleted_at__lte=now - KEPT).order_by("deleted_at")[:at_most]
    purged = 0
    for report in due:
        with transaction.atomic():
            at = commit_order.moment()
            row = Report.objects.select_for_update(no_key=True).filter(pk=report.pk).first()
            if row is None or row.deleted_at is None or row.deleted_at + KEPT > now:
                continue
            files = set(row.exports.exclude(file=None).values_list("file", flat=True))
            comments.forget("report", str(row.pk))
            Notice.objects.filter(key__startswith=reports.notice_key(row)).delete()
            reports.record(row, None, at, verb="report.purged")
            row.delete()
        for sha256 in files:
            storage.forget(sha256)
        purged += 1
    return purged


# --- Reads ----------------------------------------------------------------------------------


def may_delete(*, user: User, report: Report) -> bool:
    return report.author_id == user.pk or (not report.is_draft and report.project.is_owned_by(user))


def deleted(user: User, project: Project, now: datetime) -> list[Report]:
    """Return what the person may bring back, newest first."""
    rows = Report.objects.filter(project=project, deleted_at__gt=now - KEPT)
    found = rows.select_related("author", "project").order_by("-deleted_at")
    return [report for report in found if may_delete(user=user, report=report)]


def _require_deleter(by: User, report: Report) -> None:
    if not may_delete(user=by, report=report):
        raise NotPermitted("Its author or an owner of the project deletes a report.")
