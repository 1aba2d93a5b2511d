"""Short, idempotent Celery tasks."""

from celery import shared_task

from workers import reconciling
from workers.cluster import choice


@shared_task(name="workers.reconcile")
def reconcile() -> None:
    """Bring rows and cluster together. Safe to run twice, at once, or never."""
    reconciling.reconcile(choice.current())
