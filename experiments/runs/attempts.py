"""The attempts of a run on the cluster: how each is claimed, created, started and ended."""

import contextlib
import re
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from experiments.models import Attempt, Run
from experiments.runs import costs, quotas
from experiments.runs.states import BUSY, State, move
from portal import audit
from portal.models import ApiToken, ApiTokenQuerySet

# The client's sender outlives the program, so a portal that was down when the program ended
# still gets all data. The token expires at the latest this long after the attempt's end.
LATE_DELIVERY = timedelta(days=1)

# A run that is lost this often in a row for the same reason is not retried automatically.
SAME_LOSSES = 3


class NoSlot(RuntimeError):
    """Every slot of the cluster is taken; the run keeps its place in the queue."""


class _NoRoom(Exception):
    """The run's project already uses all its GPUs; the claim is rolled back."""


def job_name(run: Run, number: int) -> str:
    """Return a name derived from run and attempt, so that a job created twice exists once."""
    return f"run-{run.id.hex[:12]}-{number}"


def claim(run: Run, *, slots: int | None = None) -> Attempt | None:
    """Move the run QUEUED -> STARTING with a new attempt.

    Returns None if somebody else moved the run first, or if its project already uses all its GPUs.
    Raises NoSlot, and changes nothing, if `slots` runs are on the cluster already.
    """
    with contextlib.suppress(_NoRoom), transaction.atomic():
        fields: dict[str, object] = {
            "state_reason": "",
            "stage": "",
            "warning": "",
            "warned_at": None,
        }
        if not move(run, (State.QUEUED,), State.STARTING, **fields):
            return None
        number = (run.attempts.aggregate(last=Max("number"))["last"] or 0) + 1
        attempt = Attempt.objects.create(run=run, number=number, job_name=job_name(run, number))
        # The audit line comes before the count: its lock serialises claims, so that two
        # of them cannot both see the last free slot, or the last GPU of a project's quota.
        audit.record(by=None, verb="run.claimed", subject=run, attempt=number)
        busy = Run.objects.filter(origin=Run.Origin.PORTAL, state__in=BUSY).count()
        if slots is not None and busy > slots:
            raise NoSlot(f"All {slots} slots are taken.")
        if not quotas.has_room(run):
            raise _NoRoom
        return attempt
    run.refresh_from_db()
    return None


def mark_created(attempt: Attempt, *, node: str = "", image: str = "", look: str = "") -> bool:
    """Record that the cluster has the job; False if it was recorded before, or the attempt ended.

    The job of an attempt that ended must go. Call again when the node becomes known later.
    """
    told = {"node": node[:100], "image": image[:300], "look": look[:300]}
    fields = {key: value for key, value in told.items() if value}
    if _step(attempt, (Attempt.State.CLAIMED,), Attempt.State.CREATED, **fields):
        return True
    if any(getattr(attempt, key) != value for key, value in fields.items()):
        Attempt.objects.filter(pk=attempt.pk, state__in=Attempt.OPEN_STATES).update(**fields)
        attempt.refresh_from_db()
    return False


def mark_started(attempt: Attempt) -> bool:
    """Record that the program runs: STARTING -> RUNNING. The reason why it waited is cleared."""
    now = timezone.now()
    with transaction.atomic():
        open_states = (Attempt.State.CLAIMED, Attempt.State.CREATED)
        if not _step(attempt, open_states, Attempt.State.RUNNING, started_at=now):
            return False
        move(attempt.run, (State.STARTING,), State.RUNNING, started_at=now, state_reason="")
    return True


def finish(attempt: Attempt) -> bool:
    """Record that the program ended with 0. A withheld run stays withheld all the same."""
    with transaction.atomic():
        if not _close(attempt, Attempt.State.SUCCEEDED, "", 0):
            return False
        run = _locked_run(attempt)
        done = State.WITHHELD if run.stop_as == State.WITHHELD else State.FINISHED
        fields = {"progress": 1.0} if done is State.FINISHED else {}
        if run.state == State.STOPPING:
            _end(run, (State.STOPPING,), done, **fields)
        else:
            _end(run, (State.STARTING, State.RUNNING), done, state_reason="", **fields)
    return True


