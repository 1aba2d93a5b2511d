"""Policies that save cluster cost and storage, applied in each reconcile pass.

A run that has used up its hours is stopped; an idle one is warned and then stopped; superfluous
checkpoints are removed, and deleted runs purged. Each action writes an audit line. A policy is off
where its setting is 0.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Count, QuerySet

from experiments.metrics import metrics
from experiments.models import Checkpoint, ModelPage, Run
from experiments.run_table import compare
from experiments.runs import checkpoints, costs, outputs, runs, shelving
from experiments.runs.resources import Resources
from portal import audit, storage

log = logging.getLogger(__name__)

State = Run.State
# Seconds: reading metrics and checkpoints costs more than reading a row, so once a minute.
CHECK_SECONDS = 60
GPU = re.compile(r"system/(rank/\d+/)?gpu\d+_percent")
PROCESS = re.compile(r"system/(rank/\d+/)?cpu_percent")
RUNS_AT_ONCE = 20
# While a checkpoint is this young, what was made with it may still be on its way.
SETTLED = timedelta(minutes=10)


def apply_policies(now: datetime) -> None:
    """Apply all policies. An error with one run is logged and does not stop the others."""
    for run in _possibly_overdue(now):
        _apply_to_run(end_overdue, run, now)
    # Skip if a process has checked within the last minute; two that check at once do no harm.
    if not cache.add("experiments.policies", now.isoformat(), CHECK_SECONDS):
        return
    try:
        shelving.purge_due(now)
    except Exception:
        log.exception("Deleted runs could not be purged; the next pass tries again.")
    if settings.IDLE_WARN_MINUTES:
        for run in _running_portal_runs():
            _apply_to_run(watch_idle, run, now)
    if settings.CHECKPOINTS_KEPT:
        for run in _with_many_checkpoints():
            _apply_to_run(clean_up, run, now)


def _apply_to_run(act: Callable[[Run, datetime], object], run: Run, now: datetime) -> None:
    try:
        act(run, now)
    except Exception:
        log.exception("The policies of %s could not be applied; the next pass tries again.", run)


def _running_portal_runs() -> QuerySet[Run]:
    running = Run.objects.filter(state=State.RUNNING, origin=Run.Origin.PORTAL)
    return running.select_related("project").prefetch_related("attempts")


# --- Too long -------------------------------------------------------------------------------


def _possibly_overdue(now: datetime) -> QuerySet[Run]:
    """Return the runs that may have used up their hours, by a few columns only: a pass over a
    thousand runs does not read their configs."""
    rows = _running_portal_runs().order_by().values_list("pk", "queued_at", "resources")
    default_hours = Resources.model_fields["max_hours"].default
    overdue = [
        pk
        for pk, queued, resources in rows
        if now - queued > timedelta(hours=resources.get("max_hours", default_hours))
    ]
    return _running_portal_runs().filter(pk__in=overdue)


def end_overdue(run: Run, now: datetime) -> bool:
    """Stop a run that has used up its hours, over all its attempts; true if this call did."""
    allowed = Resources.of(run).max_hours
    if costs.hours_taken(run, now) <= allowed:
        return False
    reason = (
        f"It took longer than the {costs.hours(allowed)} that it was given. "
        "Duplicate it with more hours, or try again from its last checkpoint."
    )
    return runs.end_early(run, verb="run.overdue", reason=reason)


# --- Idle -----------------------------------------------------------------------------------


def idle_since(times: Sequence[float], values: Sequence[float], below: float) -> float | None:
    """Unix time since which every value has been under `below`; None if the last one is not.

    `times` and `values` are of one series, in order.
    """
    since = None
    for time, value in zip(reversed(times), reversed(values), strict=True):
        if not value < below:
            break
        since = time
    return since


def idle_for(
    series: Iterable[tuple[Sequence[float], Sequence[float]]], *, below: float, after: float
) -> float:
    """Return the seconds for which all series were idle together, up to their last value; 0 if not.

    Values from before the Unix time `after` do not count: they are an earlier attempt's. Missing
    values prove nothing, so the time is counted to the last measurement and not to now.
    """
    idle_starts, last_times = [], []
    for times, values in series:
        counted = [(t, v) for t, v in zip(times, values, strict=True) if t >= after]
        if not counted:
            continue
        since = idle_since([t for t, _ in counted], [v for _, v in counted], below)
        if since is None:
            return 0.0
        idle_starts.append(since)
        last_times.append(counted[-1][0])
    return max(min(last_times) - max(idle_starts), 0.0) if idle_starts else 0.0


def watch_idle(run: Run, now: datetime) -> None:
    """Warn an idle run, stop one that stayed idle after the warning, leave a busy one alone."""
    idle = measured_idle(run)
    warn, stop = (
        timedelta(minutes=minutes).total_seconds()
        for minutes in (settings.IDLE_WARN_MINUTES, settings.IDLE_STOP_MINUTES)
    )
    if idle < warn:
        if run.warning:
            _set_warning(run, "", None)
    elif run.warned_at is None:
        with transaction.atomic():
            _set_warning(run, _warning(run, idle), now)
            audit.record(by=None, verb="run.idle_warned", subject=run, minutes=round(idle / 60))
    # The warning must have stood its time, also where the portal was down and gave it late.
    elif stop and idle >= stop and now - run.warned_at >= timedelta(seconds=stop - warn):
        reason = f"{_idle_words(run, idle)} It was warned before it was stopped."
        runs.end_early(run, verb="run.idle_stopped", reason=reason)


def measured_idle(run: Run) -> float:
    """Return the seconds for which the run has been idle: its GPUs where there are metrics of any,
    else its processes."""
    attempt = run.attempts.filter(started_at__isnull=False).order_by("-number").first()
    if attempt is None or attempt.started_at is None:
        return 0.0
    names = metrics.names(run)
    chosen = [n for n in names if GPU.fullmatch(n)] or [n for n in names if PROCESS.fullmatch(n)]
    series = []
    for name in chosen:
        times, values = metrics.newest_values(run, name)
        series.append((times.tolist(), values.tolist()))
    after = attempt.started_at.timestamp()
    return idle_for(series, below=settings.IDLE_PERCENT, after=after)


def _set_warning(run: Run, warning: str, at: datetime | None) -> None:
    Run.objects.filter(pk=run.pk).update(warning=warning, warned_at=at)
    run.refresh_from_db(fields=["warning", "warned_at"])


def _warning(run: Run, idle: float) -> str:
    if not settings.IDLE_STOP_MINUTES:
        return _idle_words(run, idle)
    more = max(settings.IDLE_STOP_MINUTES - settings.IDLE_WARN_MINUTES, 1)
    return f"{_idle_words(run, idle)} If it stays so it is stopped in {more} min."


def _idle_words(run: Run, idle: float) -> str:
    subject = "GPUs were" if Resources.of(run).gpus else "program was"
    return f"Its {subject} busy under {settings.IDLE_PERCENT} % for {round(idle / 60)} min."


# --- Checkpoints ----------------------------------------------------------------------------


def superfluous(
    steps: Iterable[int], *, kept: int, best: Iterable[int], needed: Iterable[int]
) -> list[int]:
    """Return the steps whose checkpoints may be removed: not the newest `kept`, not the nearest to
    each `best` step, none that is `needed`."""
    known = sorted(set(steps))
    keep = set(known[-kept:]) | set(needed)
    for best_step in best if known else ():
        keep.add(min(known, key=lambda step: (abs(step - best_step), step)))
    return [step for step in known if step not in keep]


def clean_up(run: Run, now: datetime) -> list[int]:
    """Remove a run's superfluous checkpoints, and their bytes if no other row refers to them.

    Returns the steps. A run with a copy that has not ended keeps all its checkpoints.
    """
    if run.copies.filter(state__in=Run.OPEN_STATES).exists():
        return []
    rows = {row.step: row for row in run.checkpoints.all()}
    young = {step for step, row in rows.items() if row.created_at > now - SETTLED}
    removable = superfluous(
        rows,
        kept=settings.CHECKPOINTS_KEPT,
        best=best_steps(run),
        needed=needed(run, rows) | young,
    )
    for step in removable:
        with transaction.atomic():
            sha256 = checkpoints.unlist_checkpoint(rows[step])
            audit.record(
                by=None, verb="run.checkpoint_removed", subject=run, step=step, sha256=sha256
            )
        storage.forget(sha256)
    return removable


def best_steps(run: Run) -> set[int]:
    """Return the steps where the first metric on the page was best: the minimum of a loss, both
    ends of another, as nobody has said which is the good one."""
    series = {row.name: row for row in run.series.exclude(name__startswith="system/")}
    name = compare.first_choice(list(series))
    if name not in series:
        return set()
    steps = {series[name].minimum_step}
    if "loss" not in name:
        steps.add(series[name].maximum_step)
    return {step for step in steps if step is not None}


def needed(run: Run, rows: Mapping[int, Checkpoint]) -> set[int]:
    """Return the steps whose checkpoint is in use: by a sample of the run, a run that started from
    it, a published model, the config of a copy that starts from it."""
    steps = outputs.steps_among(run, list(rows))
    continued = Run.objects.filter(start_from__in=list(rows.values()))
    published = ModelPage.objects.filter(checkpoint__in=list(rows.values()))
    referenced = {
        *continued.values_list("start_from", flat=True),
        *published.values_list("checkpoint", flat=True),
    }
    steps |= {step for step, row in rows.items() if row.pk in referenced}
    configs = " ".join(str(config) for config in run.copies.values_list("config", flat=True))
    return steps | {step for step, row in rows.items() if row.digest in configs}


def _with_many_checkpoints() -> list[Run]:
    """Return some runs with more checkpoints than are kept, at random, so that those whose
    checkpoints are all needed do not block others."""
    saved = Checkpoint.objects.order_by().values("run").annotate(saved=Count("pk"))
    many = saved.filter(saved__gt=settings.CHECKPOINTS_KEPT)
    return list(Run.objects.filter(pk__in=many.values("run")).order_by("?")[:RUNS_AT_ONCE])
