"""One act on many runs: planned, done in one transaction with one audit line, and undone at once.

A plan says which runs an act is possible for, and for each of the others why not. The act is done
for those that it is possible for. What is undoable is undone for every run that nobody has changed
in the same way since; the others are named.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from experiments.clearance.permission import check_member
from experiments.models import Project, Run, RunBatch, RunEdit, RunTag
from experiments.runs import describing, edit_rows, numbers, shelving
from experiments.runs.outside import NotPossible
from experiments.runs.states import State, move_many
from portal import audit, celery
from portal.database import commit_order
from portal.database.bulk import parts
from portal.models import User

AT_ONCE = 500
# What a batch is called before it is done, and after.
WORDS = {
    "tag": ("Tag", "Tagged"),
    "untag": ("Remove tags from", "Removed tags from"),
    "rename": ("Rename a tag of", "Renamed a tag of"),
    "archive": ("Archive", "Archived"),
    "restore": ("Restore", "Restored"),
    "delete": ("Delete", "Deleted"),
    "bring_back": ("Bring back", "Brought back"),
    "cancel": ("Cancel", "Cancelled"),
}
SHELVING = {
    "archive": ("archived", True),
    "restore": ("archived", False),
    "delete": ("deleted", True),
    "bring_back": ("deleted", False),
}
# What a query means for these acts has no archived runs, unless it is said.
OF_LISTED = ("tag", "untag", "archive", "cancel")
TAGGING = ("tag", "untag", "rename")
UNDOABLE = (*SHELVING, *TAGGING)
COLUMNS = (
    "project", "number", "name", "state", "tags", "described", "archived_at", "deleted_at",
    "purged_at", "start_from",
)  # fmt: skip


class BadBatch(ValueError):
    """This act cannot be planned: no run, too many, no tags. The message says what to do."""

    code = "bad_batch"


class Changed(ValueError):
    """Other runs match now than were shown; nothing was done."""

    code = "changed"


@dataclass(frozen=True)
class Plan:
    """What an act would do: the runs that it changes, those that it leaves as they are because they
    are so already, and those that it cannot change, each with why."""

    act: str
    runs: list[Run] = field(default_factory=list)
    unchanged: list[Run] = field(default_factory=list)
    refused: list[tuple[Run, str]] = field(default_factory=list)
    # By run, for acts on tags.
    tags: dict[UUID, list[str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.runs) + len(self.unchanged) + len(self.refused)

    @property
    def numbers(self) -> str:
        return numbers.as_ranges([run.number for run in self.runs])


# --- Writes ---------------------------------------------------------------------------------


def do(
    *,
    by: User,
    project: Project,
    rows: QuerySet[Run],
    act: str,
    tags: Iterable[str] = (),
    expected: int | None = None,
    agreed: Callable[[Plan], None] | None = None,
) -> tuple[RunBatch, Plan]:
    """Do the act for those of the rows that it is possible for; return what was done.

    `expected` is the number of rows that was shown. `agreed` is called with the plan before it is
    done, and raises what stops it. Raises NotPermitted, BadBatch, Changed, BadDescription.
    """
    check_member(by, project)
    names = _tags_for(act, tags)
    with transaction.atomic():
        at = commit_order.moment()
        chosen = _load(project, rows, lock=True)
        if expected is not None and len(chosen) != expected:
            raise Changed(
                f"Nothing has happened: {len(chosen):,} runs match now, not {expected:,} as was "
                "shown. Look again."
            )
        done = _plan(chosen, act, names, at)
        if agreed:
            agreed(done)
        batch = RunBatch.objects.create(
            project=project, act=act, by=by, at=at, count=len(done.runs)
        )
        _apply(done, batch)
        audit.record(
            by=by, verb=f"runs.{act}", subject=batch, moment=at, project=project.pk,
            count=len(done.runs), numbers=done.numbers, private={"tags": names},
        )  # fmt: skip
    return batch, done


def undo(*, batch: RunBatch, by: User) -> Plan:
    """Undo a batch; the plan says which runs it was undone for, and why not for others.

    Raises NotPermitted, and NotPossible for a batch that is undone already, or never can be.
    """
    check_member(by, batch.project)
    if batch.act not in UNDOABLE:
        raise NotPossible("A run that was cancelled is not started again by undoing that.")
    with transaction.atomic():
        at = commit_order.moment()
        rows = RunBatch.objects.filter(pk=batch.pk, undone_at=None)
        if not rows.update(undone_at=at):
            raise NotPossible("It is undone already.")
        edits = {edit.run_id: edit for edit in batch.edits.all()}
        runs = _locked(list(edits))
        plan = (
            _undo_tags(runs, edits)
            if batch.act in TAGGING
            else _undo_shelving(runs, edits, batch.act, at)
        )
        undone = RunBatch.objects.create(
            project=batch.project, act=plan.act, by=by, at=at, count=len(plan.runs), undone_at=at
        )
        _apply(plan, undone, undoes=edits)
        audit.record(
            by=by, verb="runs.undone", subject=batch, moment=at, count=len(plan.runs),
            numbers=plan.numbers,
        )  # fmt: skip
    return plan


# --- Reads ----------------------------------------------------------------------------------


def plan(*, project: Project, rows: QuerySet[Run], act: str, tags: Iterable[str] = ()) -> Plan:
    """Return what the act would do now. Raises BadBatch, BadDescription."""
    return _plan(_load(project, rows), act, _tags_for(act, tags), timezone.now())


def chosen(*, project: Project, rows: QuerySet[Run]) -> list[Run]:
    """Return the runs that an act would be about, whatever it will be. Raises BadBatch."""
    return _load(project, rows)


def rows_for(act: str, project: Project, user: User) -> QuerySet[Run]:
    """Return the runs that an act may be about: of this project, and deleted ones only to bring
    them back."""
    if act != "bring_back":
        return Run.objects.visible_to(user).filter(project=project)
    mine = Project.objects.visible_to(user).filter(pk=project.pk)
    return Run.objects.filter(project__in=mine, deleted_at__isnull=False, purged_at=None)


def _load(project: Project, rows: QuerySet[Run], *, lock: bool = False) -> list[Run]:
    """Return the rows with the few columns that an act reads."""
    pks = list(rows.filter(project=project).order_by("number").values_list("pk", flat=True))
    if not pks:
        raise BadBatch("No run is chosen. Tick some in the table, or choose all that match.")
    if len(pks) > numbers.MOST:
        raise BadBatch(
            f"{len(pks):,} runs at once are too many; at most {numbers.MOST:,} go. "
            "Narrow the query."
        )
    return _locked(pks, lock=lock)


def _locked(pks: Sequence[UUID], *, lock: bool = True) -> list[Run]:
    rows = Run.objects.only(*COLUMNS)
    if lock:
        rows = rows.select_for_update(no_key=True)
    found = [run for part in parts(pks, AT_ONCE) for run in rows.filter(pk__in=part)]
    return sorted(found, key=lambda run: run.number)


def _tags_for(act: str, tags: Iterable[str]) -> list[str]:
    if act not in WORDS:
        raise BadBatch(f"There is no act “{act[:30]}”. There are {', '.join(WORDS)}.")
    if act not in TAGGING:
        return []
    names = describing.clean_tags(tags)
    if not names:
        raise BadBatch("Which tags? Write them between commas.")
    if act == "rename" and len(names) != 2:
        raise BadBatch(
            "A tag is renamed to one other name; to change its capitals, rename it twice."
        )
    return names


def _plan(runs: list[Run], act: str, tags: list[str], at: datetime) -> Plan:
    if act in TAGGING:
        return _plan_tags(runs, act, tags)
    if act == "cancel":
        return _plan_cancel(runs)
    column, on = SHELVING[act]
    reasons = shelving.why_not(runs, column, on=on, at=at)
    same = {run.pk for run in runs if bool(getattr(run, f"{column}_at")) is on}
    return Plan(
        act,
        [run for run in runs if run.pk not in reasons and run.pk not in same],
        [run for run in runs if run.pk in same],
        [(run, reasons[run.pk]) for run in runs if run.pk in reasons and run.pk not in same],
    )


def _plan_tags(runs: list[Run], act: str, tags: list[str]) -> Plan:
    plan = Plan(act)
    for run in runs:
        add, remove = (tags, []) if act == "tag" else ([], tags)
        if act == "rename":
            remove, add = tags[:1], tags[1:]
            if tags[0].casefold() not in {name.casefold() for name in run.tags}:
                add = []
        try:
            after = describing.changed(run.tags, add=add, remove=remove)
        except describing.BadDescription as error:
            plan.refused.append((run, f"Run {run.number}: {error}"))
            continue
        if after == run.tags:
            plan.unchanged.append(run)
        else:
            plan.runs.append(run)
            plan.tags[run.pk] = after
    return plan


def _plan_cancel(runs: list[Run]) -> Plan:
    plan = Plan("cancel")
    for run in runs:
        if run.state == State.STOPPING:
            plan.unchanged.append(run)
        elif run.is_open:
            plan.runs.append(run)
        else:
            state = run.get_state_display()
            plan.refused.append((run, f"Run {run.number} has ended already: {state}."))
    return plan


def _undo_tags(runs: list[Run], edits: dict[UUID, RunEdit]) -> Plan:
    plan = Plan("untag")
    for run in runs:
        edit = edits[run.pk]
        try:
            after = describing.merged(run.tags, edit.after["tags"], edit.before["tags"])
        except describing.BadDescription as error:
            plan.refused.append((run, f"Run {run.number}: {error}"))
            continue
        if run.deleted_at is not None:
            plan.refused.append((run, f"Run {run.number} was deleted since."))
        elif after == run.tags:
            plan.unchanged.append(run)
        else:
            plan.runs.append(run)
            plan.tags[run.pk] = after
    return plan


def _undo_shelving(runs: list[Run], edits: dict[UUID, RunEdit], act: str, at: datetime) -> Plan:
    column, on = SHELVING[act]
    back = next(name for name, way in SHELVING.items() if way == (column, not on))
    touched = {
        edit.run_id
        for part in parts([run.pk for run in runs], AT_ONCE)
        for edit in RunEdit.objects.filter(run__in=part, after__has_key=column).only(
            "run", "version"
        )
        if edit.version > edits[edit.run_id].version
    }
    plan = _plan([run for run in runs if run.pk not in touched], back, [], at)
    plan.refused.extend(
        (run, f"Run {run.number} was {column} or brought back again since.")
        for run in runs
        if run.pk in touched
    )
    return plan


# --- Applying -------------------------------------------------------------------------------


def _apply(plan: Plan, batch: RunBatch, undoes: dict[UUID, RunEdit] | None = None) -> None:
    if plan.act in SHELVING:
        column, on = SHELVING[plan.act]
        shelving.put(plan.runs, column, on=on, by=batch.by, at=batch.at, batch=batch, undoes=undoes)
    elif plan.act == "cancel":
        _cancel(plan.runs, batch)
    else:
        _put_tags(plan, batch, undoes or {})


def _put_tags(plan: Plan, batch: RunBatch, undoes: dict[UUID, RunEdit]) -> None:
    """Store the tags of many runs: one prepared statement for all, as each may have its own."""
    column = Run._meta.get_field("tags")
    changes, values = [], []
    for run in plan.runs:
        changes.append((run, {"tags": run.tags}, {"tags": plan.tags[run.pk]}))
        run.tags = plan.tags[run.pk]
        run.described += 1
        stored = column.get_db_prep_value(run.tags, connection)
        values.append((stored, run.described, edit_rows.db_key(run)))
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE experiments_run SET tags = %s, described = %s WHERE id = %s", values
        )
    for part in parts([run.pk for run in plan.runs], AT_ONCE):
        rows = RunTag.objects.filter(run__in=part)
        rows._raw_delete(rows.db)
    edit_rows.store_tags(plan.runs)
    edit_rows.store_edits(changes, by=batch.by, at=batch.at, batch=batch, undoes=undoes)


def _cancel(runs: list[Run], batch: RunBatch) -> None:
    """Make the moves of `runs.cancel` for rows that are locked: those that wait end now, the others
    are asked to stop."""
    fields = {
        "stop_as": State.CANCELLED.value,
        "state_reason": f"Cancelled by {batch.by.display_name}.",
    }
    for part in parts([run.pk for run in runs], AT_ONCE):
        # First those that run: what is cancelled at once would else be asked to stop.
        move_many(part, (State.STARTING, State.RUNNING), State.STOPPING, **fields)
        move_many(part, (State.QUEUED,), State.CANCELLED, ended_at=batch.at, **fields)
    celery.wake()
