"""What programs of a run could not deliver: it lies on their disks, and the run's page says so."""

from django.utils import timezone

from backline import wire
from experiments.models import Run, Undelivered


def store_report(run: Run, said: wire.Undelivered) -> None:
    """Keep what a session tells; told twice it is kept once."""
    if not said.count:
        Undelivered.objects.filter(run=run, session=said.session).delete()
        return
    told = {"count": said.count, "reason": said.reason, "at": timezone.now()}
    Undelivered.objects.update_or_create(run=run, session=said.session, defaults=told)


def words(run: Run) -> str:
    """How much was not taken, why, and what to do; empty where everything was."""
    rows = list(Undelivered.objects.filter(run=run).order_by("at", "pk"))
    count = sum(row.count for row in rows)
    if not count:
        return ""
    return (
        f"{count:,} {'delivery' if count == 1 else 'deliveries'} of its program could not be "
        f"taken. The last one: {rows[-1].reason.rstrip('.')}. What it sent lies on its machine; "
        "“backline sync” there sends again what was not refused for good."
    )
