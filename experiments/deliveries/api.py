"""What a running program sends and fetches: the portal's side of backline/delivery/sender.py.

Every delivery may arrive twice. A 4xx other than 408, 425 and 429 is final, and its `detail` is a
sentence for the console of the program; anything else is tried again.
"""

from typing import Annotated
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import File, Router, UploadedFile
from ninja.errors import HttpError
from pydantic import ValidationError

from backline import batches, wire
from experiments import access
from experiments.clearance import originals, permission
from experiments.deliveries import late, logs, undelivered, usage_report
from experiments.metrics import metrics
from experiments.models import Run, declared_uses
from experiments.models.sessions import NAME_MAX
from experiments.runs import (
    arithmetic,
    checkpoints,
    config_changes,
    describing,
    environments,
    run_spec,
    runs,
)
from portal import storage
from portal.http.serving import blob_response
from portal.inputs.schemas import Described, PathNumber, RowNumber, Words

router = Router(tags=["deliveries"])


@router.get("/runs/{uuid:run_id}/spec", response=wire.RunSpec)
def spec(request: HttpRequest, run_id: UUID, session: Words = "") -> wire.RunSpec:
    """What the program needs to know: recipe, config, dataset items, checkpoint to resume from.

    `session` is the name under which it will deliver.
    """
    run = access.readable(request, run_id)
    if session and run.is_open and access.run_token(request) is not None:
        _admit(request, run, session)
    return run_spec.spec_of(run)


@router.post("/runs/{uuid:run_id}/batches", response=wire.Received)
def add_batch(
    request: HttpRequest, run_id: UUID, session: Words, number: RowNumber
) -> wire.Received:
    """One numbered batch of metrics (backline.batches.encode); the same number counts once."""
    run = access.writable(request, run_id)
    _require_name(session)
    _admit(request, run, session, numbered=True)
    try:
        done = metrics.ingest(run, session, number, request.body)
    except batches.Malformed as error:
        raise HttpError(400, str(error)) from error
    except metrics.Conflict as error:
        raise HttpError(409, str(error)) from error
    return wire.Received(points=done.points, duplicate=done.duplicate)


@router.post("/runs/{uuid:run_id}/logs", response=wire.Received)
def add_log(request: HttpRequest, run_id: UUID, piece: wire.LogPiece) -> wire.Received:
    """A piece of the console, by byte offset."""
    run = access.writable(request, run_id)
    _require_name(piece.session)
    _admit(request, run, piece.session, numbered=True)
    return wire.Received(duplicate=not logs.append(run, piece))


@router.post("/runs/{uuid:run_id}/heartbeat", response=wire.HeartbeatAnswer)
def beat(request: HttpRequest, run_id: UUID, sign: wire.Heartbeat) -> wire.HeartbeatAnswer:
    """Record a sign of life; the answer says whether the program is asked to stop."""
    run = access.writable(request, run_id)
    run = runs.beat(run, sign.session, sign.stage, sign.progress)
    if run.is_open:
        _admit(request, run, sign.session)
    if run.state == Run.State.STOPPING:
        return wire.HeartbeatAnswer(stop=True, reason=run.state_reason or "It was asked to stop.")
    if not run.is_open:
        return wire.HeartbeatAnswer(
            stop=True, reason=f"The run has ended: {run.get_state_display()}."
        )
    if runs.is_replaced(run, sign.session):
        return wire.HeartbeatAnswer(stop=True, reason="The run was resumed by another program.")
    newest = run.attempts.order_by("-number").values_list("number", flat=True).first()
    if (
        run.origin == Run.Origin.PORTAL
        and newest
        and runs.attempt_and_rank(sign.session)[0] != newest
    ):
        return wire.HeartbeatAnswer(stop=True, reason=f"Attempt {newest} has taken over.")
    return wire.HeartbeatAnswer()


