"""Work on file batches: one batch at a time, each file in transactions of its own, in any worker.

A file's row moves by compare-and-set after its work is done. So a worker that dies leaves whole
files only, and of two that both believe to have the batch each finds what the other has done.
"""

import hashlib
import logging
import time
import zipfile
from contextlib import suppress
from datetime import datetime, timedelta
from typing import IO

from django.db import DatabaseError, OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone

from audio import decoding, tags
from audio.decoding import BadAudio
from backline import bounds
from portal import audit, storage
from portal.celery import wake
from portal.http import outages
from portal.models import Blob
from rights.catalogue import audio_intake, catalogue
from rights.catalogue.file_batches import batches, catalogue_index, matching, unpacking
from rights.catalogue.file_batches.batches import Stopped
from rights.errors import Refused
from rights.models import BatchFile, FileBatch

State = FileBatch.State
FileState = BatchFile.State
# A worker that has been silent this long counts as dead. The longest files take a minute each.
SILENCE = timedelta(minutes=3)
# A task frees its worker after this many seconds; the next one continues.
TASK_SECONDS = 40.0
# A file with which so many workers ended is not begun again.
MOST_TRIES = 3
CHUNK = 1024 * 1024
MISSING = "The file is missing from storage. Send it again."
EMPTY = "The file is empty: it has no bytes in it."
MISTAKE = "A mistake of the portal's stopped it; an operator finds it in the log."

log = logging.getLogger(__name__)


def run_next(*, seconds: float = TASK_SECONDS) -> bool:
    """Work on a free batch for some seconds; return false without one."""
    batches.discard_old(timezone.now())
    sweep()
    batch = claim()
    if batch is None:
        return False
    try:
        _work_on(batch, time.monotonic() + seconds)
    except Stopped:
        log.info("File batch %s was discarded or taken over.", batch.pk)
    wake(batches.TASK)
    return True


def claim(now: datetime | None = None) -> FileBatch | None:
    """Claim the oldest free batch. While one is at work, the others wait."""
    now = now or timezone.now()
    queue = FileBatch.objects.filter(state__in=(State.LOOKING, State.ATTACHING))
    if queue.filter(beat_at__gte=now - SILENCE).exists():
        return None
    for batch in queue.order_by("created_at", "pk"):
        # Compare-and-set on the beat too: of two workers that saw it silent, one gets it.
        unchanged = FileBatch.objects.filter(pk=batch.pk, state=batch.state, beat_at=batch.beat_at)
        if unchanged.update(beat_at=now):
            batch.refresh_from_db()
            return batch
    return None


def sweep() -> int:
    """Let go of bytes that no batch needs, and remove those that nobody else needs either."""
    needless = Q(state__in=BatchFile.DONE) | Q(batch__state=State.DISCARDED)
    count = 0
    for pk, sha256 in BatchFile.objects.filter(needless, blob__isnull=False).values_list(
        "pk", "blob"
    )[:1_000]:
        with transaction.atomic():
            BatchFile.objects.filter(pk=pk).update(blob=None)
            storage.forget(str(sha256))
        count += 1
    return count


# --- One batch --------------------------------------------------------------------------------


def _work_on(batch: FileBatch, deadline: float) -> None:
    """Do file after file until none waits, or the time is up."""
    looking = batch.state == State.LOOKING
    believed = State.LOOKING if looking else State.ATTACHING
    waiting = FileState.WAITING if looking else FileState.ATTACHING
    while file := batch.files.filter(state=waiting).order_by("pk").first():
        beat(batch, believed)
        _work_on_file(file, deadline)
        if time.monotonic() > deadline:
            _release(batch)
            return
    if looking:
        match(batch)
    else:
        with batches.locked(batch, State.ATTACHING) as row:
            row.state, row.beat_at = State.READY, None
            row.save(update_fields=["state", "beat_at"])
    sweep()


def beat(batch: FileBatch, believed: State) -> None:
    """Show that the worker lives. Raises Stopped where the state is not as believed."""
    unchanged = FileBatch.objects.filter(pk=batch.pk, state=believed)
    if not unchanged.update(beat_at=timezone.now()):
        raise Stopped


def _release(batch: FileBatch) -> None:
    FileBatch.objects.filter(pk=batch.pk, state=batch.state).update(beat_at=None)


