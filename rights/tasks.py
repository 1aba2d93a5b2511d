"""Short, idempotent Celery tasks of this room."""

from celery import shared_task

from rights.catalogue import sound_backfill
from rights.exchange.importing import running


@shared_task(name="rights.imports")
def imports() -> None:
    """Go on with an import, where one wants work. Two at once take one job once."""
    running.go_on()


@shared_task(name="rights.compare_sounds")
def compare_sounds() -> None:
    """Hold against the others what came before prints were made. Two at once ask once."""
    sound_backfill.go_on()
