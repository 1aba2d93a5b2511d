"""From recordings to prints, and from a dataset's prints to its index. Each is made once.

Prints are cheap to keep and dear to make: half a second of processor for a minute of music. So a
large dataset is gathered over many rounds, print by print; two at once make some prints twice and
keep one of each.
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
# Local copies of indexes, where storage is elsewhere: so many of the last ones used.
COPIES = 4
# Prints that are read from the database at one time, of some 6 kB each.
SOME = 500

log = logging.getLogger(__name__)


def missing(dataset: Dataset) -> QuerySet[DatasetItem]:
    """The included recordings whose file has no print yet, nor a reason why it has none."""
    made = SoundPrint.objects.filter(audio=OuterRef("audio"), version=prints.VERSION)
    return dataset.items.filter(~Exists(made), included=True).order_by("pk")


def gather(dataset: Dataset, *, until: float = float("inf")) -> DatasetIndex | None:
    """The dataset's index, made where there is none; None where `until` (time.monotonic) came
    first: what was made until then is kept. Raises portal.storage.Unreachable."""
    if known := _current_index(dataset):
        return known
    for sha256 in missing(dataset).values_list("audio", flat=True):
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
    made, created = DatasetIndex.objects.get_or_create(
        dataset=dataset,
        version=prints.VERSION,
        defaults={"blob": blob, "recordings": count, "unread": unread},
    )
    if created:
        log.info("Dataset %s: index of %s recordings, %s bytes.", dataset.pk, count, size)
    return made


def _prints(dataset: Dataset, unread: list[int]) -> Iterator[tuple[int, prints.Print]]:
    """The prints in the order of recordings, some at a time; `unread` gets those without."""
    items = dataset.items.filter(included=True).order_by("recording")
    last = 0
    while some := list(items.filter(recording__gt=last).values_list("recording", "audio")[:SOME]):
        known = SoundPrint.objects.filter(
            audio__in=[sha256 for _, sha256 in some], version=prints.VERSION
        )
        packed = dict(known.values_list("audio", "packed"))
        for recording, sha256 in some:
            data = packed.get(str(sha256))
            if data is None:
                unread.append(recording)
            else:
                yield recording, prints.Print.unpacked(bytes(data))
        last = some[-1][0]


def forget_problems() -> int:
    """Let files that could not be read be tried again; how many there were.

    Their indexes go too, as these are without them, and those whose own file is gone; results of
    samples stay.
    """
    gone = [row.pk for row in DatasetIndex.objects.all() if not storage.exists(str(row.blob_id))]
    with transaction.atomic():
        count, _ = SoundPrint.objects.exclude(problem="").delete()
        DatasetIndex.objects.exclude(unread=[]).delete()
        DatasetIndex.objects.filter(pk__in=gone).delete()
    return count


def opened(row: DatasetIndex) -> Index:
    """The index, by memory map: of the stored file, or of a copy of it on this machine."""
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
    """The local copy of a stored index: brought here once, the ones not used longest go."""
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
    kept = sorted(folder.glob("[0-9a-f]*"), key=lambda one: one.stat().st_mtime, reverse=True)
    for old in kept[COPIES:]:
        # Whoever has it mapped keeps it until they let go.
        old.unlink(missing_ok=True)
    return path
