"""The API for people and their scripts: projects, runs, curves. Every list is paged."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema
from ninja.errors import HttpError

from backline import wire
from experiments import access, recipes
from experiments.clearance import clearance, permission
from experiments.metrics import metrics
from experiments.metrics.curves import CurveBody
from experiments.models import Checkpoint, Dataset, Project, Run
from experiments.models.cleared_scope import ClearedScope
from experiments.runs import config_changes, costs, describing, forks, quotas, run_spec, runs
from experiments.views.describing import api as words
from portal import tokens
from portal.inputs.schemas import Limit, Offset, Step, Words

router = Router(tags=["experiments"])

Points = Annotated[int, Query(ge=1, le=10_000)]


class ProjectBody(Schema):
    slug: str
    name: str
    description: str


class ProjectDetails(ProjectBody):
    gpu_quota: int | None
    gpu_hour_quota: int | None
    gpu_hours: float = Field(description="What runs and waits may still take.")
    cost: Decimal = Field(description="Of all runs so far, in `currency`.")
    currency: str

    @staticmethod
    def resolve_gpu_hours(project: Project) -> float:
        return quotas.hours_taken(project)

    @staticmethod
    def resolve_cost(project: Project) -> Decimal:
        return costs.of_project(project)

    @staticmethod
    def resolve_currency(project: Project) -> str:  # noqa: ARG004 - ninja's signature.
        return costs.prices().currency


class ProjectPage(Schema):
    count: int
    items: list[ProjectBody]


class RunBody(Schema):
    id: UUID
    project: str
    number: int
    name: str
    recipe: str
    state: str
    state_reason: str
    stage: str
    progress: float
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    # Set while its program should report and does not.
    silent_since: datetime | None
    url: str

    @staticmethod
    def resolve_project(run: Run) -> str:
        return run.project.slug

    @staticmethod
    def resolve_url(run: Run) -> str:
        return run.get_absolute_url()


class RunPage(Schema):
    count: int
    items: list[RunBody]


class Summary(Schema):
    name: str
    count: int
    last: float | None
    last_step: int
    minimum: float | None
    minimum_step: int | None
    maximum: float | None
    maximum_step: int | None
    nonfinite: int


class CheckpointBody(Schema):
    id: int = Field(description="What `start_from` of a submission names.")
    step: int
    sha256: str
    created_at: datetime
    retired_at: datetime | None

    @staticmethod
    def resolve_sha256(checkpoint: Checkpoint) -> str:
        return str(checkpoint.digest)


class ClearedUse(Schema):
    use: str = Field(description="Empty: the model itself, to generate and to train on from.")
    cleared: str = Field(description="Purposes, territories, versions and products, in words.")
    here: bool = Field(description="Whether the run's own project may.")


class ScopeBody(Schema):
    at: datetime = Field(description="When it was kept; what ended since narrows it further.")
    digest: str
    known: bool = Field(description="False of a run that was started outside.")
    uses: list[ClearedUse]


class RunDetails(RunBody):
    description: str
    notes: str = Field(description="In Markdown.")
    tags: list[str]
    version: int = Field(description="Of name, description, notes and tags: for PATCH.")
    archived_at: datetime | None
    config: dict[str, Any]
    resources: dict[str, Any]
    arithmetic: wire.Arithmetic | None = Field(
        description="What its program computes in, once it has chosen."
    )
    cost: Decimal = Field(description="So far, in `currency`; with four places.")
    currency: str
    dataset_digest: str
    code_version: str
    metrics: list[Summary]
    start_from: int | None = Field(description="The checkpoint that it started from.")
    fork_step: int | None = Field(description="The step of another run that it goes on from.")
    checkpoints: list[CheckpointBody]
    scope: ScopeBody | None = Field(description="What its checkpoints were cleared for.")

    @staticmethod
    def resolve_version(run: Run) -> int:
        return run.described

    @staticmethod
    def resolve_start_from(run: Run) -> int | None:
        return run.start_from_id

    @staticmethod
    def resolve_checkpoints(run: Run) -> list[Checkpoint]:
        return list(run.checkpoints.all())

    @staticmethod
    def resolve_scope(run: Run) -> ScopeBody | None:
        row = ClearedScope.objects.filter(run=run).first()
        if row is None:
            return None
        scope = clearance.Scope.from_json(row.body)
        lines = clearance.lines(scope, permission.context_of(run.project))
        uses = [
            ClearedUse(use=line.use, cleared=line.words, here=line.allowed_here) for line in lines
        ]
        return ScopeBody(at=row.at, digest=row.digest, known=not scope.unknown, uses=uses)

    @staticmethod
    def resolve_cost(run: Run) -> Decimal:
        return costs.of_runs([run.pk]).get(run.pk, costs.NOTHING)

    @staticmethod
    def resolve_currency(run: Run) -> str:  # noqa: ARG004 - ninja's signature.
        return costs.prices().currency

    @staticmethod
    def resolve_metrics(run: Run) -> list[Summary]:
        return [Summary.from_orm(row) for row in run.series.all()]


@router.get("/projects", response=ProjectPage)
def projects(request: HttpRequest, limit: Limit = 50, offset: Offset = 0) -> dict[str, object]:
    """The projects you are a member of."""
    rows = Project.objects.visible_to(access.person(request))
    return {"count": rows.count(), "items": rows[offset : offset + limit]}


@router.get("/projects/{slug:slug}", response=ProjectDetails)
def project_details(request: HttpRequest, slug: str) -> Project:
    """One project with its quotas, its use of them, and the cost of its runs so far."""
    return _project(request, slug)


@router.get("/runs", response=RunPage)
def run_list(
    request: HttpRequest,
    project: Words = "",
    state: Words = "",
    *,
    archived: bool = False,
    limit: Limit = 50,
    offset: Offset = 0,
) -> dict[str, object]:
    """Runs, newest first; archived ones too if they are asked for."""
    rows = Run.objects.visible_to(access.person(request)).select_related("project")
    if not archived:
        rows = rows.listed()
    if project:
        rows = rows.filter(project__slug=project)
    if state:
        rows = rows.filter(state=state)
    return {"count": rows.count(), "items": rows[offset : offset + limit]}


@router.post("/runs", response=wire.OpenedRun)
def open_run(request: HttpRequest, wanted: wire.NewRun) -> wire.OpenedRun:
    """Open a run whose program was started outside, or join or resume one; the answer has a token
    for that run alone."""
    user = access.person(request)
    project = _project(request, wanted.project)
    try:
        joined = runs.join_client_run(by=user, project=project, wanted=wanted)
    except runs.NotPermitted as error:
        raise HttpError(403, str(error)) from error
    except runs.NoSuchRun as error:
        raise HttpError(404, str(error)) from error
    except (runs.NotPossible, forks.NotForkable) as error:
        raise HttpError(409, str(error)) from error
    except (
        recipes.ConfigInvalid, config_changes.NotChangeable, describing.BadDescription,
    ) as error:  # fmt: skip
        raise HttpError(422, str(error)) from error
    run = joined.run
    _, secret = tokens.issue(user, f"Run {run.number}", scope=f"run:{run.pk}", by=user)
    return wire.OpenedRun(
        spec=run_spec.spec_of(run),
        token=secret,
        session=joined.session,
        step=joined.step,
        forked=run.fork_step is not None,
    )


@router.post("/submissions", response=RunBody)
def submit(request: HttpRequest, wanted: wire.Submission) -> Run:
    """Queue a run, as the form in the portal does."""
    user = access.person(request)
    project = _project(request, wanted.project)
    dataset = None
    if wanted.dataset is not None:
        dataset = Dataset.objects.visible_to(user).filter(pk=wanted.dataset).first()
        if dataset is None:
            raise HttpError(404, f"There is no dataset {wanted.dataset} that you may use.")
    checkpoint = None
    if wanted.start_from is not None:
        visible = Checkpoint.objects.filter(run__in=Run.objects.visible_to(user))
        checkpoint = visible.filter(pk=wanted.start_from).select_related("run").first()
        if checkpoint is None:
            raise HttpError(404, f"There is no checkpoint {wanted.start_from} that you may use.")
    try:
        return runs.submit(
            by=user, project=project, recipe=wanted.recipe, config=wanted.config,
            dataset=dataset, start_from=checkpoint, name=wanted.name, resources=wanted.resources,
        )  # fmt: skip
    except (
        recipes.ConfigInvalid, recipes.UnknownRecipe, runs.NotAllowed, runs.OverQuota,
    ) as error:  # fmt: skip
        raise HttpError(422, str(error)) from error
    except runs.NotPermitted as error:
        raise HttpError(403, str(error)) from error


@router.get("/runs/{uuid:run_id}", response=RunDetails)
def run_details(request: HttpRequest, run_id: UUID) -> Run:
    """One run with its config and the summary of every metric."""
    return access.readable(request, run_id)


# Here, as one address has one router.
router.patch("/runs/{uuid:run_id}", response=words.WordsBody)(words.change_words)


@router.get("/runs/{uuid:run_id}/metrics")
def curve(
    request: HttpRequest,
    run_id: UUID,
    *,
    name: Words,
    points: Points = 1000,
    from_step: Step | None = None,
    to_step: Step | None = None,
) -> CurveBody:
    """A curve with at most `points` buckets: mean, minimum and maximum of each."""
    run = access.readable(request, run_id)
    return metrics.read(run, name, points, from_step, to_step).as_json()


def _project(request: HttpRequest, slug: str) -> Project:
    project = Project.objects.visible_to(access.person(request)).filter(slug=slug).first()
    if project is None:
        raise HttpError(404, f"There is no project {slug} that you are a member of.")
    return project
