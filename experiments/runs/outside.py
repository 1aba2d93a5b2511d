"""Runs whose programs were started outside the portal: opened, joined, resumed and ended.

Each start of such a program is an attempt, as of a run of the portal. Its sessions are named by it:
"attempt-2", "attempt-2-rank-1".
"""

import secrets
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from backline import bounds, wire
from experiments import recipes
from experiments.clearance.permission import check_member
from experiments.models import Project, Run, RunTag, Session
from experiments.models.sessions import attempt_and_rank
from experiments.runs import attempts, config_changes, describing, forks
from experiments.runs.numbers import next_number
from experiments.runs.states import State, move
from portal import audit
from portal.inputs.text import clean_line
from portal.models import User

ENDED = (State.FINISHED, State.FAILED, State.CANCELLED)


class NotPossible(ValueError):
    """The run's state does not allow this; the sentence says which state that is."""

    code = "not_possible"


class NoSuchRun(LookupError):
    """The project has no such run."""


@dataclass(frozen=True)
class Joined:
    """A run, the name of the session in which a program delivers to it, and the last step that was
    logged before it was resumed (-1 if nothing was)."""

    run: Run
    session: str
    step: int = -1


def join_client_run(*, by: User, project: Project, wanted: wire.NewRun) -> Joined:
    """Return the run of a program that was started outside: a new one, the one that another
    process of the same launch has opened, or one to resume.

    Raises NotPermitted, recipes.ConfigInvalid, NoSuchRun, forks.NotForkable, or NotPossible for a
    run that was queued in the portal, is asked to stop, or was withheld.
    """
    check_member(by, project)
    with transaction.atomic():
        # One process of a launch after the other: the first one opens the run.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        launch = f"{wanted.group}/{wanted.restart}" if wanted.group else ""
        step = -1
        run = _of_launch(project, by, launch, wanted) if launch else None
        if run is not None:
            attempt = newest_attempt(run) or 1
        else:
            old = _to_resume(project, by, wanted)
            if old is None and wanted.fork_from:
                run = _fork(project, by, wanted)
                step = run.fork_step if run.fork_step is not None else -1
            else:
                run = old or open_client_run(
                    by=by, project=project, name=wanted.name or wanted.resume, config=wanted.config,
                    description=wanted.description, notes=wanted.notes, tags=wanted.tags,
                )  # fmt: skip
            attempt = newest_attempt(run) + 1
            if old:
                _resume(run, by, attempt, wanted)
                step = forks.last_step(run)
            Run.objects.filter(pk=run.pk).update(group=launch)
        session = _new_session(run, attempt, wanted.rank)
    return Joined(run, session, step)


def _fork(project: Project, by: User, wanted: wire.NewRun) -> Run:
    """Open a run that goes on from a step of another one, with its config unless it is given."""
    parent = _named(
        Run.objects.filter(project=project).order_by("-number"), project, wanted.fork_from
    )
    if parent is None:
        raise NoSuchRun(f"The project {project.slug} has no run “{wanted.fork_from}” to fork.")
    forks.check_line(parent)
    step = forks.check_step(parent, wanted.fork_step)
    run = open_client_run(
        by=by,
        project=project,
        name=wanted.name or f"{parent.name}, from step {step}",
        config={**parent.submitted_config, **wanted.config},
    )
    run.forked_from, run.fork_step = parent, step
    run.save(update_fields=["forked_from", "fork_step"])
    audit.record(by=by, verb="run.forked", subject=run, parent=str(parent.pk), step=step)
    return run


def newest_attempt(run: Run) -> int:
    """Return the number of the newest attempt of an outside run; 0 if its sessions name none."""
    names = run.sessions.filter(name__startswith="attempt-").values_list("name", flat=True)
    return max((attempt_and_rank(name)[0] for name in names), default=0)


@dataclass(frozen=True)
class Start:
    """An attempt of an outside run: its processes, and whether all have delivered everything."""

    number: int
    processes: int
    began_at: datetime
    delivered_at: datetime | None


def starts(run: Run) -> list[Start]:
    """Return the attempts of an outside run, oldest first."""
    sessions: dict[int, list[Session]] = defaultdict(list)
    for session in run.sessions.all():
        sessions[attempt_and_rank(session.name)[0]].append(session)
    found = []
    for number, members in sorted(sessions.items()):
        ends = [session.ended_at for session in members]
        delivered = None if None in ends else max(end for end in ends if end)
        began = min(session.began_at for session in members)
        found.append(Start(number, len(members), began, delivered))
    return found


def is_replaced(run: Run, session: str) -> bool:
    """Return whether the session is of an attempt after which another one has begun."""
    number, _ = attempt_and_rank(session)
    return run.origin == Run.Origin.CLIENT and 0 < number < newest_attempt(run)


def _of_launch(project: Project, by: User, launch: str, wanted: wire.NewRun) -> Run | None:
    """Return the run that another process of this launch has opened or resumed."""
    runs = Run.objects.filter(project=project, submitted_by=by, group=launch, deleted_at=None)
    run = runs.first()
    # Where nothing tells launches apart but their address, an ended one is an earlier one's.
    return None if run is None or (not run.is_open and not wanted.rank) else run


