"""What a file holds that is brought as a recording: its C2PA manifests, and a sound of ours.

rights/catalogue/file_provenance.py asks, because it may not know this room. A file is read by the
process of its own that credentials are read by (credentials/tool.py), which fetches nothing.
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

# Every manifest store has this name inside; a file without it has none, and costs no process.
MARK = b"c2pa"
# What can hold one.
HOLDING = frozenset({"audio/wav", "audio/flac", "audio/mpeg"})
CHUNK = 1024 * 1024
# A resampled clip may be a little longer.
LONGEST_SAMPLE = replace(analysis.LIMITS, max_seconds=analysis.LIMITS.max_seconds + 1)
# A sample of before its sound was kept is decoded where it could be the same; so many at most.
CANDIDATES = 20
# Seconds.
NEARLY = 0.002


def read_embedded(file: IO[bytes], media_type: str) -> Embedded:
    manifests, unreadable = _manifests(file, media_type)
    ours = any(
        manifest.active and any(label == LABEL for label, _ in manifest.assertions)
        for manifest in manifests
    )
    return Embedded(manifests, unreadable, ours or _made_here(file))


def _manifests(file: IO[bytes], media_type: str) -> tuple[list[Manifest], bool]:
    if media_type not in HOLDING or not _holds(file):
        return [], False
    anchors = ""
    with suppress(chain.NoChain):
        anchors = chain.anchors()
    try:
        reading = files.read_open(file, media_type=media_type, anchors=anchors)
    except files.Unreadable:
        return [], True
    found = [Manifest(manifest["active"], [tuple(pair) for pair in manifest["assertions"]])
             for manifest in reading.manifests]  # fmt: skip
    return found, False


def _holds(file: IO[bytes]) -> bool:
    file.seek(0)
    before = b""
    while chunk := file.read(CHUNK):
        if MARK in before + chunk:
            return True
        before = chunk[-len(MARK) :]
    return False


def _made_here(file: IO[bytes]) -> bool:
    """By its bytes, or by what is heard in it, as a sample was delivered or downloaded."""
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
    return known or sound.digest in _older(sound)


class Sound:
    """What is heard in a file: the same for all that decode to the same samples."""

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
    """None for what is longer than any sample, or is no sound."""
    long_work.outside("A file is decoded")
    try:
        with decoding.opened(file, LONGEST_SAMPLE) as decoder:
            # A long recording is not decoded to be found too long.
            if decoder.promised_seconds > LONGEST_SAMPLE.max_seconds:
                return None
            return Sound(decoder)
    except decoding.BadAudio:
        return None


def _older(sound: Sound) -> set[str]:
    """The sounds of samples from before they were kept, where they could be this one."""
    found = set()
    rows = Sample.objects.filter(
        sound="", sample_rate=sound.rate, channels=sound.channels,
        duration__range=(sound.duration - NEARLY, sound.duration + NEARLY),
    )  # fmt: skip
    for row in rows.order_by("-pk")[:CANDIDATES]:
        with suppress(FileNotFoundError), storage.open_blob(row.audio_id) as blob:
            if other := sound_of(blob):
                Sample.objects.filter(pk=row.pk).update(sound=other.digest)
                found.add(other.digest)
    return found


register(read_embedded)
