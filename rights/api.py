"""The rights app over HTTP: recordings and decisions, paged, for readers of the repertoire."""

from datetime import datetime
from typing import Literal

from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Query, Router, Schema
from ninja.errors import HttpError
from ninja.pagination import paginate
from pydantic import Field

from backline.bounds import Moment, Natural
from portal.inputs.schemas import Filter, Paged, PathNumber, Words
from portal.models import ApiToken, User
from rights import days
from rights.access import READERS
from rights.consent import consent
from rights.consent import decisions as kept
from rights.grants import choices
from rights.models import (
    Channel,
    Decision,
    DecisionLine,
    Purpose,
    Recording,
    RecordingRelation,
    SoundQuestion,
    Use,
)
from rights.rightsholder import overview

router = Router(tags=["rights"])


class RelationOut(Schema):
    """One relation of a recording to a source that it comes from."""

    source_id: int
    kind: str
    created_at: datetime
    confirmed_at: datetime | None


class RecordingOut(Schema):
    id: int
    title: str
    isrc: str
    format: str
    duration: float = Field(description="Seconds.")
    sample_rate: int = Field(description="Hz.")
    channels: int
    lufs: float | None
    warnings: list[str]
    tags: dict[str, object]
    created_at: datetime
    sources: list[RelationOut] = Field(
        description="The recordings that it contains, was made from or is the same sound as."
    )
    sound_in_question: bool = Field(
        description="It sounds like another one and is used for nothing until that is answered."
    )


class ReasonOut(Schema):
    code: str
    sentence: str
    party: str
    right: str
    party_id: int | None = None
    work_id: int | None = None
    grant_id: int | None = None
    through_id: int | None = Field(
        None, description="The recording that it comes from, where the right is in that one."
    )


class WhyOut(Schema):
    allowed: bool
    reasons: list[ReasonOut]
    grants: list[int]


class WhyIn(Filter):
    use: Use
    purpose: Purpose = Purpose.RESEARCH
    territory: str = Field("world", max_length=20)
    model_family: str = Field("backline", max_length=100)
    model_version: int = Field(1, ge=1, le=10_000)
    product: str = Field("", max_length=100)
    channel: Channel | Literal[""] = Field("", description="For the use distribute.")
    at: Moment | None = Field(None, description="The moment of the use; left out: now.")
    known_at: Moment | None = Field(None, description="What was known then; left out: now.")


class DecisionOut(Schema):
    id: int
    use: str
    context: dict[str, str | int]
    as_of: datetime
    known_at: datetime
    allowed: bool
    policy_version: str
    input_digest: str
    output_digest: str


class DecisionFilter(Filter):
    use: Use | None = None
    allowed: bool | None = None
    recording: Natural | None = Field(None, description="Only those that asked for this recording.")


class DifferenceOut(Schema):
    recording_id: int
    kept: bool | None = Field(description="Allowed then; null where there is no line.")
    now: bool | None


class ReplayOut(Schema):
    """`same` is true where the same facts went in and the same bytes came out."""

    same: bool
    output_digest: str = Field(description="SHA-256 of the answer made anew; empty on refusal.")
    kept_output_digest: str
    input_digest: str
    kept_input_digest: str
    refusal: str = Field(description="Why it cannot be made anew; empty where it was.")
    differences: list[DifferenceOut]


class DecisionLineOut(Schema):
    recording_id: int
    allowed: bool
    reasons: list[ReasonOut]
    grants: list[int]


@router.get("/rights/recordings", response=list[RecordingOut])
@paginate(Paged)
def recordings(request: HttpRequest, q: Words = "") -> QuerySet[Recording]:
    relations = RecordingRelation.objects.filter(ended_at=None)
    open_questions = SoundQuestion.objects.filter(recording=OuterRef("pk"), answered_at=None)
    rows = choices.search(Recording.objects.visible_to(_caller(request)), q)
    return rows.annotate(sound_in_question=Exists(open_questions)).prefetch_related(
        Prefetch("sources", relations)
    )


@router.get("/rights/recordings/{pk}/why", response=WhyOut)
def why(request: HttpRequest, pk: PathNumber, asked: Query[WhyIn]) -> WhyOut:
    """Say whether this recording may be used so and, if not, what is missing and whose permission.

    `at` and `known_at` ask about the past: whether it was allowed at one moment, as far as was
    known at another. The question is not stored.
    """
    user = _caller(request)
    row = get_object_or_404(Recording.objects.visible_to(user), pk=pk)
    scope = consent.Context(
        asked.purpose,
        asked.territory,
        asked.model_family,
        asked.model_version,
        asked.product,
        asked.channel,
    )
    at, known_at = asked.at, asked.known_at
    if known_at and days.utc(known_at) > timezone.now():
        raise HttpError(422, "Nobody knows yet what will be known then.")
    line = consent.evaluate([row], asked.use, scope, at, known_at)[row.pk]
    if not user.has_role(*READERS):
        line = overview.answer_shown_to(line, user, row)
    return WhyOut(
        allowed=line.allowed,
        reasons=[ReasonOut(**reason) for reason in line.reasons],
        grants=line.grant_ids,
    )


@router.get("/rights/decisions", response=list[DecisionOut])
@paginate(Paged)
def decisions(request: HttpRequest, asked: Query[DecisionFilter]) -> QuerySet[Decision]:
    _reader(request)
    answer = {None: "", True: "allowed", False: "denied"}[asked.allowed]
    recording = "" if asked.recording is None else str(asked.recording)
    return choices.search_decisions(use=asked.use or "", answer=answer, recording=recording)


@router.get("/rights/decisions/{pk}/lines", response=list[DecisionLineOut])
@paginate(Paged)
def decision_lines(request: HttpRequest, pk: PathNumber) -> QuerySet[DecisionLine]:
    _reader(request)
    return DecisionLine.objects.filter(decision=get_object_or_404(Decision, pk=pk)).order_by("pk")


@router.post("/rights/decisions/{pk}/replay", response=ReplayOut)
def decision_replay(request: HttpRequest, pk: PathNumber) -> ReplayOut:
    """Replay a stored decision with what was known then, and compare. Nothing is changed."""
    _reader(request)
    row = get_object_or_404(Decision, pk=pk)
    replay = kept.replay(row)
    return ReplayOut(
        same=replay.same,
        output_digest=replay.digest,
        kept_output_digest=row.output_digest,
        input_digest=replay.input_digest,
        kept_input_digest=row.input_digest,
        refusal=replay.refusal,
        differences=[
            DifferenceOut(
                recording_id=difference.recording_id,
                kept=difference.stored.allowed if difference.stored else None,
                now=difference.now.allowed if difference.now else None,
            )
            for difference in replay.differences
        ],
    )


def _caller(request: HttpRequest) -> User:
    """Return the person behind the call; a run's own token reaches its run and nothing here."""
    token = getattr(request, "auth", None)
    if isinstance(token, ApiToken) and token.scope != "api":
        raise HttpError(404, "This token is for its run alone.")
    if not isinstance(request.user, User):
        raise HttpError(401, "Log in, or send a token.")
    return request.user


def _reader(request: HttpRequest) -> User:
    user = _caller(request)
    if not user.has_role(*READERS):
        raise HttpError(404, "There are no decisions for you to read.")
    return user
