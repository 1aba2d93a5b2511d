"""Short, idempotent Celery tasks of this app."""

from threading import Lock

from celery import shared_task

from experiments.alerts import sending, watching, webhooks
from experiments.inbox import mails

# One of each at a time in a worker: the other threads are there for runs that start and stop.
_watching = Lock()
_sending = Lock()


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
        finally:
            _sending.release()
