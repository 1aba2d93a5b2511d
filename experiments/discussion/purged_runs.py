"""What was said of a run goes with it when it is purged: comments, alerts, and notices of both."""

from experiments.discussion import comments
from experiments.models import Alert, Notice, Run
from experiments.runs import outputs
from portal.database import bulk


def forget_run(run: Run) -> None:
    """Delete what people and rules have said of the run."""
    comments.forget("run", str(run.pk))
    alerts = Alert.objects.filter(run=run)
    keys = [f"alert:{pk}" for pk in alerts.values_list("pk", flat=True)]
    for part in bulk.parts(keys, 500):
        Notice.objects.filter(key__in=part).delete()
    alerts.delete()


outputs.on_purge(forget_run)
