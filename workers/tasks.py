"""Short, idempotent Celery tasks."""

from threading import Lock

from celery import shared_task
from django.conf import settings

from workers import reconciling
from workers.cluster import backend
from workers.demo import night_shift

# One of them at a time in a worker.
_demo = Lock()


@shared_task(name="workers.reconcile")
def reconcile() -> None:
    """Bring rows and cluster together. Safe to run twice, at once, or never."""
    manifest = reconciling.pod_job if settings.CLUSTER == "kubernetes" else reconciling.local_job
    reconciling.reconcile(backend.current(), manifest=manifest)


@shared_task(name="workers.demo")
def demo() -> None:
    """Do the next step of the demo's second project, if it is there and nothing of it is open."""
    if settings.DEMO_RUNS and _demo.acquire(blocking=False):
        try:
            night_shift.do_next()
        finally:
            _demo.release()
