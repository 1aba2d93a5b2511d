"""Files of reports: asked for by a person, made by a worker with that person's rights, and kept for
an hour. The rows are the queue.

Whatever stands in a file, its person could read when it was made. It leaves the lab with them, so
each file has an audit line, which names the released clips in it.
"""

import io
import logging
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from experiments.models import Report, ReportExport
from experiments.reports import frozen
from experiments.reports.export import sounds
from experiments.reports.export.refusals import Refused
from experiments.reports.kinds import Budget, Reading
from experiments.reports.reports import NotPossible
from portal import audit, celery, storage
from portal.models import User

log = logging.getLogger(__name__)

TASK = "experiments.make_report_files"
KEPT = timedelta(hours=1)
# One that was begun so long ago was left by a worker that is gone.
LOST = timedelta(minutes=10)
# Waiting files of one person.
MOST_WAITING = 5
MOST_BYTES = 20 * 1024 * 1024
SECONDS = 90.0
MEDIA_TYPES = {"html": "text/html", "pdf": "application/pdf"}
GONE = (
    "A clip in this file is not public any more. Have the file made again: the clip is left out "
    "then."
)


def ask(*, by: User, report: Report, format: str) -> ReportExport:  # noqa: A002 - the field's name.
    """Order a file of the report as it is now. Raises NotPossible."""
    waiting = ReportExport.objects.filter(by=by, state=ReportExport.State.WAITING)
    with transaction.atomic():
        if waiting.count() >= MOST_WAITING:
            raise NotPossible("Some files of yours are still being made. Wait for one of them.")
        row = ReportExport.objects.create(
            report=report, version=report.version, format=format, by=by
        )
        celery.wake(TASK)
    return row


def run_pass() -> int:
    """Make the files that wait, and remove those that were kept for long enough; return how many
    were made. Two workers at once make each file once."""
    made = 0
    while (row := _claim()) is not None:
        _make(row)
        made += 1
    _remove_old()
    return made


def recent(*, user: User, report: Report) -> Sequence[ReportExport]:
    """Return the person's files of the report that are still there."""
    since = timezone.now() - KEPT
    return list(report.exports.filter(by=user, at__gt=since)[:3])


def why_gone(made: ReportExport) -> str:
    """Return why a file that is there is not given out any more, as a sentence; empty if it is."""
    return "" if sounds.standing(made.clips) >= set(made.clips) else GONE


def _claim() -> ReportExport | None:
    now = timezone.now()
    free = Q(begun_at=None) | Q(begun_at__lt=now - LOST)
    rows = ReportExport.objects.filter(free, state=ReportExport.State.WAITING).order_by("at")
    for row in rows.select_related("report__project", "report__author", "by")[:20]:
        mine = ReportExport.objects.filter(free, pk=row.pk, state=ReportExport.State.WAITING)
        if mine.update(begun_at=now):
            return row
    return None


def _make(row: ReportExport) -> None:
    """Write the file. One that fails says so on its page."""
    try:
        body, clips = _written(row)
    except Refused as refusal:
        _end(row, ReportExport.State.FAILED, reason=str(refusal))
        return
    except Exception:
        _end(row, ReportExport.State.FAILED, reason="Something went wrong; an operator finds it.")
        raise
    blob = storage.put(io.BytesIO(body), media_type=MEDIA_TYPES[row.format])
    with transaction.atomic():
        _end(row, ReportExport.State.READY, file=blob, clips=clips)
        audit.record(
            by=row.by, verb="report.exported", subject=row.report, version=row.version,
            format=row.format, clips=clips, sha256=blob.sha256,
        )  # fmt: skip


def _written(row: ReportExport) -> tuple[bytes, list[int]]:
    # What makes files is loaded where they are made: no page needs it.
    from experiments.reports.export import html_file, pdf  # noqa: PLC0415

    visible = Report.objects.visible_to(row.by).filter(pk=row.report_id)
    if not row.by.is_active or not visible.exists():
        raise Refused("The report is not yours to see any more.")
    version = row.report.versions.get(version=row.version)
    reading = Reading(
        user=row.by, project=row.report.project, report=row.report,
        frozen=frozen.figures_of_version(row.report, row.version), trail=(row.report_id,),
        budget=Budget.for_seconds(SECONDS), drawn=True, base=settings.PORTAL_URL,
    )  # fmt: skip
    body, clips = (
        html_file.write(version, reading, most=MOST_BYTES)
        if row.format == ReportExport.Format.HTML
        else (pdf.write(version, reading), list[int]())
    )
    if len(body) > MOST_BYTES:
        raise Refused(f"The file would be larger than {MOST_BYTES // 2**20} MB.")
    return body, clips


def _end(row: ReportExport, state: ReportExport.State, **fields: object) -> None:
    waiting = ReportExport.objects.filter(pk=row.pk, state=ReportExport.State.WAITING)
    waiting.update(state=state, **fields)


def _remove_old() -> None:
    old = ReportExport.objects.filter(at__lt=timezone.now() - KEPT)
    files = set(old.exclude(file=None).values_list("file", flat=True))
    old.delete()
    for sha256 in files:
        storage.forget(sha256)
