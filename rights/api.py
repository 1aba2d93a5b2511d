"""The rights room over HTTP: recordings and decisions, paged, for those who read the repertoire."""

from datetime import datetime

from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema
from ninja.errors import HttpError
from ninja.pagination import LimitOffsetPagination, paginate
from pydantic import Field

from portal.models import ApiToken, User
from rights import choices, consent
from rights.models import Decision, DecisionLine, Purpose, Recording, Use
from rights.views.access import READERS

router = Router(tags=["rights"])


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


class ReasonOut(Schema):
    code: str
    sentence: str
    party: str
    right: str
    party_id: int | None = None
    work_id: int | None = None
    grant_id: int | None = None


class WhyOut(Schema):
    allowed: bool
    reasons: list[ReasonOut]
    grants: list[int]


class WhyIn(Schema):
    use: Use
    purpose: Purpose = Purpose.RESEARCH
    territory: str = "world"
    model_family: str = "backline"


class DecisionOut(Schema):
    id: int
    use: str
    context: dict[str, str]
    as_of: datetime
    allowed: bool
    policy_version: str
    input_digest: str


class DecisionLineOut(Schema):
    recording_id: int
    allowed: bool
    reasons: list[ReasonOut]
    grants: list[int]


@router.get("/rights/recordings", response=list[RecordingOut])
@paginate(LimitOffsetPagination)
def recordings(request: HttpRequest, q: str = "") -> QuerySet[Recording]:
    return choices.search(Recording.objects.visible_to(_caller(request)), q)


@router.get("/rights/recordings/{pk}/why", response=WhyOut)
def why(request: HttpRequest, pk: int, asked: Query[WhyIn]) -> WhyOut:
    """May this recording be used so, and who says no? Nothing is kept of the question."""
    row = get_object_or_404(Recording.objects.visible_to(_caller(request)), pk=pk)
    scope = consent.Context(asked.purpose, asked.territory, asked.model_family)
    line = consent.evaluate([row], asked.use, scope)[row.pk]
    return WhyOut(
        allowed=line.allowed,
        reasons=[ReasonOut(**reason) for reason in line.reasons],
        grants=line.grant_ids,
    )


@router.get("/rights/decisions", response=list[DecisionOut])
@paginate(LimitOffsetPagination)
def decisions(request: HttpRequest) -> QuerySet[Decision]:
    _reader(request)
    return Decision.objects.order_by("-pk")


@router.get("/rights/decisions/{pk}/lines", response=list[DecisionLineOut])
@paginate(LimitOffsetPagination)
def decision_lines(request: HttpRequest, pk: int) -> QuerySet[DecisionLine]:
    _reader(request)
    return DecisionLine.objects.filter(decision=get_object_or_404(Decision, pk=pk)).order_by("pk")


def _caller(request: HttpRequest) -> User:
    """The person behind the call; a run's own token reaches its run and nothing here."""
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