@router.post("/runs/{uuid:run_id}/undelivered", response=wire.Received)
def tell_undelivered(request: HttpRequest, run_id: UUID, said: wire.Undelivered) -> wire.Received:
    """Report what a session could not deliver, for the run's page; a count of 0 clears it."""
    run = access.writable(request, run_id)
    undelivered.store_report(run, said)
    if not said.count and not run.is_open:
        # Everything that its ending still owed has arrived.
        late.close(run, said.session)
    return wire.Received()


@router.post("/runs/{uuid:run_id}/usage", response=wire.Received)
def add_usage(
    request: HttpRequest, run_id: UUID, report: wire.UsageReport, session: Words = ""
) -> wire.Received:
    """Which recordings were learned from since the last report, for the ledger."""
    run = access.writable(request, run_id)
    _admit(request, run, session)
    try:
        usage_report.report(run, report)
    except usage_report.NotInDataset as error:
        raise HttpError(422, str(error)) from error
    return wire.Received()


@router.post("/runs/{uuid:run_id}/arithmetic", response=wire.Received)
def add_arithmetic(request: HttpRequest, run_id: UUID, chosen: wire.Arithmetic) -> wire.Received:
    """Store the precision and threads that the program computes with; the first report stays."""
    run = access.writable(request, run_id)
    if not run.is_open and access.run_token(request) is None:
        raise HttpError(409, f"Run {run.number} has ended; it takes nothing new.")
    return wire.Received(duplicate=not arithmetic.store_choice(run, chosen))


@router.post("/runs/{uuid:run_id}/environment", response=wire.Received)
def add_environment(request: HttpRequest, run_id: UUID, report: wire.Environment) -> wire.Received:
    """Store what a program was started from and in; the first report of a session stays."""
    run = access.writable(request, run_id)
    _admit(request, run, report.session)
    return wire.Received(duplicate=not environments.store_report(run, report))


@router.post("/runs/{uuid:run_id}/config", response=wire.Received)
def add_to_config(
    request: HttpRequest, run_id: UUID, update: wire.ConfigUpdate, session: Words = ""
) -> wire.Received:
    """Add values to the run's config, or change them; what a run of the portal was submitted with
    stays."""
    run = access.writable(request, run_id)
    _admit(request, run, session)
    try:
        return wire.Received(duplicate=not config_changes.complete(run, update.values))
    except config_changes.NotChangeable as error:
        raise HttpError(409, str(error)) from error


@router.post("/runs/{uuid:run_id}/words", response=wire.Received)
def add_words(
    request: HttpRequest, run_id: UUID, said: wire.Words, session: Words, number: RowNumber
) -> wire.Received:
    """The name, description, notes and tags that the program gives its run; the same number of a
    session counts once."""
    run = access.writable(request, run_id)
    _require_name(session)
    _admit(request, run, session)
    try:
        return wire.Received(
            duplicate=not describing.report(run, said, source=f"{session}/{number}")
        )
    except (describing.BadDescription, describing.Gone) as error:
        raise HttpError(409, str(error)) from error


@router.post("/runs/{uuid:run_id}/checkpoints", response=wire.Received)
def add_checkpoint(
    request: HttpRequest,
    run_id: UUID,
    meta: Described,
    file: Annotated[UploadedFile, File()],
    session: Words = "",
) -> wire.Received:
    """A checkpoint file; `meta` is JSON: step, sha256 of the file, meta."""
    run = access.writable(request, run_id)
    _admit(request, run, session)
    try:
        description = wire.CheckpointMeta.model_validate_json(meta)
        _, new = checkpoints.receive(run=run, file=file, meta=description)
    except ValidationError as error:
        raise HttpError(422, f"The checkpoint's description is wrong: {error}") from error
    except checkpoints.Damaged as error:
        # Not final: it did not arrive as it was sent, and the next try sends it again.
        raise HttpError(408, str(error)) from error
    except checkpoints.Conflict as error:
        raise HttpError(409, str(error)) from error
    except storage.TooLarge as error:
        raise HttpError(413, str(error)) from error
    return wire.Received(duplicate=not new)