def _work_on_file(file: BatchFile, deadline: float) -> None:
    """Do one file. What is wrong with it is said in its row; what is wrong with the machine is
    raised, and the file is done when that is over."""
    if file.tries >= MOST_TRIES:
        finish(file, FileState.REFUSED, sentence=f"{MISTAKE} It was tried {MOST_TRIES} times.")
        return
    BatchFile.objects.filter(pk=file.pk).update(tries=F("tries") + 1)
    try:
        if file.state == FileState.WAITING:
            look_at(file, deadline)
        else:
            attach_one(file)
    except Stopped:
        raise
    except OperationalError:
        # No fault of the file's: it is not counted as a try.
        with suppress(DatabaseError):
            BatchFile.objects.filter(pk=file.pk).update(tries=0)
        raise
    except FileNotFoundError:
        finish(file, FileState.REFUSED, sentence=MISSING)
    except Exception as error:
        if outages.outage_of(error) is not None:
            BatchFile.objects.filter(pk=file.pk).update(tries=0)
            raise
        log.exception("A mistake with file %s of batch %s.", file.pk, file.batch_id)
        finish(file, FileState.REFUSED, sentence=MISTAKE)


def finish(file: BatchFile, new: FileState, **values: object) -> bool:
    """Compare-and-set the file's state; false if another worker has done it."""
    values["sentence"] = str(values.get("sentence", ""))[:500]
    unchanged = BatchFile.objects.filter(pk=file.pk, state=file.state)
    return bool(unchanged.update(state=new, tries=0, **values))


# --- Looking ----------------------------------------------------------------------------------


def look_at(file: BatchFile, deadline: float) -> None:
    """Unpack an archive, or read what a sound file says of itself."""
    with storage.open_blob(str(file.blob_id)) as content:
        if not unpacking.is_zip(content) and unpacking.ending(file.path) != "zip":
            _read(file, content)
        elif file.archive_id is None:
            _unpack(file, content, deadline)
        else:
            words = unpacking.why_not_opened("a.zip", inside=True)
            finish(file, FileState.REFUSED, sentence=words)


def _read(file: BatchFile, content: IO[bytes]) -> None:
    """Store hashes and tags. What is no sound is refused here, before anybody decides about it."""
    sha1, md5 = _hashes(content)
    if not file.size:
        finish(file, FileState.REFUSED, sentence=EMPTY)
        return
    try:
        with decoding.opened(content, audio_intake.LIMITS) as decoder:
            format_name, media_type = decoder.format, decoder.media_type
    except BadAudio as error:
        finish(file, FileState.REFUSED, sentence=str(error), sha1=sha1, md5=md5)
        return
    found = tags.read(content, format_name)
    Blob.objects.filter(pk=file.blob_id, media_type=batches.UNKNOWN_TYPE).update(
        media_type=media_type
    )
    texts = {"title": found.title, "artist": found.artist, "album": found.album}
    clean = {name: bounds.readable(text) for name, text in texts.items()}
    isrcs = [bounds.readable(code) for code in found.isrcs]
    finish(file, FileState.LOOKED_AT, sha1=sha1, md5=md5, tags={"isrcs": isrcs, **clean})


def _hashes(content: IO[bytes]) -> tuple[str, str]:
    """Return SHA-1 and MD5, by which suppliers announce files; nothing is trusted to them."""
    sha1 = hashlib.sha1(usedforsecurity=False)
    md5 = hashlib.md5(usedforsecurity=False)
    content.seek(0)
    while chunk := content.read(CHUNK):
        sha1.update(chunk)
        md5.update(chunk)
    content.seek(0)
    return sha1.hexdigest(), md5.hexdigest()


def _unpack(file: BatchFile, content: IO[bytes], deadline: float) -> None:
    """Enter each file of an archive; a later worker continues after the last that is entered."""
    done = set(BatchFile.objects.filter(archive=file).values_list("number", flat=True))
    try:
        with unpacking.opened(content) as archive:
            listed = unpacking.entries(archive)
            for entry in listed:
                if entry.number in done:
                    continue
                beat(file.batch, State.LOOKING)
                _refuse_bomb(file)
                _unpack_one(file, archive, entry)
                BatchFile.objects.filter(pk=file.pk).update(tries=0)
                if time.monotonic() > deadline:
                    return
    except unpacking.BadArchive as error:
        finish(file, FileState.REFUSED, sentence=str(error))
        return
    words = "1 file was in it." if len(listed) == 1 else f"{len(listed):,} files were in it."
    finish(file, FileState.UNPACKED, sentence=words)


