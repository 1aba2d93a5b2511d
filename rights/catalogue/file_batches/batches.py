"""The life of a file batch: received, looked at, decided about by a person, attached, discarded.

Permission is given for one file and for good, so nothing is attached before a person has read which
file is whose. Rows are the queue: a task looks for batches with work to do (running.py).
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from portal import audit, storage
from portal.celery import wake
from portal.database import commit_order
from portal.models import Blob, User
from rights.catalogue.file_batches import unpacking
from rights.errors import Refused
from rights.models import BatchFile, FileBatch, Recording

State = FileBatch.State
FileState = BatchFile.State
TASK = "rights.file_batches"
# What nobody has attached by then is discarded.
KEPT = timedelta(days=30)
# A batch that was not received to its end by then broke off.
RECEIVED_WITHIN = timedelta(days=1)
UNKNOWN_TYPE = "application/octet-stream"
ZIP_TYPE = "application/zip"
AT_WORK = (State.RECEIVING, State.LOOKING, State.ATTACHING)


class Stopped(Exception):
    """The batch was discarded, or another worker has taken it."""


@dataclass(frozen=True)
class Sent:
    """A file as it came, and its name after those of its folders, as far as they are known."""

    path: str
    file: IO[bytes]
    size: int


# --- Receiving --------------------------------------------------------------------------------


def receive(*, by: User, files: Iterable[Sent]) -> FileBatch:
    """Store the files as they come, and have them looked at. What cannot be taken is in the list
    with the reason. Raises Refused if there are none."""
    sent = list(files)
    if not sent:
        raise Refused("required", "Choose files, a folder or a zip.", field="files")
    batch = FileBatch.objects.create(name=_name_of(sent), made_by=by)
    try:
        for number, file in enumerate(sent, start=1):
            _receive_one(batch, number, file)
    except BaseException:
        # Nobody can decide about a half of what was sent.
        discard_broken_off(batch)
        raise
    with transaction.atomic():
        commit_order.moment()
        _move(batch, (State.RECEIVING,), State.LOOKING, "It was received already.")
        audit.record(
            by=by,
            verb="files.uploaded",
            subject=batch,
            files=len(sent),
            bytes=sum(file.size for file in sent),
            private={"name": batch.name},
        )
        wake(TASK)
    return batch


def _name_of(sent: list[Sent]) -> str:
    first = unpacking.clean_path(sent[0].path)
    folder, slash, _ = first.partition("/")
    if slash and all(file.path.startswith(f"{folder}/") for file in sent):
        return folder[:200]
    more = f" and {len(sent) - 1} more" if len(sent) > 1 else ""
    return f"{first[:180]}{more}"


def _receive_one(batch: FileBatch, number: int, sent: Sent) -> None:
    path = unpacking.clean_path(sent.path)
    row = BatchFile(batch=batch, number=number, path=path, size=sent.size)
    if words := unpacking.why_passed_over(path):
        row.state, row.sentence = FileState.PASSED_OVER, words
    elif words := unpacking.why_not_opened(path, inside=False):
        row.state, row.sentence = FileState.REFUSED, words
    else:
        is_zip = unpacking.is_zip(sent.file)
        store(row, sent.file, media_type=ZIP_TYPE if is_zip else UNKNOWN_TYPE)
    enter(row, believed=State.RECEIVING)


def store(row: BatchFile, file: storage.Readable, *, media_type: str) -> None:
    """Store the bytes of a row that is not entered yet, or say in it why they are not taken."""
    room = room_left(row.batch)
    # A zip may be as large as all that is in it.
    limit = room if media_type == ZIP_TYPE else min(room, settings.UPLOAD_MAX_BYTES)
    full = (
        f"The batch is full: at most {settings.FILE_BATCH_MAX_BYTES // 1_000_000:,} MB go at once, "
        "unpacked. Send the rest in another one."
    )
    if room <= 0:
        row.state, row.sentence = FileState.REFUSED, full
        return
    try:
        blob = storage.put(file, media_type=media_type, max_bytes=limit)
    except storage.TooLarge as error:
        row.state, row.sentence = FileState.REFUSED, full if limit == room else str(error)
    else:
        row.blob, row.sha256, row.size = blob, blob.sha256, blob.size


def room_left(batch: FileBatch) -> int:
    """Return how many bytes the batch may still hold; archives count by what is in them."""
    held = batch.files.exclude(sha256="").exclude(state=FileState.UNPACKED)
    archives = Q(blob__media_type=ZIP_TYPE, archive=None)
    total: int = held.exclude(archives).aggregate(total=Sum("size"))["total"] or 0
    return int(settings.FILE_BATCH_MAX_BYTES) - total


def enter(row: BatchFile, *, believed: State) -> None:
    """Enter the row of a file that is stored. Raises Stopped, and forgets the file, if the batch is
    not as believed or another worker has entered it."""
    try:
        with locked(row.batch, believed):
            # Whoever discards the same bytes of another batch has the turn before or after this.
            if row.blob_id and not Blob.objects.filter(pk=row.blob_id).exists():
                row.blob, row.state = None, FileState.REFUSED
                row.sentence = "The same file was being discarded just then. Send it again."
            row.save(force_insert=True)
    except (Stopped, IntegrityError) as error:
        if row.blob_id:
            storage.forget(row.blob_id)
        raise Stopped from error


# --- What a person decides --------------------------------------------------------------------


@transaction.atomic
def choose(file: BatchFile, *, by: User, recording: Recording) -> BatchFile:
    """Say which announced recording a file belongs to. Nothing is attached by that."""
    _lock_ready(file.batch)
    recording.refresh_from_db()
    if recording.audio_id is not None:
        raise Refused(
            "has_audio",
            f"“{recording}” has its file already, and a file is never exchanged.",
            field="recording",
        )
    rivals = BatchFile.objects.filter(
        batch=file.batch_id, recording=recording, state__in=(FileState.MATCHED, FileState.ATTACHING)
    )
    if rival := rivals.exclude(pk=file.pk).first():
        raise Refused(
            "taken",
            f"“{rival.path}” is for “{recording}” already. Leave that one out first.",
            field="recording",
        )
    _decide(
        file,
        by=by,
        state=FileState.MATCHED,
        how=BatchFile.How.CHOSEN,
        recording=recording,
        sentence="",
    )
    audit.record(
        by=by, verb="files.chosen", subject=file.batch, file=file.sha256, recording=recording.pk
    )
    return file


@transaction.atomic
def leave_out(file: BatchFile, *, by: User) -> BatchFile:
    """Say that a file is of no recording here; it may be chosen until it is discarded."""
    _lock_ready(file.batch)
    _decide(
        file,
        by=by,
        state=FileState.LEFT_OUT,
        how="",
        recording=None,
        sentence=f"Left out by {by.display_name}.",
    )
    audit.record(by=by, verb="files.left_out", subject=file.batch, file=file.sha256)
    return file


def _decide(file: BatchFile, **values: object) -> None:
    values["decided_by"] = values.pop("by")
    undecided = BatchFile.objects.filter(
        pk=file.pk, state__in=BatchFile.UNDECIDED, blob__isnull=False
    )
    if not undecided.update(**values):
        raise Refused("state", "Nothing is to be decided about this file any more.")
    file.refresh_from_db()


@transaction.atomic
def match_again(batch: FileBatch, *, by: User) -> FileBatch:
    """Match what is not decided by a person with the recordings that are announced by now."""
    commit_order.moment()
    _move(batch, (State.READY,), State.LOOKING, "It is being worked on. Wait until that is done.")
    undecided = batch.files.filter(state__in=BatchFile.MATCHED_ANEW)
    undecided.exclude(how=BatchFile.How.CHOSEN, state=FileState.MATCHED).update(
        state=FileState.LOOKED_AT, how="", recording=None, candidates=[], sentence=""
    )
    audit.record(by=by, verb="files.matched_again", subject=batch)
    wake(TASK)
    return batch


def proposals(batch: FileBatch) -> list[tuple[int, int | None, bool]]:
    """Return what confirming would attach: file, recording, and whether that has no file yet."""
    rows = batch.files.filter(state=FileState.MATCHED).order_by("pk")
    return [
        (pk, recording, audio is None)
        for pk, recording, audio in rows.values_list("pk", "recording", "recording__audio")
    ]


@transaction.atomic
def attach(batch: FileBatch, *, by: User, files: Collection[int] | None = None) -> int:
    """Have the matched files attached to their recordings, all or those with these ids; return how
    many. From then on they are in good hands: each is decoded, and attached or refused."""
    commit_order.moment()
    rows = batch.files.filter(state=FileState.MATCHED)
    if files is not None:
        rows = rows.filter(pk__in=files)
    digests = sorted(rows.values_list("sha256", flat=True))
    if not digests:
        raise Refused("required", "Tick the files that are to be attached.", field="file")
    _move(batch, (State.READY,), State.ATTACHING, "It is being worked on. Wait until that is done.")
    rows.update(state=FileState.ATTACHING, decided_by=by, tries=0)
    audit.record(by=by, verb="files.confirmed", subject=batch, files=digests)
    wake(TASK)
    return len(digests)


# --- Discarding -------------------------------------------------------------------------------


@transaction.atomic
def discard(batch: FileBatch, *, by: User | None) -> FileBatch:
    """Give up what was not attached; a worker removes the bytes. What is attached stays."""
    commit_order.moment()
    _move(
        batch,
        (State.READY, State.LOOKING) if by else (State.READY, State.RECEIVING),
        State.DISCARDED,
        "Its files are being attached, or it is discarded already.",
        ended_at=timezone.now(),
    )
    audit.record(
        by=by,
        verb="files.discarded",
        subject=batch,
        files=sorted(with_bytes(batch).values_list("sha256", flat=True)),
    )
    wake(TASK)
    return batch


def discard_broken_off(batch: FileBatch) -> None:
    with transaction.atomic():
        commit_order.moment()
        FileBatch.objects.filter(pk=batch.pk, state=State.RECEIVING).update(
            state=State.DISCARDED, ended_at=timezone.now()
        )
        audit.record(by=batch.made_by, verb="files.broken_off", subject=batch)
        wake(TASK)


def with_bytes(batch: FileBatch) -> QuerySet[BatchFile]:
    """Return the files of the batch whose bytes only it needs."""
    return batch.files.filter(blob__isnull=False).exclude(state__in=BatchFile.DONE)


def discard_old(now: datetime) -> int:
    """Discard what nobody has attached in time, and what was never received to its end."""
    waiting = BatchFile.objects.filter(blob__isnull=False).exclude(state__in=BatchFile.DONE)
    old = FileBatch.objects.filter(
        Q(state=State.READY, created_at__lt=now - KEPT, pk__in=waiting.values("batch"))
        | Q(state=State.RECEIVING, created_at__lt=now - RECEIVED_WITHIN)
    )
    count = 0
    for batch in old:
        try:
            discard(batch, by=None)
        except Refused:
            continue
        count += 1
    return count


def discarded_on(batch: FileBatch) -> datetime:
    return batch.created_at + KEPT


# --- States -----------------------------------------------------------------------------------


@contextmanager
def locked(batch: FileBatch, believed: State) -> Iterator[FileBatch]:
    """Hold the row of a batch in a transaction. Raises Stopped if it is not in this state."""
    with transaction.atomic():
        commit_order.moment()
        row = FileBatch.objects.select_for_update(no_key=True).get(pk=batch.pk)
        if row.state != believed:
            raise Stopped
        yield row


def _lock_ready(batch: FileBatch) -> None:
    commit_order.moment()
    row = FileBatch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    if row.state != State.READY:
        raise Refused("state", "The batch is being worked on, or is discarded.")


def _move(
    batch: FileBatch, old: tuple[State, ...], new: State, refusal: str, **values: object
) -> None:
    """Compare-and-set the state; a worker on the batch finds out before its next file."""
    moved = FileBatch.objects.filter(pk=batch.pk, state__in=old).update(
        state=new, beat_at=None, **values
    )
    if not moved:
        raise Refused("state", refusal)
    batch.refresh_from_db()
