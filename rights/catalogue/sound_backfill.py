"""Files that came before their prints were asked for: held against the others in rounds.

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

# A round gives its worker back after so many seconds.
TURN = 20.0
TASK = "rights.compare_sounds"

log = logging.getLogger(__name__)


def go_on() -> int:
    """One round; how many files were compared in it. What is left is nudged on."""
    until = time.monotonic() + TURN
    done = 0
    while (waiting := _next()) is not None:
        if time.monotonic() >= until:
            wake(TASK)
            break
        try:
            compare(*waiting)
        except storage.Unreachable:
            # The clock asks again.
            log.warning("Storage does not answer; sounds are compared later.")
            break
        done += 1
    return done


def compare(recording: Recording, blob: Blob) -> None:
    """Make the file's print where there is none, and ask about what it sounds like."""
    made = sound_prints.make_print(blob.sha256)
    if made.packed is None:
        SoundPrint.objects.filter(pk=made.pk).update(compared=True)
        return
    heard = sound_prints.heard_of(made)
    with transaction.atomic():
        sound_prints.ask(recording=recording, blob=blob, heard=heard)


def _next() -> tuple[Recording, Blob] | None:
    """A recording with its file, or with one of its parts once those are through."""
    done = SoundPrint.objects.filter(audio=OuterRef("audio"), version=prints.VERSION, compared=True)
    waiting = Recording.objects.filter(~Exists(done), audio__isnull=False)
    recording = waiting.select_related("audio").order_by("audio_at", "pk").first()
    if recording is not None and recording.audio is not None:
        return recording, recording.audio
    stem = Stem.objects.filter(~Exists(done)).select_related("recording", "audio").first()
    return (stem.recording, stem.audio) if stem is not None else None