def _refuse_bomb(file: BatchFile) -> None:
    """Raise BadArchive if entry after entry was unpacked for nothing: a small archive can name the
    same bytes thousands of times."""
    in_vain = BatchFile.objects.filter(archive=file, sentence=unpacking.TOO_MUCH)
    if in_vain.count() >= unpacking.MOST_TOO_MUCH:
        raise unpacking.BadArchive("Too many files in it unpack to more than sound does.")


def _unpack_one(file: BatchFile, archive: zipfile.ZipFile, entry: unpacking.Entry) -> None:
    row = BatchFile(
        batch=file.batch,
        archive=file,
        number=entry.number,
        path=unpacking.clean_path(f"{file.path}/{entry.path}"),
        size=min(entry.info.file_size, 2**62),
    )
    if words := unpacking.why_passed_over(entry.path):
        row.state, row.sentence = FileState.PASSED_OVER, words
    elif words := unpacking.why_not_opened(entry.path, inside=True) or unpacking.why_not_read(
        entry
    ):
        row.state, row.sentence = FileState.REFUSED, words
    else:
        try:
            with unpacking.reading(archive, entry) as unpacked:
                batches.store(row, unpacked, media_type=batches.UNKNOWN_TYPE)
        except unpacking.BadArchive as error:
            row.state, row.sentence = FileState.REFUSED, str(error)
    batches.enter(row, believed=State.LOOKING)


# --- Matching ---------------------------------------------------------------------------------


def match(batch: FileBatch) -> None:
    """Match all files that were looked at, and have a person decide. Attaches nothing."""
    rows = list(batch.files.filter(state=FileState.LOOKED_AT).order_by("path", "pk"))
    files = [_facts(row) for row in rows]
    # Copies keep their names when the files are matched anew.
    earlier = [_facts(row) for row in batch.files.filter(state=FileState.TWICE).order_by("pk")]
    index = catalogue_index.load([*files, *earlier])
    with batches.locked(batch, State.LOOKING) as locked:
        others = batch.files.exclude(state__in=(FileState.LOOKED_AT, *BatchFile.DONE))
        paths = {row.sha256: row.path for row in others if row.sha256}
        taken = {
            row.recording_id: row.path
            for row in others.filter(state__in=(FileState.MATCHED, FileState.ATTACHING))
            if row.recording_id
        }
        findings = matching.find_all(files, index, taken=taken, others=paths, earlier=earlier)
        for row in rows:
            finding = findings[row.pk]
            row.state, row.how = finding.state, finding.how
            row.recording_id, row.candidates = finding.recording, list(finding.candidates)
            row.sentence = finding.sentence[:500]
        columns = ["state", "how", "recording", "candidates", "sentence"]
        BatchFile.objects.bulk_update(rows, columns, batch_size=100)
        locked.state, locked.beat_at = State.READY, None
        locked.save(update_fields=["state", "beat_at"])
        matched = sum(row.state == FileState.MATCHED for row in rows)
        audit.record(by=None, verb="files.matched", subject=batch, files=len(rows), matched=matched)


def _facts(row: BatchFile) -> matching.File:
    said = row.tags
    return matching.File(
        row.pk,
        row.path,
        sha256=row.sha256,
        sha1=row.sha1,
        md5=row.md5,
        isrcs=said.get("isrcs", ()),
        title=said.get("title", ""),
        artist=said.get("artist", ""),
        album=said.get("album", ""),
    )


# --- Attaching --------------------------------------------------------------------------------


def attach_one(file: BatchFile) -> None:
    """Attach a file to its recording, or say why not. Whoever confirmed it is who attaches it."""
    recording, by = file.recording, file.decided_by
    assert recording is not None  # noqa: S101 - only matched files are confirmed.
    assert by is not None  # noqa: S101
    sentence, new = "", FileState.ATTACHED
    # A worker that died after it had attached the file has left this to be said alone.
    if recording.audio_id != file.sha256:
        try:
            with storage.open_blob(str(file.blob_id)) as content:
                name = file.path.rpartition("/")[2]
                catalogue.attach_audio(by=by, recording=recording, file=content, filename=name)
        except (BadAudio, storage.TooLarge, Refused) as error:
            recording.refresh_from_db()
            if recording.audio_id != file.sha256:
                has_file = getattr(error, "code", "") == "has_audio"
                new = FileState.HAS_FILE if has_file else FileState.REFUSED
                sentence = str(error)
    finish(file, new, sentence=sentence)
