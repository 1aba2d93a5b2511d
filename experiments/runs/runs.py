"""What people and programs do with a run: submit, stop, retry, and report that it is alive.

The course of a run's attempts is in attempts.py, the moves that exist in states.py.
"""

import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from experiments import recipes
from experiments.clearance.permission import (
    NotAllowed,
    NotPermitted,
    Refusal,
    check_consent,
    check_member,
    holds_on,
    why_not_dataset,
    why_not_start_from,
)
from experiments.models import Attempt, Checkpoint, Dataset, Project, Run, SweepTrial
from experiments.models.sessions import attempt_and_rank
from experiments.runs import forks, initial_weights, quotas
from experiments.runs import resources as machines
from experiments.runs.attempts import (
    NoSlot,
    claim,
    fail,
    finish,
    lose,
    mark_created,
    mark_preempted,
    mark_started,
    mark_stopped,
    settle,
)
from experiments.runs.cluster_events import store_events, store_wait_reasons
from experiments.runs.numbers import next_number
from experiments.runs.outside import (
    NoSuchRun,
    NotPossible,
    close_client_run,
    is_replaced,
    join_client_run,
    open_client_run,
)
from experiments.runs.quotas import OverQuota
from experiments.runs.resources import Resources
from experiments.runs.states import BUSY, State, move
from portal import audit, celery
from portal.inputs.text import clean_line
from portal.machine import separation
from portal.models import User

# One entry point: the other rooms call runs.<verb>, whichever module of this room defines it.
__all__ = [
    "BUSY",
    "NoSlot",
    "NoSuchRun",
    "NotAllowed",
    "NotPermitted",
    "NotPossible",
    "OverQuota",
    "Plan",
    "Refusal",
    "Resources",
    "attempt_and_rank",
    "beat",
    "cancel",
    "check",
    "check_consent",
    "claim",
    "close_client_run",
    "code_version",
    "duplicate",
    "end_early",
    "fail",
    "finish",
    "holds_on",
    "is_replaced",
    "join_client_run",
    "lose",
    "mark_created",
    "mark_preempted",
    "mark_started",
    "mark_stopped",
    "move",
    "open_client_run",
    "queue_position",
    "rerun",
    "resolve",
    "retry",
    "settle",
    "store_events",
    "store_wait_reasons",
    "submit",
    "withhold",
]  # fmt: skip


# --- Writes ---------------------------------------------------------------------------------


def submit(
    *,
    by: User,
    project: Project,
    recipe: str,
    config: dict[str, Any],
    dataset: Dataset | None = None,
    resources: dict[str, Any] | None = None,
    name: str = "",
    copied_from: Run | None = None,
    start_from: Checkpoint | None = None,
    fork: bool = False,
    trial: SweepTrial | None = None,
) -> Run:
    """Queue a run of `recipe`, with the initial weights of `start_from` if they are given; as a
    `fork` it has the curves of their run up to there.

    A `trial` of a sweep gets the run in the same transaction, so it never has two. Raises
    recipes.UnknownRecipe or ConfigInvalid (a sentence per field), NotAllowed (the consent decision
    is stored), OverQuota, NotPermitted, NotPossible for a trial that waits no more. On a refusal
    no run exists.
    """
    plan = check(
        by=by, project=project, recipe=recipe, config=config, dataset=dataset,
        resources=resources, start_from=start_from,
    )  # fmt: skip
    if fork and start_from is not None:
        _check_line(start_from.run)
    definition, requested = plan.recipe, plan.resources
    decision = check_consent(project=project, dataset=dataset, use=plan.use, by=by)
    # The first call runs git, so it comes before the transaction.
    version = code_version()
    with transaction.atomic():
        quotas.check(project, requested)
        run = Run.objects.create(
            project=project,
            number=next_number(project),
            name=(clean_line(name) or definition.title)[:150],
            recipe=recipe,
            config=plan.config,
            resources=requested.model_dump(),
            use=plan.use,
            dataset=dataset,
            dataset_digest=dataset.digest if dataset else "",
            decision=decision,
            code_version=version,
            copied_from=copied_from,
            start_from=start_from,
            forked_from=start_from.run if fork and start_from else None,
            fork_step=start_from.step if fork and start_from else None,
            submitted_by=by,
        )
        if trial is not None and not _give(trial, run):
            raise NotPossible(f"Trial {trial.number} does not wait for a run any more.")
        audit.record(
            by=by,
            verb="run.submitted",
            subject=run,
            project=project.pk,
            number=run.number,
            recipe=recipe,
            dataset=run.dataset_digest,
            decision=decision.pk if decision else None,
            start_from=start_from.pk if start_from else None,
        )
        celery.wake()
    return run


def _check_line(parent: Run) -> None:
    try:
        forks.check_line(parent)
    except forks.NotForkable as refusal:
        raise recipes.ConfigInvalid({"start_from": str(refusal)}) from None


@dataclass(frozen=True)
class Plan:
    """What a run would be of, valid and resolved."""

    recipe: recipes.Recipe
    config: dict[str, Any]
    resources: Resources
    use: str


