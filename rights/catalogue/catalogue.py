"""The repertoire: works, recordings and their parts, releases, and who contributed what."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any

from django.db import transaction

from portal import audit, storage
from portal.database import commit_order
from portal.inputs.text import clean_line
from portal.models import Blob, User
from rights import identifiers
from rights.catalogue import audio_intake, file_provenance, sound_prints, titles
from rights.errors import Refused, required
from rights.models import (
    Credit,
    Party,
    Recording,
    RecordingWork,
    Release,
    ReleaseTrack,
    RoleCode,
    Stem,
    Work,
)
from rights.parties import splits
from rights.tdm.reservations import Reservation
from rights.withdrawal import cases, losses

# A warning names no more recordings than these.
MOST_NAMED = 5


@transaction.atomic
def add_work(*, by: User | None, title: str, iswc: str = "", mbid: str = "") -> Work:
    """Add a work. Raises Refused or identifiers.BadIdentifier."""
    title = required(title, field="title", longest=300)
    iswc = identifiers.iswc(iswc)
    if iswc and (other := Work.objects.filter(iswc=iswc).first()):
        raise Refused("duplicate", f"That ISWC is the one of “{other.title}”.", field="iswc")
    work = Work.objects.create(title=title, iswc=iswc, mbid=identifiers.mbid(mbid))
    audit.record(by=by, verb="work.added", subject=work, private={"title": title})
    return work


class Announced(Refused):
    """The ISRC is that of a recording whose file has not come yet: the page may lead there."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(
            "announced",
            f"That ISRC is the one of “{recording.title}”, which is announced and has no file yet. "
            "Its file is uploaded on its own page.",
            field="isrc",
        )
        self.recording = recording


@dataclass(frozen=True)
class Stored:
    """A file that was decoded, measured and stored, with what it declares; no row refers to it
    yet."""

    audio: audio_intake.Audio
    blob: Blob
    reservations: list[Reservation]
    sound_match: sound_prints.SoundMatch
    filename: str


def store_audio(*, file: IO[bytes], filename: str, title: str, isrc: str = "") -> Stored:
    """Do the long part of `add_recording`, for a verb that needs a transaction around the rest.

    Everything is checked before the first byte is stored. Raises audio_intake.BadAudio,
    storage.TooLarge, identifiers.BadIdentifier or Refused (for a duplicate it names the other one).
    """
    _new_recording(title, isrc)
    return _store_file(file, filename)


def add_recording(
    *,
    by: User,
    file: IO[bytes],
    filename: str,
    title: str,
    isrc: str = "",
    works: Iterable[Work] = (),
    tags: Mapping[str, Any] | None = None,
) -> Recording:
    """Check the file, store it as delivered, and add it to the repertoire.

    Everything is checked before the first byte is stored. What sounds like another recording is
    added with a question (sound_questions.py). Raises audio_intake.BadAudio, storage.TooLarge,
    identifiers.BadIdentifier or Refused (for a duplicate it names the other one).
    """
    stored = store_audio(file=file, filename=filename, title=title, isrc=isrc)
    return enter_recording(by=by, stored=stored, title=title, isrc=isrc, works=works, tags=tags)


@transaction.atomic
def enter_recording(
    *,
    by: User,
    stored: Stored,
    title: str,
    isrc: str = "",
    works: Iterable[Work] = (),
    tags: Mapping[str, Any] | None = None,
) -> Recording:
    """Do the short part of `add_recording`: add the row of a file that is stored."""
    title, isrc = _new_recording(title, isrc)
    at = commit_order.moment()
    _refuse_duplicate(stored.audio)
    recording = Recording.objects.create(
        title=title,
        isrc=isrc,
        audio=stored.blob,
        audio_at=at,
        tags=dict(tags or {}),
        added_by=by,
        created_at=at,
        **_measured(stored.audio),
    )
    _link(recording, works, at=at)
    audit.record(
        by=by,
        verb="recording.added",
        subject=recording,
        isrc=isrc,
        audio=stored.blob.sha256,
        works=sorted(recording.works.values_list("pk", flat=True)),
        private={"title": title},
    )
    file_provenance.note_signals(
        by=by, recording=recording, reservations=stored.reservations, filename=stored.filename
    )
    sound_prints.ask(recording=recording, blob=stored.blob, sound_match=stored.sound_match, at=at)
    return recording


