"""Short, idempotent Celery tasks of this room."""

from celery import shared_task

from rights.importing import running


@shared_task(name="rights.imports")
def imports() -> None:
    """Go on with an import, where one wants work. Two at once take one job once."""
    running.go_on()
