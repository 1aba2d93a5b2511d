"""Where a run stands: archived and restored, deleted and brought back, and purged.

An archived run is in no list unless somebody asks for archived runs; nothing else changes. A
deleted run is gone for people, and may be brought back for a week. Then a reconcile pass purges it:
points, log, media, weights, sound, notes and tags go for good. Its row stays, with its number,
config, dataset, decision and cost, because the ledger, credits, statements and the walk over
permissions rest on it; so do the digests of its weights and clips: delivered again, they are
recognised.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from experiments.clearance.permission import check_member
from experiments.media import purging
from experiments.models import Checkpoint, Chunk, ModelPage, Run, RunBatch, RunEdit, Sweep
from experiments.runs import edit_rows, outputs
from experiments.runs.checkpoints import unlist_checkpoint
from experiments.runs.outside import NotPossible
from portal import audit, storage
from portal.database import commit_order
from portal.database.bulk import parts
from portal.models import User

# How long a deleted run may be brought back.
KEPT = timedelta(days=7)
FIELDS = ("archived", "deleted")
# Rows or ids per statement.
AT_ONCE = 500


# --- Writes ---------------------------------------------------------------------------------


def archive(*, run: Run, by: User) -> Run:
    """Take the run out of the lists. Raises NotPermitted, NotPossible."""
    return _one(run, by, "archived", on=True)


def restore(*, run: Run, by: User) -> Run:
    """Put an archived run back into the lists. Raises NotPermitted, NotPossible."""
    return _one(run, by, "archived", on=False)


def delete(*, run: Run, by: User) -> Run:
    """Delete a run, to be purged in a week. Raises NotPermitted; NotPossible for one that has not
    ended, or that something rests on."""
    return _one(run, by, "deleted", on=True)


def bring_back(*, run: Run, by: User) -> Run:
    """Undo a deletion. Raises NotPermitted; NotPossible after the week, or while the run from whose
    weights it started is deleted."""
    return _one(run, by, "deleted", on=False)


def _one(run: Run, by: User, field: str, *, on: bool) -> Run:
    check_member(by, run.project)
    with transaction.atomic():
        at = commit_order.moment()
        run = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        if reason := why_not([run], field, on=on, at=at).get(run.pk):
            raise NotPossible(reason)
        put([run], field, on=on, by=by, at=at)
        verb = f"run.{field}" if on else f"run.{field}_undone"
        audit.record(by=by, verb=verb, subject=run, moment=at, number=run.number)
    return run


def put(
    rows: Sequence[Run],
    field: str,
    *,
    on: bool,
    by: User,
    at: datetime,
    batch: RunBatch | None = None,
    undoes: Mapping[UUID, RunEdit] | None = None,
) -> None:
    """Archive or delete locked runs, or take that back, with their history; `why_not` is asked
    before, and the caller writes the audit line."""
    column, moment = f"{field}_at", at if on else None
    for part in parts([run.pk for run in rows], AT_ONCE):
        values: dict[str, Any] = {column: moment, "described": F("described") + 1}
        Run.objects.filter(pk__in=part).update(**values)
        if field == "deleted" and on:
            outputs.deleted(part)
    for run in rows:
        setattr(run, column, moment)
        run.described += 1
    changes = [(run, {field: not on}, {field: on}) for run in rows]
    edit_rows.store_edits(changes, by=by, at=at, batch=batch, undoes=undoes or {})


def purge_due(now: datetime, *, at_most: int = 20) -> int:
    """Purge runs that were deleted more than a week ago; return how many. One that something has
    come to rest on waits: a clip that a rightsholder objects to is heard before it goes."""
    due = Run.objects.filter(deleted_at__lte=now - KEPT, purged_at=None).order_by("deleted_at")
    purged = 0
    # Of those that wait, the oldest must not block the others.
    for run in due[: at_most * 10]:
        if purged < at_most and not why_not([run], "deleted", on=True, at=now):
            purge(run)
            purged += 1
    return purged


def purge(run: Run) -> None:
    """Delete what a deleted run has delivered. May be broken off and repeated."""
    points = sum(run.series.values_list("count", flat=True))
    points += sum(run.replaced_points.values_list("count", flat=True))
    for rows in (
        Chunk.objects.filter(series__run=run),
        run.batches.all(),
        run.folded_batches.all(),
        run.replaced_points.all(),
        run.logs.all(),
        run.series.all(),
    ):
        # In pieces: the one lock of SQLite is free between them.
        while pks := list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
            rows.model._base_manager.filter(pk__in=pks).delete()
    media = purging.forget(run)
    with transaction.atomic():
        at = commit_order.moment()
        run = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        if run.deleted_at is None or run.purged_at is not None:
            return
        weights = Checkpoint.every.filter(run=run, blob__isnull=False)
        digests = [unlist_checkpoint(checkpoint) for checkpoint in weights]
        sounds = outputs.forget(run)
        run.edits.all().delete()
        run.tag_rows.all().delete()
        # What was not committed is somebody's text too.
        run.environments.all().delete()
        Run.objects.filter(pk=run.pk).update(
            purged_at=at, notes="", description="", tags=[], stage="", warning=""
        )
        audit.record(
            by=None, verb="run.purged", subject=run, moment=at, number=run.number,
            checkpoints=len(digests), clips=len(sounds), points=points, media=media,
        )  # fmt: skip
    for digest in {*digests, *sounds}:
        storage.forget(digest)


# --- Reads ----------------------------------------------------------------------------------


def why_not(rows: Sequence[Run], field: str, *, on: bool, at: datetime) -> dict[UUID, str]:
    """Return which of these runs cannot be archived or deleted, or brought back, each with why; by
    the same few queries for one run as for hundreds."""
    if field == "archived":
        return _why_not_archive(rows, on=on)
    return _why_not_delete(rows) if on else _why_not_bring_back(rows, at)


def deleted_runs(rows: Iterable[Run], now: datetime) -> list[tuple[Run, datetime]]:
    """Return the runs with the moment until which each may be brought back."""
    return [
        (run, run.deleted_at + KEPT)
        for run in rows
        if run.deleted_at is not None and run.deleted_at + KEPT > now
    ]


def _why_not_archive(rows: Sequence[Run], *, on: bool) -> dict[UUID, str]:
    reasons = {}
    for run in rows:
        if run.deleted_at is not None:
            reasons[run.pk] = f"Run {run.number} was deleted."
        elif on and run.archived_at is not None:
            reasons[run.pk] = f"Run {run.number} is archived already."
        elif not on and run.archived_at is None:
            reasons[run.pk] = f"Run {run.number} is not archived."
        elif on and run.is_open:
            reasons[run.pk] = f"Run {run.number} has not ended: nobody would see it go on."
    return reasons


def _why_not_delete(rows: Sequence[Run]) -> dict[UUID, str]:
    reasons: dict[UUID, str] = {}
    pks = [run.pk for run in rows]
    numbers = {run.pk: run.number for run in rows}
    for part in parts(pks, AT_ONCE):
        published = set(ModelPage.objects.filter(run__in=part).values_list("run", flat=True))
        later = _started_from(part, numbers)
        sweeping = _swept_from(part)
        kept = outputs.why_kept(part)
        for pk in part:
            if pk in later:
                run = later[pk]
                reasons[pk] = f"{_name(run)} started from its weights: delete that one first."
            elif pk in sweeping:
                number = sweeping[pk].number
                reasons[pk] = f"Sweep {number} starts its trials from its weights: stop it first."
            elif pk in published:
                reasons[pk] = f"The model of run {numbers[pk]} has a public page, which credits it."
            elif pk in kept:
                reasons[pk] = f"Run {numbers[pk]}: {kept[pk]}"
    for run in rows:
        if run.is_open:
            reasons[run.pk] = f"Run {run.number} has not ended: cancel it first."
    return reasons


def _why_not_bring_back(rows: Sequence[Run], at: datetime) -> dict[UUID, str]:
    reasons: dict[UUID, str] = {}
    own = {run.pk for run in rows}
    sources = {
        checkpoint.pk: checkpoint.run
        for part in parts([run.start_from_id for run in rows if run.start_from_id], AT_ONCE)
        for checkpoint in Checkpoint.every.filter(pk__in=part).select_related("run")
    }
    for run in rows:
        source = sources.get(run.start_from_id or 0)
        if run.deleted_at is None:
            reasons[run.pk] = f"Run {run.number} is not deleted."
        elif run.purged_at is not None or run.deleted_at + KEPT <= at:
            reasons[run.pk] = (
                f"Run {run.number} was deleted more than {KEPT.days} days ago: it is gone."
            )
        elif source and source.deleted_at is not None and source.pk not in own:
            reasons[run.pk] = (
                f"It started from the weights of {_name(source)}: bring that back first."
            )
    return reasons


def _started_from(runs: Collection[UUID], leaving: Collection[UUID]) -> dict[UUID, Run]:
    """Return by run one that started from its very bytes and stays."""
    own = Checkpoint.every.filter(run__in=runs).values_list("digest", "run")
    by_digest: dict[str, list[UUID]] = {}
    for digest, pk in own:
        by_digest.setdefault(digest, []).append(pk)
    later: dict[UUID, Run] = {}
    for part in parts(sorted(by_digest), AT_ONCE):
        started = Run.objects.filter(start_from__digest__in=part, deleted_at=None)
        for run in started.select_related("start_from"):
            if run.start_from is not None and run.pk not in leaving:
                later |= dict.fromkeys(by_digest[run.start_from.digest], run)
    return later


def _swept_from(runs: Collection[UUID]) -> dict[UUID, Sweep]:
    """Return by run a sweep that has trials to start from its weights."""
    active = (Sweep.State.RUNNING, Sweep.State.PAUSED)
    rows = Sweep.objects.filter(start_from__run__in=runs, state__in=active)
    return {
        sweep.start_from.run_id: sweep
        for sweep in rows.select_related("start_from")
        if sweep.start_from is not None
    }


def _name(run: Run) -> str:
    return f"run {run.number}"
