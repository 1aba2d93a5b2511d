"""Short, idempotent Celery tasks of this room."""

from celery import shared_task

from audio_samples import screenings


@shared_task(name=screenings.TASK)
def screen() -> None:
    """Go on with the copy check of samples, where some wait. Two at once keep one result."""
    screenings.go_on()