def _to_resume(project: Project, by: User, wanted: wire.NewRun) -> Run | None:
    runs = Run.objects.filter(project=project, deleted_at=None).order_by("-number")
    if wanted.resume:
        return _named(runs, project, wanted.resume)
    if wanted.group and wanted.restart:
        # The launcher has started its processes again, after one of them has failed.
        return runs.filter(submitted_by=by, group__startswith=f"{wanted.group}/").first()
    return None


def _named(runs: QuerySet[Run], project: Project, text: str) -> Run | None:
    try:
        key = Q(pk=UUID(text))
    except ValueError:
        run = runs.filter(name=text, origin=Run.Origin.CLIENT).first()
        if run is not None or not (text.isascii() and text.isdecimal() and len(text) < 10):
            return run
        key = Q(number=int(text))
    run = runs.filter(key).first()
    if run is None:
        raise NoSuchRun(f"The project {project.slug} has no run {text}.")
    return run


def _resume(run: Run, by: User, attempt: int, wanted: wire.NewRun) -> None:
    if run.origin != Run.Origin.CLIENT:
        raise NotPossible(f"Run {run.number} was queued in the portal: try it again there.")
    # Locked: an end of the attempt before comes before this, or not at all.
    Run.objects.select_for_update(no_key=True).only("pk").get(pk=run.pk)
    fields = {"state_reason": "", "stop_as": "", "ended_at": None, "heartbeat_at": timezone.now()}
    if not move(run, ENDED, State.RUNNING, **fields) and run.state != State.RUNNING:
        raise NotPossible(f"Run {run.number} cannot be resumed; it is: {run.get_state_display()}.")
    audit.record(by=by, verb="run.resumed", subject=run, attempt=attempt)
    if wanted.config:
        config_changes.complete(run, wanted.config)
    said = wire.Words(
        description=wanted.description, notes=wanted.notes, add_tags=wanted.tags, first=True
    )
    describing.report(run, said, source="")
    run.refresh_from_db(fields=["description", "notes", "tags", "described"])


def _new_session(run: Run, attempt: int, rank: int) -> str:
    name = f"attempt-{attempt}" + (f"-rank-{rank}" if rank else "")
    if run.sessions.filter(name=name).exists():
        # Two processes that call themselves the same: neither overwrites the other.
        name += f"-{secrets.token_hex(3)}"
    Session.objects.create(run=run, name=name)
    return name


def open_client_run(
    *,
    by: User,
    project: Project,
    name: str = "",
    config: dict[str, Any] | None = None,
    description: str = "",
    notes: str = "",
    tags: Iterable[str] = (),
) -> Run:
    """Open a run whose program was started outside and reports by the client; RUNNING at once.

    Raises NotPermitted, recipes.ConfigInvalid, BadDescription.
    """
    check_member(by, project)
    words = describing.cleaned(description=description, notes=notes, tags=tags)
    try:
        bounds.check_json(config or {}, "The config", most=recipes.MAX_BYTES)
    except bounds.NotStorable as error:
        raise recipes.ConfigInvalid({recipes.WHOLE: str(error)}) from error
    now = timezone.now()
    with transaction.atomic():
        run = Run.objects.create(
            project=project,
            number=next_number(project),
            name=(clean_line(name) or "Run from outside")[:150],
            origin=Run.Origin.CLIENT,
            config=config or {},
            submitted_by=by,
            state=State.RUNNING,
            started_at=now,
            heartbeat_at=now,
            **words,
        )
        RunTag.objects.bulk_create(describing.tag_rows(run))
        audit.record(by=by, verb="run.opened", subject=run, project=project.pk)
    return run


def close_client_run(
    run: Run, *, outcome: str = "finished", reason: str = "", session: str = ""
) -> bool:
    """End a run as its outside program reported: finished, failed or cancelled. The program of an
    attempt after which another one has begun ends nothing.

    The portal itself passes `silent` for a program that has not reported for long; when it
    reports again, `beat` opens the run again.
    """
    new = {"finished": State.FINISHED, "cancelled": State.CANCELLED}.get(outcome, State.FAILED)
    fields: dict[str, Any] = {"ended_at": timezone.now()}
    if outcome == "silent":
        fields["stop_as"] = outcome
    with transaction.atomic():
        # Locked, so that the run is not resumed between the question and the end.
        Run.objects.select_for_update(no_key=True).only("pk").get(pk=run.pk)
        if is_replaced(run, session):
            return False
        if new is State.CANCELLED:
            asked = {"stop_as": new.value, "state_reason": reason[:500]}
            move(run, (State.RUNNING,), State.STOPPING, **asked)
        done = move(run, (State.STOPPING,), State.CANCELLED, ended_at=fields["ended_at"]) or (
            new is not State.CANCELLED
            and move(run, (State.RUNNING,), new, state_reason=reason[:500], **fields)
        )
        if done:
            if outcome != "silent":
                attempts.limit_tokens(run)
            audit.record(
                by=None,
                verb=f"run.{run.state}",
                subject=run,
                private={"reason": run.state_reason},
            )
    return done
