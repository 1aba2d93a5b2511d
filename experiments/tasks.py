"""Short, idempotent Celery tasks of this app."""

from threading import Lock

from celery import shared_task
from django.core.cache import cache
from django.utils import timezone

from experiments.alerts import sending, watching, webhooks
from experiments.inbox import mails, notices
from experiments.reports import shelving
from experiments.reports.export import exports

# One of each at a time in a worker: the other threads are there for runs that start and stop.
_watching = Lock()
_sending = Lock()
_exporting = Lock()
HOUR = 3600


@shared_task(name="experiments.watch_runs")
def watch_runs() -> None:
    """Evaluate the alert rules. Two workers at once raise each alert once."""
    if _watching.acquire(blocking=False):
        try:
            watching.run_pass()
        finally:
            _watching.release()


@shared_task(name=webhooks.SEND)
def send_notices() -> None:
    """Send the mails and webhook messages that are due."""
    if _sending.acquire(blocking=False):
        try:
            mails.send_due()
            sending.run_pass()
            # Reading all that is old takes longer than it is worth doing every ten seconds.
            if cache.add("experiments.notices.remove_old", "done", HOUR):
                notices.remove_old(timezone.now())
        finally:
            _sending.release()


@shared_task(name=exports.TASK)
def make_report_files() -> None:
    """Make the files of reports that were asked for, and remove what was kept for long enough."""
    if _exporting.acquire(blocking=False):
        try:
            exports.run_pass()
            shelving.purge_due(timezone.now())
        finally:
            _exporting.release()
