"""Short, idempotent Celery tasks of this app."""

from threading import Lock

from celery import shared_task

from audio_samples import samples
from audio_samples.copy_check import screenings

# One task at a time in a worker: the clock wakes it while one is at work, and the other threads are
# there for runs that start and stop. A task that wakes the next one is over within a moment.
_screening = Lock()
MOMENT = 2.0


@shared_task(name=screenings.TASK)
def screen() -> None:
    """Continue the copy check of waiting samples. Two workers at once store one result."""
    if _screening.acquire(timeout=MOMENT):
        try:
            samples.store_sound_digests()
            screenings.run_pass()
        finally:
            _screening.release()
