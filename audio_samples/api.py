"""The upload of clips: one multipart request each, safe to repeat."""

from typing import Annotated, cast
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import File, Router, Schema, Status, UploadedFile
from pydantic import ValidationError

from audio.decoding import BadAudio
from audio_samples import samples
from backline import wire
from experiments import access
from experiments.deliveries import late
from experiments.models import Membership, Run
from portal.inputs.schemas import Described, Words
from portal.models import ApiToken, User
from portal.storage import TooLarge

router = Router(tags=["samples"])


class SampleAnswer(Schema):
    id: int
    url: str
    duration: float
    lufs: float | None
    true_peak: float | None
    gain_db: float


class Refusal(Schema):
    detail: str


def writable_run(request: HttpRequest, run_id: str) -> Run:
    """Return the run if this caller may add to it; else raise Http404, as for a missing run."""
    auth = cast("ApiToken | User", request.auth)  # type: ignore[attr-defined]
    runs = Run.objects.filter(pk=run_id, deleted_at=None)
    runs = runs.select_related("project", "dataset", "decision")
    if isinstance(auth, ApiToken) and auth.scope != "api":
        run = runs.first() if auth.scope == f"run:{run_id}" else None
    else:
        user = auth.user if isinstance(auth, ApiToken) else auth
        run = runs.filter(
            project__memberships__user=user,
            project__memberships__level__in=[Membership.Level.MEMBER, Membership.Level.OWNER],
        ).first()
    if run is None:
        raise Http404("No such run, or not one that this token may write to.")
    return run


@router.post(
    "/runs/{uuid:run_id}/samples",
    response={200: SampleAnswer, 404: Refusal, 409: Refusal, 413: Refusal, 422: Refusal},
)
def add_sample(
    request: HttpRequest,
    run_id: UUID,
    meta: Described,
    file: Annotated[UploadedFile, File()],
    session: Words = "",
) -> Status[SampleAnswer | Refusal]:
    """Add one clip; `meta` is JSON: name, step, prompt, seed, take, final. Safe to repeat."""
    run = writable_run(request, str(run_id))
    try:
        late.admit(run, token=access.run_token(request), session=session)
        details = wire.SampleMeta.model_validate_json(meta)
        sample = samples.receive(run=run, file=file, **details.model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "meta"
        return Status(422, Refusal(detail=f"{field}: {first['msg']}."))
    except (BadAudio, samples.BadSample, late.BadSession) as error:
        return Status(422, Refusal(detail=str(error)))
    except late.Ended as error:
        return Status(409, Refusal(detail=str(error)))
    except TooLarge as error:
        return Status(413, Refusal(detail=str(error)))
    answer = SampleAnswer(
        id=sample.pk,
        url=sample.get_absolute_url(),
        duration=sample.duration,
        lufs=sample.lufs,
        true_peak=sample.true_peak,
        gain_db=sample.gain_db,
    )
    return Status(200, answer)
