"""Media by the API: what programs deliver, what a run has, and the bytes of each."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Field, Query, Router, Schema
from ninja.errors import HttpError

from backline import wire
from backline.bounds import MAX_INT, MIN_INT
from backline.media import packs
from experiments import access
from experiments.deliveries import late
from experiments.media import intake, shown, silence
from experiments.metrics.delivered import Conflict
from experiments.models import Media
from experiments.models.sessions import NAME_MAX
from experiments.views.media import files
from portal.inputs.parameters import LONGEST
from portal.inputs.schemas import Filter, Limit, Offset, PathNumber, RowNumber, Words

router = Router(tags=["experiments"])


@router.post("/runs/{uuid:run_id}/media", response=wire.MediaReceived, tags=["deliveries"])
def add_media(
    request: HttpRequest, run_id: UUID, session: Words, number: RowNumber
) -> wire.MediaReceived:
    """What one call of `log` had beside numbers (backline.media.packs); the same number counts
    once. What is beyond the limits of the run or its project is left out and counted."""
    run = access.writable(request, run_id)
    if not session:
        raise HttpError(422, f"A session has a name of 1 to {NAME_MAX} characters.")
    try:
        late.admit(run, token=access.run_token(request), session=session)
        taken = intake.receive(run, session, number, request.body)
    except late.BadSession as error:
        raise HttpError(422, str(error)) from error
    except (late.Ended, Conflict) as error:
        raise HttpError(409, str(error)) from error
    except packs.Malformed as error:
        raise HttpError(400, str(error)) from error
    return wire.MediaReceived(duplicate=taken.duplicate, left_out=taken.left_out)


class MediaFilter(Filter):
    name: str = Field("", max_length=LONGEST)
    step: int | None = Field(None, ge=MIN_INT, le=MAX_INT)
    replaced: bool = Field(False, description="With what a newer attempt has logged again.")


class MediaBody(Schema):
    id: int
    name: str
    step: int
    index: int = Field(description="Which of those that were logged together, from 0.")
    kind: str = Field(description="image, histogram, table, figure, text or confusion.")
    caption: str = ""
    content: dict[str, Any] = Field(
        default={},
        description="What it is, or facts of it; a table's and figure's own content is its file.",
    )
    attempt: int
    replaced: bool = Field(description="Whether a newer attempt has logged it again.")
    logged_at: datetime
    withheld: str = Field(default="", description="Why, if it is; then there is no content.")
    file: str = Field(default="", description="The path of its bytes, if it has some.")


class MediaPage(Schema):
    count: int
    items: list[MediaBody]


@router.get("/runs/{uuid:run_id}/media", response=MediaPage)
def list_media(
    request: HttpRequest,
    run_id: UUID,
    of: Query[MediaFilter],
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """The media of a run by name, step and index."""
    run = access.readable(request, run_id)
    rows = Media.objects.filter(run=run)
    if not of.replaced:
        rows = rows.current()
    if of.name:
        rows = rows.filter(name=of.name)
    if of.step is not None:
        rows = rows.filter(step=of.step)
    count = rows.count()
    page = silence.judged(rows.select_related("run__project"))
    ordered = page.order_by("name", "step", "index", "attempt")[offset : offset + limit]
    return {"count": count, "items": [_body(row) for row in ordered]}


@router.get("/runs/{uuid:run_id}/media/{int:media_id}")
def media_file(request: HttpRequest, run_id: UUID, media_id: PathNumber) -> HttpResponseBase:
    """The bytes of a picture, or the JSON of a table or figure; 410 if it is withheld."""
    run = access.readable(request, run_id)
    rows = silence.judged(Media.objects.filter(run=run).select_related("blob", "thumbnail"))
    row = rows.filter(pk=media_id).first()
    if row is None:
        raise HttpError(404, "This run has no such media.")
    if reason := silence.reason(row):
        raise HttpError(410, reason)
    if row.blob is None:
        raise HttpError(404, "All that there is of it stands in the list.")
    return files.answer(request, row)


def _body(row: Media) -> dict[str, Any]:
    body = shown.body(row)
    path = f"/api/v1/runs/{row.run_id}/media/{row.pk}" if "url" in body else ""
    facts = {"attempt": row.attempt, "replaced": row.replaced, "logged_at": row.logged_at}
    return {**body, **facts, "id": row.pk, "file": path}
