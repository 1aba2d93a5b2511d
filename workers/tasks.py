"""Short, idempotent Celery tasks."""

from celery import shared_task
from django.conf import settings

from workers import reconciling
from workers.cluster import backend


@shared_task(name="workers.reconcile")
def reconcile() -> None:
    """Bring rows and cluster together. Safe to run twice, at once, or never."""
    manifest = reconciling.pod_job if settings.CLUSTER == "kubernetes" else reconciling.local_job
    reconciling.reconcile(backend.current(), manifest=manifest)
