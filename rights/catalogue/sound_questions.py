"""Questions about recordings that sound alike: opened when a file comes, answered by an admin."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from django.db import transaction
from django.db.models import Q, QuerySet

from audio import matching
from portal import audit
from portal.database import commit_order
from portal.inputs.text import clean_line
from portal.models import User
from rights.catalogue import derivations
from rights.errors import Refused
from rights.models import Recording, RecordingRelation, SoundQuestion

Answer = SoundQuestion.Answer
Kind = RecordingRelation.Kind
# The relation that an answer states, and whether the earlier recording comes from the later.
RELATION_OF_ANSWER: Mapping[str, tuple[Kind, bool]] = MappingProxyType({
    Answer.CONTAINS: (Kind.CONTAINS, False),
    Answer.DERIVED: (Kind.DERIVED, False),
    Answer.CONTAINED: (Kind.CONTAINS, True),
    Answer.ORIGIN: (Kind.DERIVED, True),
    Answer.SAME_SOUND: (Kind.SAME_SOUND, False),
})  # fmt: skip


@dataclass(frozen=True)
class Side:
    """A recording with a sound, as its own file or as a part, and the moment the sound came."""

    recording: Recording
    came: datetime


def ask(
    one: Side, two: Side, *, match: matching.Match | None, at: datetime
) -> SoundQuestion | None:
    """Ask how two recordings relate that sound alike; None if that is known or was asked.

    The question is about the recording to which the sound came later: a part that comes today puts
    an old recording in question, and not the newer one that it was taken from. `match`, in the
    order of the two, is None where the samples are the very same. Call it inside a transaction.
    """
    recording, other = one.recording, two.recording
    if recording.pk == other.pk or _asked_before(recording, other):
        return None
    turned = (two.came, other.pk) > (one.came, recording.pk)
    if turned:
        recording, other = other, recording
    question = SoundQuestion.objects.create(
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
        same_samples=question.same_samples,
        score=question.score,
    )
    return question


def _where(match: matching.Match, *, turned: bool) -> dict[str, float]:
    at, other_at = match.clip_at, match.recording_at
    if turned:
        at, other_at = other_at, at
    return {"score": match.score, "at": at, "other_at": other_at, "length": match.length}


def _asked_before(recording: Recording, other: Recording) -> bool:
    """Return whether this was asked before, or somebody has entered a relation already."""
    questions = Q(recording=recording, other=other) | Q(recording=other, other=recording)
    relations = Q(recording=recording, source=other) | Q(recording=other, source=recording)
    return (
        SoundQuestion.objects.filter(questions).exists()
        or RecordingRelation.objects.filter(relations, ended_at=None).exists()
    )


@transaction.atomic
def answer(question: SoundQuestion, *, by: User, answer: str, note: str = "") -> SoundQuestion:
    """Answer how the two relate; from then on the recording is used like any other. Raises Refused
    where it was answered already, and for what is no answer."""
    if answer not in Answer.values:
        raise Refused("answer", "Say what the two recordings are to each other.", field="answer")
    at = commit_order.moment()
    unanswered = SoundQuestion.objects.filter(pk=question.pk, answered_at=None)
    if not unanswered.update(
        answer=answer, note=clean_line(note)[:300], answered_by=by, answered_at=at
    ):
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
    if answer in RELATION_OF_ANSWER:
        kind, turned = RELATION_OF_ANSWER[answer]
        recording, source = question.recording, question.other
        if turned:
            recording, source = source, recording
        if not _related(recording, source, kind):
            derivations.add_relation(
                by=by, recording=recording, source=source, kind=kind, note=note
            )
    return question


def _related(recording: Recording, source: Recording, kind: Kind) -> bool:
    """Return whether somebody has entered the answer's relation meanwhile."""
    pair = Q(recording=recording, source=source)
    if kind == Kind.SAME_SOUND:
        pair |= Q(recording=source, source=recording)
    return RecordingRelation.objects.filter(pair, kind=kind, ended_at=None).exists()


def open_questions() -> QuerySet[SoundQuestion]:
    rows = SoundQuestion.objects.filter(answered_at=None).select_related("recording", "other")
    return rows.order_by("created_at", "pk")


def open_about(recording: Recording) -> QuerySet[SoundQuestion]:
    """Return the open questions about the recording, as the later one or the earlier."""
    return open_questions().filter(Q(recording=recording) | Q(other=recording))