def fail(attempt: Attempt, *, reason: str, exit_code: int | None) -> bool:
    """Record that the program failed; a run that was asked to stop ends as it was asked to."""
    with transaction.atomic():
        if not _close(attempt, Attempt.State.FAILED, reason, exit_code):
            return False
        run = _locked_run(attempt)
        if run.state == State.STOPPING:
            _end(run, (State.STOPPING,), State(run.stop_as))
        else:
            _end(run, (State.STARTING, State.RUNNING), State.FAILED, state_reason=reason[:500])
    return True


def mark_stopped(attempt: Attempt, *, reason: str, exit_code: int | None) -> bool:
    """Record that the program ended on request. Without one, a foreign signal ended it: a loss."""
    with transaction.atomic():
        run = _locked_run(attempt)
        if run.state != State.STOPPING:
            return lose(attempt, reason=reason, exit_code=exit_code)
        if not _close(attempt, Attempt.State.STOPPED, reason, exit_code):
            return False
        _end(run, (State.STOPPING,), State(run.stop_as))
    return True


def lose(attempt: Attempt, *, reason: str, exit_code: int | None = None) -> bool:
    """End an attempt that has no outcome: the next continues from the last checkpoint.

    After `max_attempts`, or SAME_LOSSES in a row for the same reason, the run fails.
    """
    with transaction.atomic():
        if not _close(attempt, Attempt.State.LOST, reason, exit_code):
            return False
        run = _locked_run(attempt)
        tries = run.attempts.exclude(state=Attempt.State.PREEMPTED).count()
        if run.state == State.STOPPING:
            _end(run, (State.STOPPING,), State(run.stop_as))
        elif _same_losses(run):
            _give_up(run, f"Lost {SAME_LOSSES} times in a row for the same reason: {reason}")
        elif tries < run.max_attempts:
            _queue_again(run, attempt, f"Attempt {attempt.number}: {reason}")
        else:
            _give_up(run, f"Attempt {attempt.number}, the last: {reason}")
    return True


def mark_preempted(attempt: Attempt, *, reason: str, exit_code: int | None = None) -> bool:
    """End an attempt that made room: that is no fault of the run and does not count as a try.

    A run that makes room SAME_LOSSES times in a row before it saves anything new fails.
    """
    with transaction.atomic():
        if not _close(attempt, Attempt.State.PREEMPTED, reason, exit_code):
            return False
        run = _locked_run(attempt)
        if run.state == State.STOPPING:
            _end(run, (State.STOPPING,), State(run.stop_as))
        elif _preempted_without_progress(run):
            sentence = f"Made room {SAME_LOSSES} times in a row before it had saved anything new"
            _give_up(run, f"{sentence}: {reason}")
        else:
            _queue_again(run, attempt, f"Attempt {attempt.number} made room: {reason}")
    return True


def settle(run: Run) -> bool:
    """End a run that was asked to stop and has no open attempt left that could do it."""
    with transaction.atomic():
        if run.attempts.filter(state__in=Attempt.OPEN_STATES).exists():
            return False
        run.refresh_from_db()
        if run.state != State.STOPPING:
            return False
        _end(run, (State.STOPPING,), State(run.stop_as))
    return True


def same_reason(first: str, second: str) -> bool:
    """Whether two reasons differ in numbers only: of a node, a pod, a time."""
    return re.sub(r"\d+", "#", first) == re.sub(r"\d+", "#", second)


def _same_losses(run: Run) -> bool:
    """Whether the last attempts were all lost for the same reason. Those that made room in between
    do not count; a retry by hand starts the series anew."""
    rows = _since_queued(run).exclude(state=Attempt.State.PREEMPTED)
    last = list(rows.order_by("-number")[:SAME_LOSSES])
    return len(last) == SAME_LOSSES and all(
        attempt.state == Attempt.State.LOST and same_reason(attempt.reason, last[0].reason)
        for attempt in last
    )


