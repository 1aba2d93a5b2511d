"""Questions about what sounds alike: opened when a file comes, answered by a rights admin."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from django.db import transaction
from django.db.models import Q, QuerySet

from audio import matching
from portal import audit
from portal.database import commit_order
from portal.models import User
from rights.catalogue import derivations
from rights.errors import Refused
from rights.models import Recording, RecordingRelation, SoundQuestion

Answer = SoundQuestion.Answer
Kind = RecordingRelation.Kind
# What an answer says of the two, and whether it says it of the earlier one.
SAID: Mapping[str, tuple[Kind, bool]] = MappingProxyType({
    Answer.CONTAINS: (Kind.CONTAINS, False),
    Answer.DERIVED: (Kind.DERIVED, False),
    Answer.CONTAINED: (Kind.CONTAINS, True),
    Answer.ORIGIN: (Kind.DERIVED, True),
    Answer.SAME_SOUND: (Kind.SAME_SOUND, False),
})  # fmt: skip


def ask(
    *, recording: Recording, other: Recording, match: matching.Match | None, at: datetime
) -> SoundQuestion | None:
    """Whether the recording is what it sounds like; None where that is known or was answered.

    The one whose file came first keeps its place: the question is about the later one. `match` is
    None where the samples are the very same. Inside a transaction.
    """
    if recording.pk == other.pk or _asked_before(recording, other):
        return None
    turned = _arrival(other) > _arrival(recording)
    if turned:
        recording, other = other, recording
    made = SoundQuestion.objects.create(
        recording=recording,
        other=other,
        same_samples=match is None,
        created_at=at,
        **({} if match is None else _where(match, turned=turned)),
    )
    audit.record(
        by=None,
        verb="recording.sound_questioned",
        subject=recording,
        other=other.pk,
        same_samples=made.same_samples,
        score=made.score,
    )
    return made


def _arrival(recording: Recording) -> tuple[object, int]:
    return recording.audio_at or recording.created_at, recording.pk


def _where(match: matching.Match, *, turned: bool) -> dict[str, float]:
    here, there = match.clip_at, match.recording_at
    if turned:
        here, there = there, here
    return {"score": match.score, "at": here, "other_at": there, "length": match.length}


def _asked_before(recording: Recording, other: Recording) -> bool:
    """Whether it was asked before, or somebody has said it already."""
    either = Q(recording=recording, other=other) | Q(recording=other, other=recording)
    pair = Q(recording=recording, source=other) | Q(recording=other, source=recording)
    return (
        SoundQuestion.objects.filter(either).exists()
        or RecordingRelation.objects.filter(pair, ended_at=None).exists()
    )


@transaction.atomic
def answer(question: SoundQuestion, *, by: User, answer: str, note: str = "") -> SoundQuestion:
    """What they are to each other; from then on the recording is asked for like any other.
    Raises Refused where it was answered, and for what is no answer."""
    if answer not in Answer.values:
        raise Refused("answer", "Say what the two recordings are to each other.", field="answer")
    at = commit_order.moment()
    open_one = SoundQuestion.objects.filter(pk=question.pk, answered_at=None)
    if not open_one.update(answer=answer, note=note.strip()[:300], answered_by=by, answered_at=at):
        raise Refused("state", "Somebody has answered this already.")
    question.refresh_from_db()
    audit.record(
        by=by,
        verb="recording.sound_answered",
        subject=question.recording,
        other=question.other_id,
        answer=answer,
        private={"note": question.note},
    )
    if answer in SAID:
        kind, turned = SAID[answer]
        made, source = question.recording, question.other
        if turned:
            made, source = source, made
        if not _related(made, source, kind):
            derivations.add_relation(by=by, recording=made, source=source, kind=kind, note=note)
    return question


def _related(made: Recording, source: Recording, kind: Kind) -> bool:
    """Whether somebody has said meanwhile what the answer says."""
    pair = Q(recording=made, source=source)
    if kind == Kind.SAME_SOUND:
        pair |= Q(recording=source, source=made)
    return RecordingRelation.objects.filter(pair, kind=kind, ended_at=None).exists()


def open_questions() -> QuerySet[SoundQuestion]:
    rows = SoundQuestion.objects.filter(answered_at=None).select_related("recording", "other")
    return rows.order_by("created_at", "pk")
