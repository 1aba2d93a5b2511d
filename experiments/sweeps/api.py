"""Sweeps for scripts: start one, look at it, stop or pause it. The client is backline/sweeps.py."""

from collections.abc import Callable

from django.http import HttpRequest
from ninja import Router, Schema
from ninja.errors import HttpError

from backline import wire
from experiments import access, recipes
from experiments.models import Checkpoint, Dataset, Project, Run, Sweep
from experiments.runs import runs
from experiments.sweeps import asked, objectives, page, sweeps, trials
from portal.inputs.schemas import Limit, Offset, PathNumber, Words
from portal.models import User

router = Router(tags=["sweeps"])


class SweepPage(Schema):
    count: int
    items: list[wire.SweepBody]


@router.get("/sweeps", response=SweepPage)
def sweep_list(
    request: HttpRequest, project: Words = "", limit: Limit = 50, offset: Offset = 0
) -> dict[str, object]:
    """Sweeps, newest first, without their trials."""
    rows = Sweep.objects.visible_to(access.person(request)).select_related("project")
    if project:
        rows = rows.filter(project__slug=project)
    listed = rows.order_by("-created_at", "-pk")[offset : offset + limit]
    return {"count": rows.count(), "items": [_body(sweep) for sweep in listed]}


@router.post("/sweeps", response=wire.SweepBody)
def sweep_start(request: HttpRequest, wanted: wire.SweepSubmission) -> wire.SweepBody:
    """Start a sweep, as the form in the portal does."""
    user = access.person(request)
    project = Project.objects.visible_to(user).filter(slug=wanted.project).first()
    if project is None:
        raise HttpError(404, f"There is no project {wanted.project} that you are a member of.")
    try:
        sweep = sweeps.start(
            by=user,
            project=project,
            wanted=asked.wanted(
                wanted.sweep, recipe=wanted.recipe, config=wanted.config,
                resources=wanted.resources, dataset=_dataset(user, wanted.dataset),
                start_from=_checkpoint(user, wanted.start_from), name=wanted.name,
            ),
        )  # fmt: skip
    except (
        recipes.ConfigInvalid, recipes.UnknownRecipe, runs.NotAllowed, runs.OverQuota,
    ) as refusal:  # fmt: skip
        raise HttpError(422, str(refusal)) from refusal
    except runs.NotPermitted as refusal:
        raise HttpError(403, str(refusal)) from refusal
    return _body(sweep, full=True)


@router.get("/sweeps/{int:sweep_id}", response=wire.SweepBody)
def sweep_details(request: HttpRequest, sweep_id: PathNumber) -> wire.SweepBody:
    """One sweep with all of its trials."""
    return _body(_visible(request, sweep_id), full=True)


@router.post("/sweeps/{int:sweep_id}/stop", response=wire.SweepBody)
def sweep_stop(request: HttpRequest, sweep_id: PathNumber) -> wire.SweepBody:
    """End the sweep and cancel all of its runs."""
    return _act(request, sweep_id, sweeps.stop)


@router.post("/sweeps/{int:sweep_id}/pause", response=wire.SweepBody)
def sweep_pause(request: HttpRequest, sweep_id: PathNumber) -> wire.SweepBody:
    """Start no further trial until it is resumed."""
    return _act(request, sweep_id, sweeps.pause)


@router.post("/sweeps/{int:sweep_id}/resume", response=wire.SweepBody)
def sweep_resume(request: HttpRequest, sweep_id: PathNumber) -> wire.SweepBody:
    """Go on with a paused or stopped sweep."""
    return _act(request, sweep_id, sweeps.resume)


def _act(request: HttpRequest, sweep_id: int, act: Callable[..., Sweep]) -> wire.SweepBody:
    sweep = _visible(request, sweep_id)
    try:
        act(sweep=sweep, by=access.person(request))
    except sweeps.NotPossible as refusal:
        raise HttpError(409, str(refusal)) from refusal
    except runs.NotPermitted as refusal:
        raise HttpError(403, str(refusal)) from refusal
    return _body(sweep, full=True)


def _visible(request: HttpRequest, sweep_id: int) -> Sweep:
    rows = Sweep.objects.visible_to(access.person(request)).select_related("project")
    sweep = rows.filter(pk=sweep_id).first()
    if sweep is None:
        raise HttpError(404, "There is no such sweep, or it is not yours to see.")
    return sweep


def _dataset(user: User, number: int | None) -> Dataset | None:
    if number is None:
        return None
    dataset = Dataset.objects.visible_to(user).filter(pk=number).first()
    if dataset is None:
        raise HttpError(404, f"There is no dataset {number} that you may use.")
    return dataset


def _checkpoint(user: User, number: int | None) -> Checkpoint | None:
    if number is None:
        return None
    visible = Checkpoint.objects.filter(run__in=Run.objects.visible_to(user))
    checkpoint = visible.filter(pk=number).select_related("run").first()
    if checkpoint is None:
        raise HttpError(404, f"There is no checkpoint {number} that you may use.")
    return checkpoint


def _body(sweep: Sweep, *, full: bool = False) -> wire.SweepBody:
    rows = trials.read(sweep) if full else []
    wanted = objectives.load(sweep.objectives)
    return wire.SweepBody(
        id=sweep.pk, project=sweep.project.slug, number=sweep.number, name=sweep.name,
        state=sweep.state, reason=sweep.reason, method=sweep.method, objectives=sweep.objectives,
        max_trials=sweep.max_trials, url=sweep.get_absolute_url(),
        active=sweep.is_active or any(row.is_open for row in rows),
        best=[row.number for row in page.best_of(rows, wanted)],
        trials=[
            wire.SweepTrialBody(
                number=row.number, state=row.state, params=row.params, values=row.values,
                reason=row.reason, run=row.run.number if row.run else None,
                url=row.run.get_absolute_url() if row.run else "",
            )
            for row in rows
        ],
    )  # fmt: skip