@router.get("/runs/{uuid:run_id}/checkpoints/{int:step}")
def checkpoint(request: HttpRequest, run_id: UUID, step: PathNumber) -> HttpResponseBase:
    """The bytes of a checkpoint, whole or a range of them; 410 once nobody may load it."""
    run = access.readable(request, run_id)
    row = run.checkpoints.filter(step=step).first()
    if row is None:
        raise HttpError(404, f"This run has no checkpoint of step {step}.")
    if access.run_token(request) is None and not declared_uses.makes_models(run.use):
        made_for = run.get_use_display().lower()
        raise HttpError(
            403,
            f"Run {run.number} was declared for {made_for}: what it saves is there for its own "
            "next attempt alone.",
        )
    if reason := permission.why_not_loadable(row):
        raise HttpError(410, reason)
    return blob_response(request, row.file, f"step-{step}")


@router.get("/runs/{uuid:run_id}/start-from")
def start_from(request: HttpRequest, run_id: UUID) -> HttpResponseBase:
    """The weights that this run starts from, for its own token while it is open; 410 once nobody
    may load them."""
    run = access.readable(request, run_id)
    if access.run_token(request) is None or run.state not in run_spec.READING_STATES:
        raise HttpError(403, "Only a program that is running reads the weights it starts from.")
    weights = run.start_from
    if weights is None:
        raise HttpError(404, "This run starts from no weights of another.")
    if reason := permission.why_not_loadable(weights):
        raise HttpError(410, reason)
    return blob_response(request, weights.file, f"step-{weights.step}")


@router.get("/runs/{uuid:run_id}/audio/{int:recording_id}")
def dataset_audio(request: HttpRequest, run_id: UUID, recording_id: PathNumber) -> HttpResponseBase:
    """A recording of the run's dataset, whole or a range of it, for the run's own token while it
    is open."""
    run = access.readable(request, run_id)
    if access.run_token(request) is None or run.state not in run_spec.READING_STATES:
        raise HttpError(403, "Only a program that is running reads the audio of its dataset.")
    item = run_spec.items(run).filter(recording_id=recording_id).first()
    if item is None or item.audio is None:
        raise HttpError(404, "This recording is not in the run's dataset.")
    if run.dataset and (reason := permission.why_not_dataset(run.dataset)):
        raise HttpError(403, reason)
    if run.dataset and any(
        hold.recording_id == recording_id for hold in runs.holds_on(run.dataset, run.use)
    ):
        raise HttpError(403, f"The permission for {item.recording.title} has ended.")
    if request.method == "GET":
        originals.record_fetch(run, by=run.submitted_by)
    return blob_response(request, item.audio, item.recording.title)


@router.post("/runs/{uuid:run_id}/ending", response=wire.Received)
def end(
    request: HttpRequest, run_id: UUID, ending: wire.Ending, session: Words = ""
) -> wire.Received:
    """Report the end of a session, and how its program ended. That ends a run started outside; a
    run of the portal ends by its exit code instead."""
    run = access.writable(request, run_id)
    if run.origin == Run.Origin.CLIENT and ending.of_run:
        if run.is_open:
            for name in ending.children:
                late.note_session(run, name)
        runs.close_client_run(run, outcome=ending.outcome, reason=ending.reason, session=session)
    if not ending.owed:
        late.close(run, session)
    if not run.is_open:
        metrics.compact(run)
    return wire.Received()


def _require_name(session: str) -> None:
    if not session:
        raise HttpError(422, f"A session has a name of 1 to {NAME_MAX} characters.")


def _admit(request: HttpRequest, run: Run, session: str, *, numbered: bool = False) -> None:
    """Let a delivery in; a run that has ended accepts only the rest of its own deliveries."""
    try:
        late.admit(run, token=access.run_token(request), session=session, numbered=numbered)
    except late.BadSession as error:
        raise HttpError(422, str(error)) from error
    except late.Ended as error:
        raise HttpError(409, str(error)) from error