def check(
    *,
    by: User,
    project: Project,
    recipe: str,
    config: Mapping[str, Any],
    dataset: Dataset | None = None,
    resources: Mapping[str, Any] | None = None,
    start_from: Checkpoint | None = None,
) -> Plan:
    """Return what a run would be of, and queue nothing; consent and quota are not asked.

    Raises recipes.UnknownRecipe, ConfigInvalid and NotPermitted as `submit` does.
    """
    check_member(by, project)
    definition = recipes.get(recipe)
    if definition.own and (reason := separation.why_not()):
        raise recipes.ConfigInvalid({recipes.WHOLE: reason})
    # Settings before the machine: a page reports the machine's errors beside theirs, not instead.
    resolved = recipes.validate(recipe, config).model_dump(mode="json")
    initial_weights.check(
        by=by, project=project, recipe=definition, config=resolved, checkpoint=start_from
    )
    requested = machines.read(resources or {})
    _check_resources(definition, resolved, requested)
    _check_dataset(definition, project, dataset)
    return Plan(definition, resolved, requested, definition.use_of(resolved))


def resolve(
    *, recipe: recipes.Recipe, config: Mapping[str, Any], resources: Resources
) -> dict[str, Any]:
    """Return the config with all its defaults, checked for these resources; raise ConfigInvalid."""
    resolved = recipes.validate(recipe.name, config).model_dump(mode="json")
    _check_resources(recipe, resolved, resources)
    return resolved


def _give(trial: SweepTrial, run: Run) -> bool:
    """Compare and set: true if this call gave the waiting trial its run."""
    waiting = SweepTrial.objects.filter(pk=trial.pk, state=SweepTrial.State.WAITING)
    return waiting.update(run=run, state=SweepTrial.State.RUNNING) == 1


def _check_resources(recipe: recipes.Recipe, config: dict[str, Any], requested: Resources) -> None:
    if requested.nodes > 1 and not recipe.many_nodes:
        raise recipes.ConfigInvalid({"resources.nodes": recipes.ONE_NODE})
    each = recipe.processes_on_a_node(gpus=requested.gpus, nodes=requested.nodes)
    recipes.check_batch_size(config, processes=each * requested.nodes)
    if settings.CLUSTER == "local" and config.get("image"):
        raise recipes.ConfigInvalid({"image": recipes.NO_IMAGES})


def _check_dataset(recipe: recipes.Recipe, project: Project, dataset: Dataset | None) -> None:
    reason = ""
    if dataset is None and recipe.needs_dataset:
        reason = "This recipe learns from recordings: choose a dataset."
    elif dataset is None:
        return
    elif not recipe.use:
        reason = recipes.NO_RECORDINGS
    elif dataset.project_id != project.pk:
        reason = "This dataset belongs to another project."
    else:
        reason = why_not_dataset(dataset)
    if reason:
        raise recipes.ConfigInvalid({"dataset": reason})


def duplicate(run: Run) -> dict[str, Any]:
    """Return the first values of a form for a copy of this run; pass them to submit, as changed."""
    return {
        "recipe": run.recipe,
        "config": run.submitted_config,
        "dataset": run.dataset,
        "resources": dict(run.resources),
        "name": run.name,
        "copied_from": run,
        "start_from": run.start_from,
    }


def rerun(*, run: Run, by: User) -> Run:
    """Submit the same recipe, config, seed, dataset and resources again, as a new run."""
    if run.origin != Run.Origin.PORTAL:
        raise NotPossible("This run was started outside; the portal does not know its program.")
    return submit(by=by, project=run.project, **duplicate(run))


def cancel(*, run: Run, by: User) -> Run:
    """End a waiting run now, ask a running one to stop; raise NotPossible for an ended one."""
    check_member(by, run.project)
    with transaction.atomic():
        reason = f"Cancelled by {by.display_name}."
        fields = {"stop_as": State.CANCELLED.value, "state_reason": reason}
        if not (
            move(run, (State.QUEUED,), State.CANCELLED, ended_at=timezone.now(), **fields)
            or move(run, (State.STARTING, State.RUNNING), State.STOPPING, **fields)
        ):
            if run.state == State.STOPPING:
                return run
            raise NotPossible(f"Run {run.number} has ended already: {run.get_state_display()}.")
        audit.record(by=by, verb="run.cancel", subject=run, state=run.state)
        celery.wake()
    return run


def withhold(run: Run, reason: str, *, by: User | None = None) -> bool:
    """End a waiting run now and ask a running one to stop, because a permission ended.

    Returns True if this call did it; a run that has ended is left as it is (the hold itself
    withholds its samples).
    """
    fields = {"stop_as": State.WITHHELD.value, "state_reason": reason[:500]}
    with transaction.atomic():
        Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        done = move(
            run, (State.QUEUED,), State.WITHHELD, ended_at=timezone.now(), **fields
        ) or move(run, (State.STARTING, State.RUNNING), State.STOPPING, **fields)
        if not done:
            # Cancelling is no way around a withdrawal: the stronger reason wins.
            done = bool(
                Run.objects.filter(
                    pk=run.pk, state=State.STOPPING, stop_as__in=(State.CANCELLED, State.FAILED)
                ).update(**fields)
            )
            run.refresh_from_db()
        if done:
            audit.record(
                by=by,
                verb="run.withhold",
                subject=run,
                state=run.state,
                private={"reason": reason},
            )
            celery.wake()
    return done


