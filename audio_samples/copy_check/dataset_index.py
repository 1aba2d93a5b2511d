"""Make the prints of recordings, and from a dataset's prints its index. Each is made once.

Prints are cheap to store and expensive to make: half a second of CPU time for a minute of music.
So a large dataset is indexed over many passes, print by print; two at once make some prints twice
and store one of each.
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from audio import index, prints
from audio.index import Index
from audio_samples.models.copy_check import DatasetIndex
from experiments.models import Dataset, DatasetItem
from portal import storage
from rights.catalogue import sound_prints
from rights.models import SoundPrint

MEDIA_TYPE = "application/octet-stream"
# Local copies of indexes, where storage is remote: this many of the last used are kept.
COPIES = 4
# Prints that are read from the database at a time, of about 6 kB each.
BATCH = 500

log = logging.getLogger(__name__)


def items_without_print(dataset: Dataset) -> QuerySet[DatasetItem]:
    """Return the included recordings whose file has neither a print nor a reason for its lack."""
    existing = SoundPrint.objects.filter(audio=OuterRef("audio"), version=prints.VERSION)
    return dataset.items.filter(~Exists(existing), included=True).order_by("pk")


def load_or_make_index(dataset: Dataset, *, until: float = float("inf")) -> DatasetIndex | None:
    """Return the dataset's index, made if there is none; None if `until` (time.monotonic) comes
    first: prints made so far are stored. Raises portal.storage.Unreachable."""
    if existing := _current_index(dataset):
        return existing
    for sha256 in items_without_print(dataset).values_list("audio", flat=True):
        if time.monotonic() >= until:
            return None
        sound_prints.make_print(str(sha256))
    return _make_index(dataset)


def _current_index(dataset: Dataset) -> DatasetIndex | None:
    return DatasetIndex.objects.filter(dataset=dataset, version=prints.VERSION).first()


def _make_index(dataset: Dataset) -> DatasetIndex:
    unread: list[int] = []
    with tempfile.TemporaryFile() as file:
        count = index.write(_prints(dataset, unread), file)
        size = file.tell()
        file.seek(0)
        blob = storage.put(file, media_type=MEDIA_TYPE, max_bytes=size)
    row, created = DatasetIndex.objects.get_or_create(
        dataset=dataset,
        version=prints.VERSION,
        defaults={"blob": blob, "recordings": count, "unread": unread},
    )
    if created:
        log.info("Dataset %s: index of %s recordings, %s bytes.", dataset.pk, count, size)
    return row


def _prints(dataset: Dataset, unread: list[int]) -> Iterator[tuple[int, prints.Print]]:
    """Yield the prints in order of recording, in batches; `unread` gets those without one."""
    items = dataset.items.filter(included=True).order_by("recording")
    last = 0
    while batch := list(items.filter(recording__gt=last).values_list("recording", "audio")[:BATCH]):
        rows = SoundPrint.objects.filter(
            audio__in=[sha256 for _, sha256 in batch], version=prints.VERSION
        )
        packed = dict(rows.values_list("audio", "packed"))
        for recording, sha256 in batch:
            data = packed.get(str(sha256))
            if data is None:
                unread.append(recording)
            else:
                yield recording, prints.Print.unpacked(bytes(data))
        last = batch[-1][0]


def forget_problems() -> int:
    """Let files that could not be read be tried again; return how many there were.

    Indexes that lack them are deleted too, and those whose own file is missing; the results of
    samples stay.
    """
    without_file = [
        row.pk for row in DatasetIndex.objects.all() if not storage.exists(str(row.blob_id))
    ]
    with transaction.atomic():
        count, _ = SoundPrint.objects.exclude(problem="").delete()
        DatasetIndex.objects.exclude(unread=[]).delete()
        DatasetIndex.objects.filter(pk__in=without_file).delete()
    return count


def open_index(row: DatasetIndex) -> Index:
    """Open the index by memory map, from the stored file or from a copy on this machine."""
    with storage.open_blob(row.blob_id) as file:
        if _is_local(file):
            return index.read(file)
    path = _copy(row.blob_id)
    with path.open("rb") as file:
        return index.read(file)


def _is_local(file: IO[bytes]) -> bool:
    try:
        file.fileno()
    except OSError:
        return False
    return True


def _copy(sha256: str) -> Path:
    """Return a stored index's local copy, fetched once; the least recently used are deleted."""
    folder = Path(settings.STATE_DIR) / "indexes"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / sha256
    if not path.exists():
        with (
            storage.open_blob(sha256) as source,
            tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as draft,
        ):
            shutil.copyfileobj(source, draft, storage.CHUNK)
        Path(draft.name).replace(path)
    path.touch()
    copies = sorted(folder.glob("[0-9a-f]*"), key=lambda copy: copy.stat().st_mtime, reverse=True)
    for old in copies[COPIES:]:
        # A process that has it mapped can read it until it closes the map.
        old.unlink(missing_ok=True)
    return path
