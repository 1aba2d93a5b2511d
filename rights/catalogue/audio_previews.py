"""Previews: thirty marked seconds of a recording, to hear what it is without having it.

At most half of a piece, so that a short one is not given away whole either; in mono, as MP3, faded
in and out, with a quiet tone every five seconds that nobody takes for the music. A preview is made
at the first request and stored; one at a time in a process, so that a list of players is no load.
"""

import io
import threading
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import soundfile

from audio import decoding
from portal import storage
from portal.models import Blob
from rights.catalogue import audio_intake
from rights.models import Preview, Recording

# Raise it wherever something below changes: new previews are made then.
VERSION = 1
SECONDS = 30.0
SHARE = 0.5
FADE = 1.0
EVERY = 5.0
TONE, TONE_HERTZ, TONE_LEVEL = 0.12, 1_200.0, 0.06
MEDIA_TYPE = "audio/mpeg"
# The rates of MPEG. A higher one is divided by a whole number; others are played at the nearest.
RATES = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)

Wave = npt.NDArray[np.float32]

_one_at_a_time = threading.Lock()


class NoPreview(ValueError):
    """No preview can be made; the text says why."""


def preview_of(recording: Recording) -> Preview:
    """Return the preview, made now if there is none yet. Raises NoPreview."""
    if stored := _stored_preview(recording):
        return stored
    with _one_at_a_time:
        if stored := _stored_preview(recording):
            return stored
        blob, seconds = _make(recording)
    # Two processes make the same bytes twice and store them once.
    preview, _ = Preview.objects.get_or_create(
        recording=recording, version=VERSION, defaults={"audio": blob, "duration": seconds}
    )
    return preview


def _stored_preview(recording: Recording) -> Preview | None:
    rows = Preview.objects.filter(recording=recording, version=VERSION).select_related("audio")
    return rows.first()


def _make(recording: Recording) -> tuple[Blob, float]:
    if recording.audio_id is None:
        raise NoPreview("Its file is not here yet.")
    try:
        with (
            storage.open_blob(recording.audio_id) as file,
            decoding.opened(file, audio_intake.LIMITS) as decoder,
        ):
            rate, seconds = decoder.rate, min(SECONDS, SHARE * recording.duration)
            wave = _first(decoder.blocks(), int(seconds * rate)).mean(axis=1)
    except (FileNotFoundError, decoding.BadAudio) as error:
        raise NoPreview("Its file is missing from storage, or can no longer be read.") from error
    if not wave.size:
        raise NoPreview("It is too short for a preview.")
    step = next(n for n in range(1, 100) if rate // n <= RATES[0])
    wave = wave[: len(wave) // step * step].reshape(-1, step).mean(axis=1)
    rate //= step
    encoded = io.BytesIO()
    soundfile.write(encoded, marked(wave, rate=_nearest(rate)), _nearest(rate), format="MP3")
    encoded.seek(0)
    return storage.put(encoded, media_type=MEDIA_TYPE), len(wave) / rate


def _first(blocks: Iterator[Wave], frames: int) -> Wave:
    taken: list[Wave] = []
    while sum(map(len, taken)) < frames and (block := next(blocks, None)) is not None:
        taken.append(block)
    return np.concatenate(taken)[:frames] if taken else np.zeros((0, 1), np.float32)


def _nearest(rate: int) -> int:
    return min(RATES, key=lambda mpeg_rate: abs(mpeg_rate - rate))


def marked(wave: Wave, *, rate: int) -> Wave:
    """Return the mono samples with the fades and the tones in them, at the same length."""
    time = np.arange(len(wave)) / rate
    length = len(wave) / rate
    fade = min(FADE, length / 4) or 1.0
    envelope = np.clip(np.minimum(time, length - time) / fade, 0.0, 1.0)
    within = time % EVERY
    # A half wave of the sine is the tone's own fade.
    shape = np.where(within < TONE, np.sin(np.pi * within / TONE), 0.0)
    tone = TONE_LEVEL * shape * np.sin(2 * np.pi * TONE_HERTZ * time)
    return np.clip(0.9 * wave * envelope + tone, -1.0, 1.0).astype(np.float32)
