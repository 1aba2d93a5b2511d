"""What was said of a run leaves inboxes when the run is deleted, and is gone when it is purged."""

from collections.abc import Collection, Iterable
from uuid import UUID

from experiments.discussion import comments
from experiments.models import Alert, Notice, Run
from experiments.runs import outputs
from portal.database import bulk


def clear_inboxes(runs: Collection[UUID]) -> None:
    """Delete the notices of comments and alerts on deleted runs, which have a run's name in them.
    A run that is brought back has its comments and alerts; that they were told is over."""
    comments.forget_notices("run", map(str, runs))
    _forget_alert_notices(Alert.objects.filter(run__in=runs).values_list("pk", flat=True))


def forget_run(run: Run) -> None:
    """Delete what people and rules have said of the run."""
    comments.forget("run", str(run.pk))
    alerts = Alert.objects.filter(run=run)
    _forget_alert_notices(alerts.values_list("pk", flat=True))
    alerts.delete()


def _forget_alert_notices(alerts: Iterable[int]) -> None:
    for part in bulk.parts([f"alert:{pk}" for pk in alerts], 500):
        Notice.objects.filter(key__in=part).delete()


outputs.on_delete(clear_inboxes)
outputs.on_purge(forget_run)
