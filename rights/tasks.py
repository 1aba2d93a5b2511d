"""Short, idempotent Celery tasks of the rights app."""

from celery import shared_task

from rights.catalogue import sound_backfill
from rights.catalogue.file_batches import running as file_batches_running
from rights.exchange.importing import running


@shared_task(name="rights.imports")
def imports() -> None:
    """Continue an import that has work to do. Two at once never take the same job."""
    running.run_next()


@shared_task(name="rights.file_batches")
def file_batches() -> None:
    """Continue a batch of files. Two at once never take the same batch."""
    file_batches_running.run_next()


@shared_task(name="rights.compare_sounds")
def compare_sounds() -> None:
    """Compare files that came before prints were made. Two at once open a question once."""
    sound_backfill.run_pass()