@transaction.atomic
def announce_recording(
    *,
    by: User,
    title: str,
    isrc: str = "",
    works: Iterable[Work] = (),
    tags: Mapping[str, Any] | None = None,
    expected_file: str = "",
    expected_hash: str = "",
) -> Recording:
    """Add a recording by its metadata alone: its holders can be named and asked; it can be used for
    nothing until `attach_audio`. `expected_file` and `expected_hash` are the name and hash by which
    its file will be known. Raises Refused or identifiers.BadIdentifier."""
    title, isrc = _new_recording(title, isrc)
    expected_hash = identifiers.file_hash(expected_hash)
    at = commit_order.moment()
    recording = Recording.objects.create(
        title=title,
        isrc=isrc,
        tags=dict(tags or {}),
        expected_file=expected_file.strip()[:300],
        expected_hash=expected_hash,
        added_by=by,
        created_at=at,
    )
    _link(recording, works, at=at)
    audit.record(
        by=by,
        verb="recording.announced",
        subject=recording,
        isrc=isrc,
        private={"title": title},
    )
    return recording


def attach_audio(*, by: User, recording: Recording, file: IO[bytes], filename: str) -> Recording:
    """Attach the file of a recording that had none. A file is never exchanged: permission was
    given for this one."""
    stored = _store_file(file, filename)
    stored.audio.warnings.extend(_unexpected(file, recording.expected_hash))
    with transaction.atomic():
        at = commit_order.moment()
        _refuse_duplicate(stored.audio)
        without_audio = Recording.objects.filter(pk=recording.pk, audio=None)
        if not without_audio.update(audio=stored.blob, audio_at=at, **_measured(stored.audio)):
            raise Refused("has_audio", f"“{recording}” has its file already.", field="file")
        recording.refresh_from_db()
        audit.record(by=by, verb="recording.audio", subject=recording, audio=stored.blob.sha256)
        file_provenance.note_signals(
            by=by, recording=recording, reservations=stored.reservations, filename=filename
        )
        sound_prints.ask(
            recording=recording, blob=stored.blob, sound_match=stored.sound_match, at=at
        )
    return recording


def same_named(recording: Recording) -> list[Recording]:
    """Return the other recordings of that title by one of its main artists: perhaps it is entered
    twice. Titles are the same in any case and with other punctuation."""
    main = Credit.objects.filter(recording=recording, role=RoleCode.MAIN_ARTIST)
    by_them = Credit.objects.filter(role=RoleCode.MAIN_ARTIST, party__in=main.values("party"))
    others = Recording.objects.filter(pk__in=by_them.values("recording")).exclude(pk=recording.pk)
    key = titles.key(recording.title)
    same = [pk for pk, title in others.values_list("pk", "title") if titles.key(title) == key]
    return list(Recording.objects.filter(pk__in=same[:MOST_NAMED]).order_by("pk"))


def _new_recording(title: str, isrc: str) -> tuple[str, str]:
    title = required(title, field="title", longest=300)
    isrc = identifiers.isrc(isrc)
    if isrc and (other := Recording.objects.filter(isrc=isrc).first()):
        if other.audio_id is None:
            raise Announced(other)
        raise Refused("duplicate", f"That ISRC is the one of “{other.title}”.", field="isrc")
    return title, isrc


def _store_file(file: IO[bytes], filename: str) -> Stored:
    """Measure and store the file, and read what it reserves; refuse it if a recording has it, or a
    machine made it."""
    audio = audio_intake.examine(file, filename=filename)
    _refuse_duplicate(audio)
    reservations = file_provenance.read(file, media_type=audio.media_type)
    audio.warnings.extend(file_provenance.warning(reservations))
    blob = storage.put(file, media_type=audio.media_type)
    return Stored(audio, blob, reservations, sound_prints.listen(audio), filename)


def _unexpected(file: IO[bytes], expected_hash: str) -> list[str]:
    """Return the warning for a file with another hash than the recording was announced with."""
    if not expected_hash:
        return []
    method, _, digits = expected_hash.partition(":")
    file.seek(0)
    if hashlib.file_digest(file, method).hexdigest() == digits:  # type: ignore[arg-type]
        return []
    return ["It was announced with the hash of another file: ask its sender which one is meant."]


def _refuse_duplicate(audio: audio_intake.Audio) -> None:
    """Refuse a file that a recording has. Called before the file is stored, and again under the
    commit-order lock: when two people send it at once, the second is refused."""
    if other := Recording.objects.filter(audio_id=audio.sha256).first():
        raise Refused(
            "duplicate", f"This very file is in the catalogue as “{other.title}”.", field="file"
        )


def _measured(audio: audio_intake.Audio) -> dict[str, Any]:
    return {
        "format": audio.format,
        "duration": audio.duration,
        "sample_rate": audio.sample_rate,
        "channels": audio.channels,
        "lufs": audio.lufs,
        "warnings": audio.warnings,
    }


def _link(recording: Recording, works: Iterable[Work], *, at: datetime) -> None:
    RecordingWork.objects.bulk_create(
        RecordingWork(recording=recording, work=work, created_at=at) for work in works
    )


