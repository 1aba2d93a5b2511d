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
from rights import sounds
from rights.models import Recording, SoundPrint

# A round gives its worker back after so many seconds.
TURN = 20.0
TASK = "rights.compare_sounds"

log = logging.getLogger(__name__)


def go_on() -> int:
    """One round; how many files were compared in it. What is left is nudged on."""
    until = time.monotonic() + TURN
    done = 0
    while (recording := _next()) is not None:
        if time.monotonic() >= until:
            wake(TASK)
            break
        try:
            compare(recording)
        except storage.Unreachable:
            # The clock asks again.
            log.warning("Storage does not answer; sounds are compared later.")
            break
        done += 1
    return done


def compare(recording: Recording) -> None:
    """Make the file's print where there is none, and ask about what it sounds like."""
    assert recording.audio is not None  # noqa: S101 - by the question in `_next`.
    made = sounds.make_print(recording.audio.sha256)
    if made.packed is None:
        SoundPrint.objects.filter(pk=made.pk).update(compared=True)
        return
    heard = sounds.heard_of(made)
    with transaction.atomic():
        sounds.ask(recording=recording, blob=recording.audio, heard=heard)


def _next() -> Recording | None:
    done = SoundPrint.objects.filter(audio=OuterRef("audio"), version=prints.VERSION, compared=True)
    waiting = Recording.objects.filter(~Exists(done), audio__isnull=False)
    return waiting.select_related("audio").order_by("audio_at", "pk").first()
