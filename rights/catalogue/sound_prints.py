"""What a file sounds like, and which recordings sound alike already.

Each file that comes in is compared by the digest of its samples and by its landmarks. A match
opens a question to the rights admins (models.SoundQuestion), and until one of them has answered,
the recording that came later is used for nothing. Landmarks are rows: one more recording is some
more of them, and no index is rebuilt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO

import numpy as np
from django.db import transaction
from django.db.models import Max

from audio import decoding, index, matching, prints, sound_digest
from audio.prints import Print
from portal import storage
from portal.database import bulk, commit_order
from portal.models import Blob
from rights.catalogue import sound_questions
from rights.catalogue.audio_intake import LIMITS, Audio
from rights.catalogue.sound_questions import Side
from rights.models import Landmark, Recording, SoundPrint, Stem

# One hash in this many is stored as a row: three to six in a second of music. Chosen by the first
# bits: the last bits of a hash depend on the last bits of its pair alone.
SAMPLED = 16
# This many stored hashes must lie at one distance in time before two prints are compared.
LEAST_LANDMARKS = 4
# A hash that occurs more often than this says nothing.
COMMON = 2_000
CANDIDATES = 12
# Frames (32 ms) by which hashes of one stretch may differ in their distance.
SLACK = 2
# A shorter match may be two pieces on the same chords (docs/screening.md).
LEAST_SECONDS = 7.0


@dataclass(frozen=True)
class Alike:
    """A file that has the same samples (`match` is None) or repeats a stretch of this one."""

    audio: str
    match: matching.Match | None


@dataclass(frozen=True)
class SoundMatch:
    """What a file sounds like, and the files alike among the prints up to id `upto`."""

    sound: str
    print: Print
    alike: Sequence[Alike]
    upto: int


def listen(audio: Audio) -> SoundMatch:
    """Compare a file with all prints. It takes a moment: before a transaction, not in one."""
    upto = SoundPrint.objects.aggregate(last=Max("pk"))["last"] or 0
    return SoundMatch(
        audio.sound, audio.print, _alike(audio.sha256, audio.sound, audio.print), upto
    )


def match_of(stored: SoundPrint) -> SoundMatch:
    """Compare a stored print with all others."""
    assert stored.packed is not None  # noqa: S101 - the caller has one that could be made.
    print_ = Print.unpacked(bytes(stored.packed))
    upto = SoundPrint.objects.aggregate(last=Max("pk"))["last"] or 0
    return SoundMatch(
        stored.sound, print_, _alike(str(stored.audio_id), stored.sound, print_), upto
    )


def store_print(*, blob: Blob, match: SoundMatch) -> SoundPrint:
    """Return the print of a stored file; it is stored once. Call it inside a transaction."""
    sound_print, created = SoundPrint.objects.get_or_create(
        audio=blob,
        version=prints.VERSION,
        defaults={"sound": match.sound, "packed": match.print.packed()},
    )
    if created:
        _store_landmarks(sound_print, match.print)
    return sound_print


def ask(
    *, recording: Recording, blob: Blob, sound_match: SoundMatch, at: datetime | None = None
) -> None:
    """Open a question for each recording that this file sounds like. Call it inside the transaction
    that adds the file, `at` the moment of that (left out: now). Prints that came since `listen` are
    compared here."""
    at = at or commit_order.moment()
    sound_print = store_print(blob=blob, match=sound_match)
    alike = sound_match.alike
    newer = SoundPrint.objects.filter(pk__gt=sound_match.upto).exclude(pk=sound_print.pk)
    if newer.exists():
        alike = _alike(blob.sha256, sound_match.sound, sound_match.print)
    # The very same file may be here already as another recording's, or as a part of one.
    found = [
        (other, match.match)
        for match in (Alike(blob.sha256, None), *alike)
        for other in _owners(match.audio)
    ]
    # With several files that are alike, the other has had the sound since the first of them.
    since: dict[int, datetime] = {}
    for other, _ in found:
        since[other.recording.pk] = min(other.came, since.get(other.recording.pk, other.came))
    own = next((one for one in _owners(blob.sha256) if one.recording.pk == recording.pk), None)
    for other, stretch in found:
        sound_questions.ask(
            own or Side(recording, at),
            Side(other.recording, since[other.recording.pk]),
            match=stretch,
            at=at,
        )
    SoundPrint.objects.filter(pk=sound_print.pk).update(compared=True)


def _owners(sha256: str) -> list[Side]:
    """Return the recordings with this file, as their own or as one of their stems, each with the
    moment that the file came to it."""
    sides: dict[int, Side] = {}
    for one in Recording.objects.filter(audio=sha256):
        sides[one.pk] = Side(one, one.audio_at or one.created_at)
    for stem in Stem.objects.filter(audio=sha256).select_related("recording"):
        before = sides.get(stem.recording_id)
        if before is None or stem.created_at < before.came:
            sides[stem.recording_id] = Side(stem.recording, stem.created_at)
    return [sides[pk] for pk in sorted(sides)]


# --- Prints -----------------------------------------------------------------------------------


def make_print(sha256: str) -> SoundPrint:
    """Make the print of a stored file, or store the sentence that says why there is none.

    Storage that does not answer is no such reason: portal.storage.Unreachable is raised.
    """
    fields: dict[str, object]
    made_print: Print | None = None
    try:
        with storage.open_blob(sha256) as file:
            made_print, sound = _print_of(file)
        fields = {"packed": made_print.packed(), "sound": sound}
    except FileNotFoundError:
        fields = {"problem": "The file is missing from storage."}
    except ValueError as error:
        fields = {"problem": f"The file could not be read as audio: {error}"[:300]}
    with transaction.atomic():
        sound_print, created = SoundPrint.objects.get_or_create(
            audio_id=sha256, version=prints.VERSION, defaults=fields
        )
        if created and made_print is not None:
            _store_landmarks(sound_print, made_print)
    return sound_print


def _print_of(file: IO[bytes]) -> tuple[Print, str]:
    with decoding.opened(file, LIMITS) as decoder:
        digest = sound_digest.Digest(rate=decoder.rate, channels=decoder.channels)

        def blocks() -> Iterable[np.ndarray]:
            for block in decoder.blocks():
                digest.add(block)
                yield block

        return prints.of_blocks(blocks(), rate=decoder.rate), digest.hexdigest()


def _store_landmarks(sound_print: SoundPrint, print_: Print) -> None:
    hashes, frames = _sampled(print_)
    bulk.insert(
        Landmark,
        ("print_id", "hash", "frame"),
        (
            (sound_print.pk, int(landmark), int(at))
            for landmark, at in zip(hashes, frames, strict=True)
        ),
    )


def _sampled(print_: Print) -> tuple[np.ndarray, np.ndarray]:
    hashes, frames = prints.hashes(print_)
    sampled = hashes < 2**32 // SAMPLED
    return hashes[sampled].astype(np.int64), frames[sampled]


# --- Matching ---------------------------------------------------------------------------------


def _alike(sha256: str, sound: str, print_: Print) -> list[Alike]:
    """Return the files that have the same samples, and those that share a long stretch."""
    others = SoundPrint.objects.filter(version=prints.VERSION).exclude(audio=sha256)
    same = list(others.filter(sound=sound).order_by("pk").values_list("audio_id", flat=True))
    alike = [Alike(str(audio), None) for audio in same]
    clip = matching.Clip([print_])
    for pk in _candidates(sha256, print_):
        other = others.filter(pk=pk).values_list("audio_id", "packed").first()
        if other is None or other[0] in same or other[1] is None:
            continue
        match = matching.best(clip, index.of_one(Print.unpacked(bytes(other[1]))))
        if match is not None and match.near_copy and match.length >= LEAST_SECONDS:
            alike.append(Alike(str(other[0]), match))
    return alike


def _candidates(sha256: str, print_: Print) -> list[int]:
    """Return the prints that share most landmarks at one distance in time, most first."""
    hashes, frames = _sampled(print_)
    own_places: dict[int, list[int]] = {}
    for landmark, place in zip(hashes.tolist(), frames.tolist(), strict=True):
        own_places.setdefault(landmark, []).append(place)
    occurrences: dict[int, list[tuple[int, int]]] = {}
    for part in bulk.parts(sorted(own_places), 500):
        rows = Landmark.objects.filter(hash__in=part, print__version=prints.VERSION)
        for landmark, print_pk, place in rows.exclude(print__audio=sha256).values_list(
            "hash", "print_id", "frame"
        ):
            occurrences.setdefault(landmark, []).append((print_pk, place))
    counts: dict[tuple[int, int], int] = {}
    for landmark, places in occurrences.items():
        if len(places) > COMMON:
            continue
        for print_pk, place in places:
            for own in own_places[landmark]:
                # Two overlapping rasters, so that no border separates what belongs together.
                first = (place - own) // (2 * SLACK)
                second = (place - own + SLACK) // (2 * SLACK)
                for key in ((print_pk, 2 * first), (print_pk, 2 * second + 1)):
                    counts[key] = counts.get(key, 0) + 1
    best: dict[int, int] = {}
    for (print_pk, _), count in counts.items():
        best[print_pk] = max(count, best.get(print_pk, 0))
    likely = (pk for pk, count in best.items() if count >= LEAST_LANDMARKS)
    return sorted(likely, key=lambda pk: (-best[pk], pk))[:CANDIDATES]
