"""Files that came before prints were made: compared with the others, in passes.

Rows are the queue: a file without a print, or whose print was never compared, waits. The oldest
goes first, so that of two that are alike the later one is in question.
"""

import logging
import time

from django.db import transaction
from django.db.models import Exists, OuterRef

from audio import prints
from portal import storage
from portal.celery import wake
from portal.models import Blob
from rights.catalogue import sound_prints
from rights.models import Recording, SoundPrint, Stem

# Seconds after which a pass gives its worker back.
PASS_SECONDS = 20.0
TASK = "rights.compare_sounds"

log = logging.getLogger(__name__)


def run_pass() -> int:
    """Run one pass and return how many files it compared; wake the next one if some are left."""
    deadline = time.monotonic() + PASS_SECONDS
    compared = 0
    while (pending := _next()) is not None:
        if time.monotonic() >= deadline:
            wake(TASK)
            break
        try:
            compare(*pending)
        except storage.Unreachable:
            # Celery beat runs the task again.
            log.warning("Storage does not answer; sounds are compared later.")
            break
        compared += 1
    return compared


def compare(recording: Recording, blob: Blob) -> None:
    """Make the file's print if there is none, and open questions on what it sounds like."""
    sound_print = sound_prints.make_print(blob.sha256)
    if sound_print.packed is None:
        SoundPrint.objects.filter(pk=sound_print.pk).update(compared=True)
        return
    sound_match = sound_prints.match_of(sound_print)
    with transaction.atomic():
        sound_prints.ask(recording=recording, blob=blob, sound_match=sound_match)


def _next() -> tuple[Recording, Blob] | None:
    """Return a recording with its file or, once those are all compared, with one of its stems."""
    compared = SoundPrint.objects.filter(
        audio=OuterRef("audio"), version=prints.VERSION, compared=True
    )
    pending = Recording.objects.filter(~Exists(compared), audio__isnull=False)
    recording = pending.select_related("audio").order_by("audio_at", "pk").first()
    if recording is not None and recording.audio is not None:
        return recording, recording.audio
    stem = Stem.objects.filter(~Exists(compared)).select_related("recording", "audio").first()
    return (stem.recording, stem.audio) if stem is not None else None
