"""History and tags of thousands of runs at once, where model objects would hold the lock of the
database for seconds."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from experiments.models import Run, RunBatch, RunEdit, RunTag
from portal.database import bulk
from portal.models import User

EDIT_COLUMNS = (
    "run_id", "version", "at", "by_id", "source", "before", "after", "undoes_id", "batch_id",
)  # fmt: skip
TAG_COLUMNS = ("run_id", "project_id", "name", "key")


def store_edits(
    changes: Iterable[tuple[Run, dict[str, Any], dict[str, Any]]],
    *,
    by: User,
    at: datetime,
    batch: RunBatch | None,
    undoes: Mapping[UUID, RunEdit],
) -> None:
    """Store one edit for each run, whose `described` is its version: before and after."""
    moment = connection.ops.adapt_datetimefield_value(at)
    batch_id = batch.pk if batch else None
    rows = (
        (
            db_key(run), run.described, moment, by.pk, "", before, after,
            undoes[run.pk].pk if run.pk in undoes else None, batch_id,
        )
        for run, before, after in changes
    )  # fmt: skip
    bulk.insert(RunEdit, EDIT_COLUMNS, rows)


def store_tags(runs: Iterable[Run]) -> None:
    """Store the rows of all tags of runs that have none."""
    rows = (
        (db_key(run), run.project_id, name, name.casefold()) for run in runs for name in run.tags
    )
    bulk.insert(RunTag, TAG_COLUMNS, rows)


def db_key(run: Run) -> Any:
    """Return a run's key as the database has it."""
    return Run._meta.pk.get_db_prep_value(run.pk, connection)
