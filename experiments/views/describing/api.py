"""What people say of a run, for scripts: name, description, notes, tags, and their history."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Path, Router, Schema
from ninja.errors import HttpError

from backline import bounds, wire
from experiments import access
from experiments.models import Project, Run, RunEdit
from experiments.run_table import query
from experiments.runs import bulk, describing
from experiments.runs.runs import NotPermitted, NotPossible
from portal.database.bulk import among
from portal.inputs.schemas import Limit, Offset, PathNumber
from portal.models import User

router = Router(tags=["experiments"])


class WordsBody(Schema):
    """What a run is called and what is said of it, at a version."""

    id: UUID
    name: str
    description: str
    notes: str
    tags: list[str]
    version: int

    @staticmethod
    def resolve_version(run: Run) -> int:
        return run.described


Name = Annotated[str, Field(max_length=500)]
Word = Annotated[str, Path(max_length=50)]
Version = Annotated[int, Field(ge=0, le=bounds.MAX_INT)]


class WordsChange(bounds.Bounded, Schema):
    """The fields to change; what is left out stays."""

    name: str | None = Field(None, max_length=1_000)
    description: str | None = Field(None, max_length=5_000)
    notes: str | None = Field(None, max_length=5 * bounds.MAX_PROSE)
    tags: list[Name] | None = Field(None, max_length=1_000, description="All of them.")
    add_tags: list[Name] = Field([], max_length=1_000)
    remove_tags: list[Name] = Field([], max_length=1_000)
    version: Version | None = Field(
        None, description="The one that you saw: 409 if somebody has changed the same since."
    )


class EditBody(Schema):
    version: int
    at: datetime
    by: str = Field(description="A user name; empty for the run's own program.")
    before: dict[str, Any]
    after: dict[str, Any]

    @staticmethod
    def resolve_by(edit: RunEdit) -> str:
        return edit.by.username if edit.by else ""


class EditPage(Schema):
    count: int
    items: list[EditBody]


def change_words(request: HttpRequest, run_id: UUID, wanted: WordsChange) -> Run:
    """Change a run's name, description, notes or tags."""
    run = access.writable(request, run_id)
    try:
        if access.run_token(request) is not None:
            return _said_by_program(run, wanted)
        return describing.edit(
            run=run, by=access.person(request), **wanted.model_dump(exclude_unset=True)
        )
    except describing.BadDescription as error:
        raise HttpError(422, str(error)) from error
    except describing.Overtaken as error:
        raise HttpError(409, str(error)) from error
    except NotPermitted as error:
        raise HttpError(403, str(error)) from error
    except describing.Gone as error:
        raise HttpError(404, str(error)) from error


@router.get("/runs/{uuid:run_id}/edits", response=EditPage)
def run_edits(
    request: HttpRequest, run_id: UUID, limit: Limit = 50, offset: Offset = 0
) -> dict[str, object]:
    """Every change of its name, description, notes and tags, newest first."""
    rows = access.readable(request, run_id).edits.select_related("by")
    return {"count": rows.count(), "items": rows[offset : offset + limit]}


@router.post("/runs/{uuid:run_id}/edits/{int:version}/undo", response=WordsBody)
def undo_edit(request: HttpRequest, run_id: UUID, version: PathNumber) -> Run:
    """Set what this edit has changed as it was before it; 409 if it was changed again since."""
    person = access.person(request)
    edit = access.writable(request, run_id).edits.filter(version=version).first()
    if edit is None:
        raise HttpError(404, f"The run has no edit {version}.")
    try:
        return describing.undo(edit=edit, by=person)
    except describing.Overtaken as error:
        raise HttpError(409, str(error)) from error
    except describing.Gone as error:
        raise HttpError(404, str(error)) from error


class BulkChange(bounds.Bounded, Schema):
    """Which runs: by their numbers, or all that a query finds."""

    numbers: list[Annotated[int, Field(ge=1, le=2**31 - 1)]] = Field([], max_length=20_000)
    query: str | None = Field(None, max_length=500, description="As in the table: tag:baseline.")
    archived: bool = Field(False, description="Whether the query finds archived runs too.")
    count: Annotated[int, Field(ge=0, le=bounds.MAX_INT)] | None = Field(
        None, description="How many you expect: 409 if others match."
    )
    tags: list[Name] = Field([], max_length=1_000, description="To add, or to remove.")


class NotDone(Schema):
    number: int
    reason: str


class BulkBody(Schema):
    batch: int = Field(description="What undo takes; 0 for an undoing.")
    done: int
    unchanged: int = Field(description="Runs that are so already.")
    refused: list[NotDone]

    @classmethod
    def of(cls, batch: int, plan: bulk.Plan) -> "BulkBody":
        refused = [NotDone(number=run.number, reason=why) for run, why in plan.refused]
        return cls(batch=batch, done=len(plan.runs), unchanged=len(plan.unchanged), refused=refused)


@router.post("/projects/{slug:slug}/bulk/{slug:act}", response=BulkBody)
def act_on_many(request: HttpRequest, slug: Word, act: Word, wanted: BulkChange) -> BulkBody:
    """Do one act for many runs: tag, untag, archive, restore, delete, bring_back or cancel. It is
    done for those that it is possible for; the answer says why not for others."""
    person = access.person(request)
    project = _project(person, slug)
    try:
        rows = bulk.rows_for(act, project, person)
        if wanted.query is not None and not wanted.numbers:
            rows = query.apply(rows, wanted.query)
            rows = (
                rows
                if wanted.archived or act not in bulk.OF_LISTED
                else rows.filter(archived_at=None)
            )
        else:
            rows = rows.filter(number__in=among(wanted.numbers))
        batch, plan = bulk.do(
            by=person, project=project, rows=rows, act=act, tags=wanted.tags,
            expected=wanted.count,
        )  # fmt: skip
    except NotPermitted as error:
        raise HttpError(403, str(error)) from error
    except bulk.Changed as error:
        raise HttpError(409, str(error)) from error
    except (bulk.BadBatch, describing.BadDescription, query.BadQuery) as error:
        raise HttpError(422, str(error)) from error
    return BulkBody.of(batch.pk, plan)


@router.post("/projects/{slug:slug}/batches/{int:batch}/undo", response=BulkBody)
def undo_batch(request: HttpRequest, slug: Word, batch: PathNumber) -> BulkBody:
    """Undo an act on many runs, for every one that was not changed in the same way since."""
    person = access.person(request)
    row = _project(person, slug).run_batches.filter(pk=batch).first()
    if row is None:
        raise HttpError(404, f"There is no batch {batch}.")
    try:
        return BulkBody.of(0, bulk.undo(batch=row, by=person))
    except NotPermitted as error:
        raise HttpError(403, str(error)) from error
    except NotPossible as error:
        raise HttpError(409, str(error)) from error


def _project(person: User, slug: str) -> Project:
    project = Project.objects.visible_to(person).filter(slug=slug).first()
    if project is None:
        raise HttpError(404, f"There is no project {slug} that you are a member of.")
    return project


def _said_by_program(run: Run, wanted: WordsChange) -> Run:
    if wanted.tags is not None:
        raise HttpError(422, "A program adds and removes tags: add_tags, remove_tags.")
    # The verb checks it, with a sentence for each field.
    said = wire.Words.model_construct(**wanted.model_dump(exclude={"tags", "version"}))
    describing.report(run, said, source="")
    run.refresh_from_db()
    return run