def end_early(run: Run, *, verb: str, reason: str, stop_as: State = State.FAILED) -> bool:
    """Stop, for the portal itself, a run that takes too long or does nothing; it ends as failed, or
    as cancelled where nothing is wrong with it. One that waits and is cancelled ends now.

    Returns True if this call asked it to stop. A stop that somebody else asked for stays theirs.
    """
    with transaction.atomic():
        fields = {"stop_as": stop_as.value, "state_reason": reason[:500]}
        waits = stop_as == State.CANCELLED and move(
            run, (State.QUEUED,), State.CANCELLED, ended_at=timezone.now(), **fields
        )
        if not waits and not move(run, (State.STARTING, State.RUNNING), State.STOPPING, **fields):
            return False
        audit.record(by=None, verb=verb, subject=run, private={"reason": reason})
        celery.wake()
    return True


def retry(*, run: Run, by: User) -> Run:
    """Queue a failed or cancelled run for one more attempt, from its last checkpoint."""
    check_member(by, run.project)
    if run.origin != Run.Origin.PORTAL:
        raise NotPossible("This run was started outside; start its program there again.")
    if run.recipe in recipes.RECIPES and recipes.get(run.recipe).own and separation.why_not():
        raise NotPossible(separation.why_not())
    if run.dataset is not None and (reason := why_not_dataset(run.dataset)):
        raise NotPossible(reason)
    check_consent(project=run.project, dataset=run.dataset, use=run.use, by=by)
    if run.start_from and (
        reason := why_not_start_from(run.start_from, run.project, recipe=run.recipe, use=run.use)
    ):
        raise NotPossible(reason)
    with transaction.atomic():
        quotas.check(run.project, Resources.of(run))
        fields = {"state_reason": "", "stop_as": "", "ended_at": None, "queued_at": timezone.now()}
        limit = run.attempts.exclude(state=Attempt.State.PREEMPTED).count() + 1
        if not move(
            run, (State.FAILED, State.CANCELLED), State.QUEUED, max_attempts=limit, **fields
        ):
            if run.deleted_at is not None:
                raise NotPossible(f"Run {run.number} was deleted: bring it back first.")
            raise NotPossible(
                f"Only a failed or cancelled run is tried again; run {run.number} is: "
                f"{run.get_state_display()}."
            )
        audit.record(by=by, verb="run.retried", subject=run, attempt=run.attempts.count() + 1)
        celery.wake()
    return run


def beat(run: Run, session: str, stage: str = "", progress: float | None = None) -> Run:
    """Record a heartbeat of the program: STARTING -> RUNNING, stage, progress (0 to 1).

    Heartbeats of an earlier attempt change nothing. The returned run says by STOPPING and
    `stop_as` whether the program is asked to stop.
    """
    now = timezone.now()
    attempt = run.attempts.order_by("-number").first()
    number, _ = attempt_and_rank(session)
    # Of several processes only the first reports for the run; a program inside
    # `backline exec` reports through that. A script of an older client names no attempt.
    is_main = session == f"attempt-{number}" or not number
    if run.origin == Run.Origin.CLIENT and is_replaced(run, session):
        return run
    if run.origin == Run.Origin.PORTAL:
        if attempt is None or number != attempt.number:
            run.refresh_from_db()
            return run
        mark_started(attempt)
    with transaction.atomic():
        if run.origin == Run.Origin.CLIENT and run.stop_as == "silent":
            move(run, (State.FAILED,), State.RUNNING, state_reason="", stop_as="", ended_at=None)
        fields: dict[str, Any] = {"heartbeat_at": now}
        if is_main:
            fields["stage"] = stage[:100]
        if is_main and progress is not None:
            fields |= {"progress": min(max(progress, 0.0), 1.0), "progress_at": now}
        Run.objects.filter(pk=run.pk, state__in=Run.OPEN_STATES).update(**fields)
    run.refresh_from_db()
    return run


# --- Reads ----------------------------------------------------------------------------------


def queue_position(run: Run) -> int:
    """Return 1 for the next to start, 0 if the run does not wait; by quotas.fair_order."""
    return quotas.position(run)


@cache
def code_version() -> str:
    """Return an image's own version, else the tree's git commit, else the package's version."""
    if settings.CODE_VERSION:
        return settings.CODE_VERSION
    root = settings.BASE_DIR
    if (root / ".git").exists():
        git = ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]
        completed = subprocess.run(git, capture_output=True, text=True, check=False)
        if completed.returncode == 0:
            return f"git {completed.stdout.strip()}"
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return f"version {project['project']['version']}"
