"""What a file sounds like, and whether somebody's recording sounds so already.

Each file that comes in is asked by the digest of its samples and by its landmarks. What is alike
opens a question to the rights admins (models.SoundQuestion), and until one has answered, the
recording that came later is used for nothing. Landmarks are rows: one more recording is some more
of them, and no index is made anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO

import numpy as np
from django.db import transaction
from django.db.models import Max, Q

from audio import decoding, index, matching, prints, sound_digest
from audio.prints import Print
from portal import storage
from portal.database import bulk, commit_order
from portal.models import Blob
from rights.catalogue import sound_questions
from rights.catalogue.audio_intake import LIMITS, Audio
from rights.models import Landmark, Recording, SoundPrint, Stem

# One hash in so many is kept as a row: three to six in a second of music. By their first bits: the
# last ones of a hash depend on the last ones of its pair alone.
SAMPLED = 16
# So many kept hashes have to lie at one distance in time before two prints are held together.
LEAST_LANDMARKS = 4
# A hash that is heard more often than this says nothing.
COMMON = 2_000
CANDIDATES = 12
# Frames (32 ms) by which hashes of one stretch may differ in their distance.
SLACK = 2
# What is alike for a shorter time may be two pieces on the same chords (docs/screening.md).
LEAST_SECONDS = 7.0


@dataclass(frozen=True)
class Alike:
    """A file that has the same samples (`match` is None) or repeats a stretch of this one."""

    audio: str
    match: matching.Match | None


@dataclass(frozen=True)
class SoundMatch:
    """What a file sounds like, and what is alike among the prints up to number `upto`."""

    sound: str
    print: Print
    alike: Sequence[Alike]
    upto: int


def listen(audio: Audio) -> SoundMatch:
    """Ask all prints that there are. It takes a moment: before a transaction, not in one."""
    upto = SoundPrint.objects.aggregate(last=Max("pk"))["last"] or 0
    return SoundMatch(
        audio.sound, audio.print, _alike(audio.sha256, audio.sound, audio.print), upto
    )


def heard_of(made: SoundPrint) -> SoundMatch:
    """The same of a print that is kept."""
    assert made.packed is not None  # noqa: S101 - the caller has one that could be made.
    print_ = Print.unpacked(bytes(made.packed))
    upto = SoundPrint.objects.aggregate(last=Max("pk"))["last"] or 0
    return SoundMatch(made.sound, print_, _alike(str(made.audio_id), made.sound, print_), upto)


def store_print(*, blob: Blob, heard: SoundMatch) -> SoundPrint:
    """The print of a stored file; made once. Inside a transaction."""
    made, created = SoundPrint.objects.get_or_create(
        audio=blob,
        version=prints.VERSION,
        defaults={"sound": heard.sound, "packed": heard.print.packed()},
    )
    if created:
        _keep_landmarks(made, heard.print)
    return made


def ask(*, recording: Recording, blob: Blob, heard: SoundMatch, at: datetime | None = None) -> None:
    """Open a question for each recording that this file sounds like. Inside the transaction in
    which the file comes, at the moment when it comes (left out: now). What came since it was
    listened to is asked here."""
    at = at or commit_order.moment()
    made = store_print(blob=blob, heard=heard)
    alike = list(heard.alike)
    newer = SoundPrint.objects.filter(pk__gt=heard.upto).exclude(pk=made.pk)
    if newer.exists():
        alike = _alike(blob.sha256, heard.sound, heard.print)
    for match in alike:
        for other in _owners(match.audio):
            sound_questions.ask(recording=recording, other=other, match=match.match, at=at)
    SoundPrint.objects.filter(pk=made.pk).update(compared=True)


def _owners(sha256: str) -> Iterable[Recording]:
    """The recordings with this file, as their own or as one of their parts."""
    stems = Stem.objects.filter(audio=sha256)
    return Recording.objects.filter(Q(audio=sha256) | Q(pk__in=stems.values("recording")))


# --- Prints -----------------------------------------------------------------------------------


def make_print(sha256: str) -> SoundPrint:
    """The print of a stored file, or the sentence that says why there is none.

    A store that does not answer is no such reason: portal.storage.Unreachable goes on.
    """
    found: dict[str, object]
    made_print: Print | None = None
    try:
        with storage.open_blob(sha256) as file:
            made_print, sound = _print_of(file)
        found = {"packed": made_print.packed(), "sound": sound}
    except FileNotFoundError:
        found = {"problem": "The file is missing from storage."}
    except ValueError as error:
        found = {"problem": f"The file could not be read as audio: {error}"[:300]}
    with transaction.atomic():
        made, created = SoundPrint.objects.get_or_create(
            audio_id=sha256, version=prints.VERSION, defaults=found
        )
        if created and made_print is not None:
            _keep_landmarks(made, made_print)
    return made


def _print_of(file: IO[bytes]) -> tuple[Print, str]:
    with decoding.opened(file, LIMITS) as decoder:
        digest = sound_digest.Digest(rate=decoder.rate, channels=decoder.channels)

        def blocks() -> Iterable[np.ndarray]:
            for block in decoder.blocks():
                digest.add(block)
                yield block

        return prints.of_blocks(blocks(), rate=decoder.rate), digest.hexdigest()


def _keep_landmarks(made: SoundPrint, print_: Print) -> None:
    found, frame = _sampled(print_)
    bulk.insert(
        Landmark,
        ("print_id", "hash", "frame"),
        ((made.pk, int(landmark), int(at)) for landmark, at in zip(found, frame, strict=True)),
    )


def _sampled(print_: Print) -> tuple[np.ndarray, np.ndarray]:
    found, frame = prints.hashes(print_)
    some = found < 2**32 // SAMPLED
    return found[some].astype(np.int64), frame[some]


# --- Matching ---------------------------------------------------------------------------------


def _alike(sha256: str, sound: str, print_: Print) -> list[Alike]:
    """The files that have the same samples, and those that a long stretch is alike in."""
    others = SoundPrint.objects.filter(version=prints.VERSION).exclude(audio=sha256)
    same = list(others.filter(sound=sound).order_by("pk").values_list("audio_id", flat=True))
    found = [Alike(str(audio), None) for audio in same]
    clip = matching.Clip([print_])
    for pk in _candidates(sha256, print_):
        other = others.filter(pk=pk).values_list("audio_id", "packed").first()
        if other is None or other[0] in same or other[1] is None:
            continue
        match = matching.best(clip, index.of_one(Print.unpacked(bytes(other[1]))))
        if match is not None and match.near_copy and match.length >= LEAST_SECONDS:
            found.append(Alike(str(other[0]), match))
    return found


def _candidates(sha256: str, print_: Print) -> list[int]:
    """The prints that share most landmarks at one distance in time, most first."""
    wanted, frame = _sampled(print_)
    at: dict[int, list[int]] = {}
    for landmark, place in zip(wanted.tolist(), frame.tolist(), strict=True):
        at.setdefault(landmark, []).append(place)
    rows: dict[int, list[tuple[int, int]]] = {}
    for some in bulk.parts(sorted(at), 500):
        known = Landmark.objects.filter(hash__in=some, print__version=prints.VERSION)
        for landmark, print_pk, place in known.exclude(print__audio=sha256).values_list(
            "hash", "print_id", "frame"
        ):
            rows.setdefault(landmark, []).append((print_pk, place))
    counts: dict[tuple[int, int], int] = {}
    for landmark, heard in rows.items():
        if len(heard) > COMMON:
            continue
        for print_pk, place in heard:
            for own in at[landmark]:
                # In two rasters, so that no border parts what belongs together.
                first = (place - own) // (2 * SLACK)
                second = (place - own + SLACK) // (2 * SLACK)
                for key in ((print_pk, 2 * first), (print_pk, 2 * second + 1)):
                    counts[key] = counts.get(key, 0) + 1
    best: dict[int, int] = {}
    for (print_pk, _), count in counts.items():
        best[print_pk] = max(count, best.get(print_pk, 0))
    likely = (pk for pk, count in best.items() if count >= LEAST_LANDMARKS)
    return sorted(likely, key=lambda pk: (-best[pk], pk))[:CANDIDATES]
