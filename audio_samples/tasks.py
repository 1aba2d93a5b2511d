"""Short, idempotent Celery tasks of this room."""

from threading import Lock

from celery import shared_task

from audio_samples import samples
from audio_samples.copy_check import screenings

# One turn at a time in a worker: the clock nudges while one is at work, and the other threads are
# there for runs that start and stop. A turn that wakes the next one is over within a moment.
_screening = Lock()
MOMENT = 2.0


@shared_task(name=screenings.TASK)
def screen() -> None:
    """Go on with the copy check of samples, where some wait. Two workers keep one result."""
    if _screening.acquire(timeout=MOMENT):
        try:
            samples.note_sounds()
            screenings.go_on()
        finally:
            _screening.release()