@transaction.atomic
def attach_work(*, by: User, recording: Recording, work: Work) -> None:
    """Attach a work to the recording; nothing is permitted until the work's holders permit it."""
    if recording.works.filter(pk=work.pk).exists():
        raise Refused("duplicate", f"“{work}” is in this recording already.", field="work")
    at, watch = commit_order.moment(), losses.Watch([recording])
    _link(recording, [work], at=at)
    audit.record(by=by, verb="recording.work_attached", subject=recording, work=work.pk)
    if holder := splits.first_holder(recording):
        cases.open_for_findings(
            by=by,
            party=holder,
            watch=watch,
            reason=f"It was found to contain the work “{work}”."[:300],
        )


@transaction.atomic
def add_credit(
    *,
    by: User | None,
    subject: Recording | Work,
    party: Party,
    role: str,
    instrument: str = "",
    user_defined: str = "",
    display_text: str = "",
) -> Credit:
    """Credit a contributor with a role on a recording or a work. `user_defined` names a role that
    the list does not have."""
    if role not in RoleCode.values:
        raise Refused("role", f"“{role}” is not a role.", field="role")
    user_defined = clean_line(user_defined)[:60] if role == RoleCode.USER_DEFINED else ""
    if role == RoleCode.USER_DEFINED and not user_defined:
        raise Refused("user_defined", "Say what the role is.", field="user_defined")
    instrument = clean_line(instrument)[:100]
    same = subject.credits.filter(party=party, role=role, instrument=instrument)
    if same.filter(user_defined=user_defined).exists():
        raise Refused("duplicate", f"{party} has that credit already.", field="party")
    at = commit_order.moment()
    watch = losses.Watch([subject]) if isinstance(subject, Recording) else None
    credit = Credit.objects.create(
        recording=subject if isinstance(subject, Recording) else None,
        work=subject if isinstance(subject, Work) else None,
        party=party,
        role=role,
        user_defined=user_defined,
        instrument=instrument,
        display_text=clean_line(display_text)[:200],
        created_at=at,
    )
    audit.record(by=by, verb="credit.added", subject=subject, party=party.pk, role=role)
    if watch:
        reason = f"{party} is credited: {credit.role_in_words}."
        cases.open_for_findings(by=by, party=party, watch=watch, reason=reason[:300])
    return credit


def add_stem(
    *, by: User, recording: Recording, part: str, file: IO[bytes], filename: str, name: str = ""
) -> Stem:
    """Add one part of a recording as its own file; the use `stems` of the recording permits it."""
    if part not in Stem.Part.values:
        raise Refused("part", f"“{part}” is not a part.", field="part")
    audio = audio_intake.examine(file, filename=filename)
    if recording.stems.filter(audio_id=audio.sha256).exists():
        raise Refused("duplicate", "This very file is a stem of it already.", field="file")
    if recording.duration and audio.duration > recording.duration + 1:
        raise Refused(
            "duration",
            f"The stem is {audio.duration:.1f} s long, its recording {recording.duration:.1f} s.",
            field="file",
        )
    reservations = file_provenance.read(file, media_type=audio.media_type)
    blob = storage.put(file, media_type=audio.media_type)
    sound_match = sound_prints.listen(audio)
    with transaction.atomic():
        at = commit_order.moment()
        stem = Stem.objects.create(
            recording=recording,
            part=part,
            name=clean_line(name)[:100],
            audio=blob,
            format=audio.format,
            duration=audio.duration,
            sample_rate=audio.sample_rate,
            channels=audio.channels,
            added_by=by,
            created_at=at,
        )
        audit.record(by=by, verb="stem.added", subject=recording, part=part, audio=blob.sha256)
        file_provenance.note_signals(
            by=by, recording=recording, reservations=reservations, filename=filename
        )
        # A part may be somebody else's voice as well.
        sound_prints.ask(recording=recording, blob=blob, sound_match=sound_match, at=at)
    return stem


@transaction.atomic
def add_release(
    *,
    by: User,
    title: str,
    upc: str = "",
    grid: str = "",
    label: Party | None = None,
    released_on: date | None = None,
    tracks: Sequence[Recording] = (),
) -> Release:
    """Add a product with its recordings in order. Raises Refused or identifiers.BadIdentifier."""
    title = required(title, field="title", longest=300)
    upc, grid = identifiers.upc(upc), identifiers.grid(grid)
    for field, value in (("upc", upc), ("grid", grid)):
        if value and (other := Release.objects.filter(**{field: value}).first()):
            raise Refused("duplicate", f"That number is the one of “{other.title}”.", field=field)
    release = Release.objects.create(
        title=title, upc=upc, grid=grid, label=label, released_on=released_on
    )
    ReleaseTrack.objects.bulk_create(
        ReleaseTrack(release=release, recording=recording, position=position)
        for position, recording in enumerate(tracks, start=1)
    )
    audit.record(by=by, verb="release.added", subject=release, upc=upc, grid=grid)
    return release
