"""What a reconcile pass does for sweeps: reads what came of trials, stops bad ones, starts others.

Everything follows from the rows, and each step is a compare-and-set or is once by its number. So a
pass may be killed between any two lines, run twice at once, or late: a trial whose run was not
queued yet gets it in the next pass, and none gets two.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils import timezone

from experiments import recipes
from experiments.clearance import permission
from experiments.models import Attempt, Run, Sweep, SweepTrial
from experiments.runs import costs, quotas, runs
from experiments.runs.initial_weights import NOT_THERE
from experiments.runs.resources import Resources
from experiments.sweeps import objectives, pruning, space, suggestions, trials
from portal import audit, celery

log = logging.getLogger(__name__)

State = Sweep.State
# How long one pass goes on starting trials: each asks for consent.
STARTING_SECONDS = 3.0
# What is wrong with these is wrong with every trial: they may not be used any more.
OF_ALL_TRIALS = {"dataset", "start_from"}
REFUSALS = (
    runs.NotAllowed, permission.NotUsable, runs.NotPermitted, recipes.UnknownRecipe,
    recipes.ConfigInvalid,
)  # fmt: skip


def advance(now: datetime) -> None:
    """Take every sweep one step further. An error in one is logged and does not stop the others."""
    for sweep in Sweep.objects.to_advance().select_related("project", "submitted_by"):
        try:
            advance_one(sweep, now)
        except Exception:
            log.exception("Sweep %s could not be advanced; the next pass tries again.", sweep.pk)


def advance_one(sweep: Sweep, now: datetime) -> None:
    """Settle, prune, keep to the budget, and start what may start."""
    rows = trials.read(sweep)
    trials.settle(sweep, rows, now)
    _prune(sweep, rows)
    if not sweep.is_active or _ended_by_itself(sweep, rows, now):
        return
    if sweep.state == State.RUNNING:
        _start_waiting(sweep, rows)
        _start_new(sweep, rows)


# --- Ends -------------------------------------------------------------------------------------


def _ended_by_itself(sweep: Sweep, rows: Sequence[SweepTrial], now: datetime) -> bool:
    """End the sweep whose permission ended, whose budget is used up, or which fails again and
    again; true if it ended."""
    withheld = next(
        (row for row in rows if row.run is not None and row.run.state == Run.State.WITHHELD), None
    )
    if withheld is not None and withheld.run is not None:
        reason = f"Trial {withheld.number} was stopped. {withheld.run.state_reason}"
        return _end(sweep, State.WITHHELD, reason, now)
    if words := _over_budget(sweep, rows, now):
        for row in rows:
            if row.run is not None and row.run.is_open:
                runs.end_early(
                    row.run, verb="run.sweep_budget", reason=words, stop_as=Run.State.CANCELLED
                )
        return _end(sweep, State.FINISHED, words, now)
    ended = sorted(
        (row for row in rows if row.ended_at is not None and row.ended_at >= sweep.resumed_at
         and row.state != SweepTrial.State.CANCELLED),
        key=lambda row: (row.ended_at, row.number),
    )  # fmt: skip
    last = ended[-sweep.max_failures :]
    if len(last) == sweep.max_failures and all(r.state == SweepTrial.State.FAILED for r in last):
        reason = (
            f"The last {len(last)} trials failed, so no other is started. "
            f"Trial {last[-1].number}: {last[-1].reason}"
        )
        return _end(sweep, State.FAILED, reason, now)
    return False


def _over_budget(sweep: Sweep, rows: Sequence[SweepTrial], now: datetime) -> str:
    """Return which limit is used up, as a sentence; empty while none is."""
    if sweep.max_hours is not None:
        used = hours_used(sweep, rows, now)
        if used >= sweep.max_hours:
            return f"Its {sweep.max_hours:g} hours are used up ({used:.1f})."
    if sweep.max_cost is not None:
        spent = cost_of(rows)
        if spent >= sweep.max_cost:
            return f"Its {costs.prices().format_amount(sweep.max_cost)} are used up."
    return ""


def hours_used(sweep: Sweep, rows: Sequence[SweepTrial], now: datetime) -> float:
    """Return the hours of GPUs so far, of machines where a trial has no GPU."""
    requested = Resources.model_validate(sweep.resources)
    attempts = Attempt.objects.filter(run__in=[row.run_id for row in rows if row.run_id])
    seconds = sum(
        costs.occupied_time(attempt, now).total_seconds()
        for attempt in attempts.only("started_at", "ended_at")
    )
    return seconds / 3600 * (requested.all_gpus or requested.nodes)


def cost_of(rows: Sequence[SweepTrial]) -> Decimal:
    return sum(costs.of_runs(row.run_id for row in rows if row.run_id).values(), costs.NOTHING)


def _end(sweep: Sweep, state: str, reason: str, now: datetime) -> bool:
    with transaction.atomic():
        rows = Sweep.objects.filter(pk=sweep.pk, state__in=(State.RUNNING, State.PAUSED))
        if not rows.update(state=state, reason=reason[:500], ended_at=now):
            return True
        sweep.trials.filter(state=SweepTrial.State.WAITING).update(
            state=SweepTrial.State.CANCELLED, reason="The sweep ended before it.", ended_at=now
        )
        audit.record(
            by=None, verb="sweep.ended", subject=sweep, state=str(state),
            private={"reason": reason},
        )  # fmt: skip
    return True


# --- Pruning ----------------------------------------------------------------------------------


def _prune(sweep: Sweep, rows: Sequence[SweepTrial]) -> None:
    rule = pruning.load(sweep.pruning)
    if rule is None:
        return
    objective = objectives.load(sweep.objectives)[0]
    trials.note_looks(rows, rule, objective)
    seen = [trials.seen(row) for row in rows]
    for row in rows:
        if row.run is None or row.pruned_at is not None:
            continue
        if not row.run.is_open or row.run.state == Run.State.STOPPING:
            continue
        step, reason = pruning.judge(rule, trials.seen(row), seen, objective)
        if reason:
            _prune_one(row, step, reason)


class _EndedMeanwhile(Exception):
    """A run has ended, or somebody else has stopped it: that is what came of it."""


def _prune_one(row: SweepTrial, step: int, reason: str) -> None:
    """Stop the run of a trial in the ordinary way; both carry the reason."""
    assert row.run is not None  # noqa: S101 - only trials with runs are judged.
    try:
        with transaction.atomic():
            waits = SweepTrial.objects.filter(pk=row.pk, pruned_at=None)
            if not waits.update(pruned_at=step, reason=reason[:500]):
                return
            if not runs.end_early(
                row.run, verb="run.pruned", reason=reason, stop_as=Run.State.CANCELLED
            ):
                raise _EndedMeanwhile  # noqa: TRY301 - it rolls the block back.
    except _EndedMeanwhile:
        return
    row.pruned_at, row.reason = step, reason[:500]


# --- Starting ---------------------------------------------------------------------------------


def _start_waiting(sweep: Sweep, rows: Sequence[SweepTrial]) -> None:
    """Queue the runs of trials that were asked for before, when a pass was cut short or the quota
    was used up."""
    for row in rows:
        if row.state == SweepTrial.State.WAITING and not _submit(sweep, row):
            return


def _start_new(sweep: Sweep, rows: list[SweepTrial]) -> None:
    began = time.monotonic()
    finished = ""
    while sweep.state == State.RUNNING and _has_place(sweep, rows):
        if time.monotonic() - began > STARTING_SECONDS:
            celery.wake()
            return
        try:
            row = _ask(sweep, rows)
        except suggestions.Exhausted:
            finished = f"All {len(rows)} combinations were tried."
            break
        except suggestions.Wait:
            return
        if row is None:
            return
        rows.append(row)
        if not _submit(sweep, row):
            return
    if sweep.state != State.RUNNING or any(row.is_open for row in rows):
        return
    if finished or len(rows) >= sweep.max_trials:
        ended = f"All {len(rows)} trials have ended."
        _end(sweep, State.FINISHED, finished or ended, timezone.now())


def _has_place(sweep: Sweep, rows: Sequence[SweepTrial]) -> bool:
    at_work = sum(trials.is_at_work(row) for row in rows)
    return len(rows) < sweep.max_trials and at_work < sweep.parallel


def _ask(sweep: Sweep, rows: Sequence[SweepTrial]) -> SweepTrial | None:
    """Store the next trial, before its run: None if another pass was faster, or the sweep was
    stopped or paused."""
    number = max((row.number for row in rows), default=0) + 1
    params = suggestions.suggest(
        method=sweep.method, space=space.load(sweep.space),
        objectives=objectives.load(sweep.objectives), seed=sweep.seed, number=number,
        tried=trials.tried(rows),
    )  # fmt: skip
    try:
        with transaction.atomic():
            now = Sweep.objects.select_for_update(no_key=True).get(pk=sweep.pk)
            if now.state != State.RUNNING:
                return None
            return SweepTrial.objects.create(sweep=sweep, number=number, params=params)
    except IntegrityError:
        return None


def _submit(sweep: Sweep, row: SweepTrial) -> bool:
    """Queue the run of a trial; false if the sweep has to wait or has ended. Consent is asked
    again, and a refusal ends the sweep in words."""
    try:
        with transaction.atomic():
            # Before consent: a sweep that waits for hours must not leave a decision each time.
            quotas.check(sweep.project, Resources.model_validate(sweep.resources))
        row.run = runs.submit(
            by=sweep.submitted_by, project=sweep.project, recipe=sweep.recipe,
            config=space.put(sweep.config, row.params), dataset=sweep.dataset,
            resources=sweep.resources, name=f"{sweep.name} #{row.number}",
            start_from=sweep.start_from, trial=row,
        )  # fmt: skip
    except runs.OverQuota as refusal:
        _note(sweep, f"Trial {row.number} waits. {refusal}")
        return False
    except runs.NotPossible:
        # Another pass was faster, or the trial was cancelled.
        return False
    except REFUSALS as refusal:
        return _refuse(sweep, row, refusal)
    row.state = SweepTrial.State.RUNNING
    _note(sweep, "")
    return True


def _refuse(sweep: Sweep, row: SweepTrial, refusal: Exception) -> bool:
    """Store that a trial was refused; true if the sweep goes on, as only its values are wrong."""
    now = timezone.now()
    if isinstance(refusal, recipes.ConfigInvalid) and not refusal.errors.keys() & OF_ALL_TRIALS:
        row.state, row.reason, row.ended_at = SweepTrial.State.FAILED, str(refusal)[:500], now
        row.save(update_fields=["state", "reason", "ended_at"])
        return True
    # Weights that are out of sight, as their run was deleted or its project left, are no permission
    # that ended.
    unseen = isinstance(refusal, recipes.ConfigInvalid) and NOT_THERE in refusal.errors.values()
    is_consent = not unseen and not isinstance(refusal, runs.NotPermitted | recipes.UnknownRecipe)
    state = State.WITHHELD if is_consent else State.FAILED
    _end(sweep, state, f"Trial {row.number} was refused. {refusal}", now)
    return False


def _note(sweep: Sweep, reason: str) -> None:
    if sweep.reason != reason[:500]:
        Sweep.objects.filter(pk=sweep.pk, state=State.RUNNING).update(reason=reason[:500])
        sweep.reason = reason[:500]
