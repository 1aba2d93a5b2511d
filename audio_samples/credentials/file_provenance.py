"""What is in a file submitted as a recording: its C2PA manifests, and sound that was made here.

It registers with rights/catalogue/file_provenance.py, which may not import this app. Files are read
by the separate process that reads credentials (credentials/tool.py), which fetches nothing.
"""

from contextlib import suppress
from dataclasses import replace
from typing import IO

from audio import decoding, sound_digest
from audio_samples import analysis
from audio_samples.credentials import chain, files
from audio_samples.credentials.manifest import LABEL
from audio_samples.models import Credential, Sample
from portal import storage
from portal.database import long_work
from rights.catalogue.file_provenance import Embedded, Manifest, register

# Every manifest store contains this name; for a file without it no process is started.
MARK = b"c2pa"
# Media types that can hold a manifest.
MANIFEST_TYPES = frozenset({"audio/wav", "audio/flac", "audio/mpeg"})
CHUNK = 1024 * 1024
# A resampled clip may be a little longer.
LONGEST_SAMPLE = replace(analysis.LIMITS, max_seconds=analysis.LIMITS.max_seconds + 1)
# This many samples, at most, whose sound is not stored yet are decoded where they could match.
CANDIDATES = 20
# Tolerance in seconds for an equal duration.
DURATION_TOLERANCE = 0.002


def read_embedded(file: IO[bytes], media_type: str) -> Embedded:
    manifests, unreadable = _manifests(file, media_type)
    ours = any(
        manifest.active and any(label == LABEL for label, _ in manifest.assertions)
        for manifest in manifests
    )
    return Embedded(manifests, unreadable, ours or _made_here(file))


def _manifests(file: IO[bytes], media_type: str) -> tuple[list[Manifest], bool]:
    if media_type not in MANIFEST_TYPES or not _holds(file):
        return [], False
    anchors = ""
    with suppress(chain.NoChain):
        anchors = chain.anchors()
    try:
        reading = files.read_open(file, media_type=media_type, anchors=anchors)
    except files.Unreadable:
        return [], True
    manifests = [Manifest(manifest["active"], [tuple(pair) for pair in manifest["assertions"]])
             for manifest in reading.manifests]  # fmt: skip
    return manifests, False


def _holds(file: IO[bytes]) -> bool:
    file.seek(0)
    tail = b""
    while chunk := file.read(CHUNK):
        if MARK in tail + chunk:
            return True
        tail = chunk[-len(MARK) :]
    return False


def _made_here(file: IO[bytes]) -> bool:
    """Return whether its bytes or its sound are those of a delivered or downloaded sample."""
    if not Sample.objects.exists():
        return False
    if Sample.objects.filter(audio=analysis.digest(file)).exists():
        return True
    sound = sound_of(file)
    if sound is None:
        return False
    known = (
        Credential.objects.filter(sound=sound.digest).exists()
        or Sample.objects.filter(sound=sound.digest).exists()
    )
    return known or sound.digest in _older_sounds(sound)


class Sound:
    """The sound of a file: equal for all files that decode to the same samples."""

    def __init__(self, decoder: decoding.Decoder) -> None:
        self.rate, self.channels = decoder.rate, decoder.channels
        frames, digest = 0, sound_digest.Digest(rate=self.rate, channels=self.channels)
        # In blocks: ten minutes at a high rate are a gigabyte.
        for block in decoder.blocks():
            digest.add(block)
            frames += len(block)
        self.duration = frames / self.rate
        self.digest = digest.hexdigest()


def sound_of(file: IO[bytes]) -> Sound | None:
    """Return the sound of a file; None if it is longer than any sample, or is not audio."""
    long_work.forbid_in_transaction("A file is decoded")
    try:
        with decoding.opened(file, LONGEST_SAMPLE) as decoder:
            # A long recording is not decoded just to learn that it is too long.
            if decoder.promised_seconds > LONGEST_SAMPLE.max_seconds:
                return None
            return Sound(decoder)
    except decoding.BadAudio:
        return None


def _older_sounds(sound: Sound) -> set[str]:
    """Store and return the sounds of older samples without one, where they could be this sound."""
    digests = set()
    rows = Sample.objects.filter(
        sound="", sample_rate=sound.rate, channels=sound.channels,
        duration__range=(sound.duration - DURATION_TOLERANCE, sound.duration + DURATION_TOLERANCE),
    )  # fmt: skip
    for row in rows.order_by("-pk")[:CANDIDATES]:
        with suppress(FileNotFoundError), storage.open_blob(row.file.sha256) as blob:
            if other := sound_of(blob):
                Sample.objects.filter(pk=row.pk).update(sound=other.digest)
                digests.add(other.digest)
    return digests


register(read_embedded)