def _preempted_without_progress(run: Run) -> bool:
    """Whether the last attempts all ran, made room, and left no new checkpoint."""
    last = list(_since_queued(run).order_by("-number")[:SAME_LOSSES])
    first_start = last[-1].started_at
    return (
        len(last) == SAME_LOSSES
        and all(attempt.state == Attempt.State.PREEMPTED and attempt.started_at for attempt in last)
        and not run.checkpoints.filter(created_at__gte=first_start).exists()
    )


def _since_queued(run: Run) -> QuerySet[Attempt]:
    return run.attempts.filter(claimed_at__gte=run.queued_at)


def _queue_again(run: Run, attempt: Attempt, sentence: str) -> None:
    sentence = f"{sentence} The next goes on from the last checkpoint."
    move(run, (State.STARTING, State.RUNNING), State.QUEUED, state_reason=sentence[:500])
    audit.record(by=None, verb="run.requeued", subject=run, attempt=attempt.number)


def _give_up(run: Run, sentence: str) -> None:
    _end(run, (State.STARTING, State.RUNNING), State.FAILED, state_reason=sentence[:500])


# --- Reads ----------------------------------------------------------------------------------


def describe_attempts(run: Run, attempts: Sequence[Attempt]) -> str:
    """Describe the attempts: "3 attempts: 2 made room for others, 1 was lost."."""
    if not attempts:
        outside = run.origin == Run.Origin.CLIENT
        return "Started outside the portal." if outside else "Not started yet."
    parts = []
    for state, singular, plural in (
        (Attempt.State.PREEMPTED, "made room for others", "made room for others"),
        (Attempt.State.LOST, "was lost", "were lost"),
        (Attempt.State.FAILED, "failed", "failed"),
    ):
        count = sum(attempt.state == state for attempt in attempts)
        if count:
            parts.append(f"{count} {singular if count == 1 else plural}")
    total = f"{len(attempts)} attempt{'' if len(attempts) == 1 else 's'}"
    sentence = f"{total}: {', '.join(parts)}." if parts else f"{total}."
    preemptions = sum(attempt.state == Attempt.State.PREEMPTED for attempt in attempts)
    return f"{sentence} Making room counts as no try." if preemptions else sentence


def _locked_run(attempt: Attempt) -> Run:
    """Return the attempt's run, locked until the transaction ends: a stop cannot slip in."""
    attempt.run = Run.objects.select_for_update(no_key=True).get(pk=attempt.run_id)
    return attempt.run


def _step(
    attempt: Attempt, old: tuple[Attempt.State, ...], new: Attempt.State, **fields: object
) -> bool:
    rows = Attempt.objects.filter(pk=attempt.pk, state__in=old)
    changed = rows.update(state=new, **fields)
    attempt.refresh_from_db()
    return changed == 1


def _close(attempt: Attempt, state: Attempt.State, reason: str, exit_code: int | None) -> bool:
    """End the attempt once. It may still deliver what is on its disk for LATE_DELIVERY."""
    now = timezone.now()
    fields = {"reason": reason[:500], "exit_code": exit_code, "ended_at": now}
    if not _step(attempt, Attempt.OPEN_STATES, state, **fields):
        return False
    attempt.cost = costs.of_attempt(attempt, now, costs.prices())
    attempt.save(update_fields=["cost"])
    limit_tokens(attempt.run)
    return True


def limit_tokens(run: Run) -> None:
    """Let the run's tokens end when nothing of it may be delivered any more."""
    deadline = timezone.now() + LATE_DELIVERY
    _tokens(run).filter(Q(expires_at=None) | Q(expires_at__gt=deadline)).update(expires_at=deadline)


def _tokens(run: Run) -> ApiTokenQuerySet:
    return ApiToken.objects.filter(scope=f"run:{run.pk}", revoked_at=None)


def _end(run: Run, old: tuple[State, ...], new: State, **fields: object) -> None:
    if move(run, old, new, ended_at=timezone.now(), **fields):
        audit.record(
            by=None,
            verb=f"run.{new.value}",
            subject=run,
            private={"reason": run.state_reason},
        )
        if new is State.WITHHELD:
            # Nothing more may be read or delivered once a permission has ended.
            _tokens(run).update(revoked_at=timezone.now())
