"""What was said of a run leaves inboxes when the run is deleted, and is gone when it is purged."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet

from experiments.discussion import comments
from experiments.inbox import notices
from experiments.models import Alert, Run
from experiments.runs import outputs


def clear_inboxes(runs: Collection[UUID]) -> None:
    """Delete the notices of comments and alerts on deleted runs, which have a run's name in them.
    A run that is brought back has its comments and alerts; that they were told is over."""
    comments.forget_notices("run", map(str, runs))
    _forget_alert_notices(Alert.objects.filter(run__in=runs))


def forget_run(run: Run) -> None:
    """Delete what people and rules have said of the run."""
    comments.forget("run", str(run.pk))
    alerts = Alert.objects.filter(run=run)
    _forget_alert_notices(alerts)
    alerts.delete()


def _forget_alert_notices(alerts: QuerySet[Alert]) -> None:
    notices.forget(f"alert:{pk}" for pk in alerts.values_list("pk", flat=True))


outputs.on_delete(clear_inboxes)
outputs.on_purge(forget_run)
