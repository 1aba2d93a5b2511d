"""What a run's programs could not deliver: it stays on their disks, and the run's page says so."""

from django.utils import timezone

from backline import wire
from experiments.models import Run, Undelivered


def store_report(run: Run, report: wire.Undelivered) -> None:
    """Store the report of a session; a repeated report is stored once."""
    if not report.count:
        Undelivered.objects.filter(run=run, session=report.session).delete()
        return
    fields = {"count": report.count, "reason": report.reason, "at": timezone.now()}
    Undelivered.objects.update_or_create(run=run, session=report.session, defaults=fields)


def words(run: Run) -> str:
    """Return how much was not accepted, why, and what to do; empty where everything was."""
    rows = list(Undelivered.objects.filter(run=run).order_by("at", "pk"))
    count = sum(row.count for row in rows)
    if not count:
        return ""
    return (
        f"{count:,} {'delivery' if count == 1 else 'deliveries'} of its program could not be "
        f"taken. The last one: {rows[-1].reason.rstrip('.')}. What it sent lies on its machine; "
        "“backline sync” there sends again what was not refused for good."
    )
