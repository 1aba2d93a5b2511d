"""The tries of a run on the cluster: claimed, created, running, and every way they end."""

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

# A portal that was down when the program ended still gets the rest: the client's sender
# outlives the program. The token goes no further than this after the attempt's end.
LATE_DELIVERY = timedelta(days=1)

# Lost for the same reason this often in a row, a run is not tried again by itself.
SAME_LOSSES = 3


class NoSlot(RuntimeError):
    """Every slot of the cluster is taken; the run keeps its place in the queue."""


def attempt_and_rank(session: str) -> tuple[int, int]:
    """Attempt and rank of a session's name: "attempt-2-rank-3" is (2, 3); (0, 0) if it is none.

    A program inside `backline exec` has six more letters, "attempt-2-1f0c9a", at each start.
    """
    found = re.fullmatch(r"attempt-(\d{1,6})(?:-rank-(\d{1,6}))?(?:-[0-9a-f]{6})?", session)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


class _NoRoom(Exception):
    """The run's project has its GPUs at work; the claim is taken back."""


def job_name(run: Run, number: int) -> str:
    """Derived from run and attempt, so that creating it twice is creating it once."""
    return f"run-{run.id.hex[:12]}-{number}"


def claim(run: Run, *, slots: int | None = None) -> Attempt | None:
    """QUEUED -> STARTING with a new attempt.

    None if somebody else moved the run first, or if its project has its GPUs at work already.
    Raises NoSlot, and changes nothing, if `slots` runs are on the cluster already.
    """
    with contextlib.suppress(_NoRoom), transaction.atomic():
        fresh: dict[str, object] = {
            "state_reason": "",
            "stage": "",
            "warning": "",
            "warned_at": None,
        }
        if not move(run, (State.QUEUED,), State.STARTING, **fresh):
            return None
        number = (run.attempts.aggregate(last=Max("number"))["last"] or 0) + 1
        attempt = Attempt.objects.create(run=run, number=number, job_name=job_name(run, number))
        # The audit line comes before the count: its lock puts claims in a row, so that two
        # claims cannot both see the last free slot, or the last GPU of a project's quota.
        audit.record(by=None, verb="run.claimed", subject=run, attempt=number)
        busy = Run.objects.filter(origin=Run.Origin.PORTAL, state__in=BUSY).count()
        if slots is not None and busy > slots:
            raise NoSlot(f"All {slots} slots are taken.")
        if not quotas.has_room(run):
            raise _NoRoom
        return attempt
    run.refresh_from_db()
    return None


def created(attempt: Attempt, *, node: str = "", look: str = "") -> bool:
    """The cluster has the job. False if the attempt ended meanwhile: the job must go.

    The node may be known later only: say it again then.
    """
    told = {key: value for key, value in (("node", node[:100]), ("look", look[:300])) if value}
    if _step(attempt, (Attempt.State.CLAIMED,), Attempt.State.CREATED, **told):
        return True
    if any(getattr(attempt, key) != value for key, value in told.items()):
        Attempt.objects.filter(pk=attempt.pk, state__in=Attempt.OPEN_STATES).update(**told)
        attempt.refresh_from_db()
    return False


def started(attempt: Attempt) -> bool:
    """The program runs: STARTING -> RUNNING. Why it waited is said no longer."""
    now = timezone.now()
    with transaction.atomic():
        open_states = (Attempt.State.CLAIMED, Attempt.State.CREATED)
        if not _step(attempt, open_states, Attempt.State.RUNNING, started_at=now):
            return False
        move(attempt.run, (State.STARTING,), State.RUNNING, started_at=now, state_reason="")
    return True


def finish(attempt: Attempt) -> bool:
    """The program ended with 0. A withheld run stays withheld however well it ended."""
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
    """The program ended badly; a run that was asked to stop ends as it was asked to."""
    with transaction.atomic():
        if not _close(attempt, Attempt.State.FAILED, reason, exit_code):
            return False
        run = _locked_run(attempt)
        if run.state == State.STOPPING:
            _end(run, (State.STOPPING,), State(run.stop_as))
        else:
            _end(run, (State.STARTING, State.RUNNING), State.FAILED, state_reason=reason[:500])
    return True


def stopped(attempt: Attempt, *, reason: str, exit_code: int | None) -> bool:
    """The program ended on request. Without a request it was somebody else's signal: a loss."""
    with transaction.atomic():
        run = _locked_run(attempt)
        if run.state != State.STOPPING:
            return lose(attempt, reason=reason, exit_code=exit_code)
        if not _close(attempt, Attempt.State.STOPPED, reason, exit_code):
            return False
        _end(run, (State.STOPPING,), State(run.stop_as))
    return True


def lose(attempt: Attempt, *, reason: str, exit_code: int | None = None) -> bool:
    """The attempt is gone without a verdict: the next one goes on from the last checkpoint.

    After `max_attempts`, or SAME_LOSSES for the same reason in a row, the run has failed.
    """
    with transaction.atomic():
        if not _close(attempt, Attempt.State.LOST, reason, exit_code):
            return False
        run = _locked_run(attempt)
        tried = run.attempts.exclude(state=Attempt.State.PREEMPTED).count()
        if run.state == State.STOPPING:
            _end(run, (State.STOPPING,), State(run.stop_as))
        elif _same_losses(run):
            _give_up(run, f"Lost {SAME_LOSSES} times in a row for the same reason: {reason}")
        elif tried < run.max_attempts:
            _queue_again(run, attempt, f"Attempt {attempt.number}: {reason}")
        else:
            _give_up(run, f"Attempt {attempt.number}, the last: {reason}")
    return True


def preempted(attempt: Attempt, *, reason: str, exit_code: int | None = None) -> bool:
    """It had to make room: that is no fault of the run and does not count as a try.

    A run that never gets to save anything before it has to go stops after SAME_LOSSES times.
    """
    with transaction.atomic():
        if not _close(attempt, Attempt.State.PREEMPTED, reason, exit_code):
            return False
        run = _locked_run(attempt)
        if run.state == State.STOPPING:
            _end(run, (State.STOPPING,), State(run.stop_as))
        elif _in_vain(run):
            sentence = f"Made room {SAME_LOSSES} times in a row before it had saved anything new"
            _give_up(run, f"{sentence}: {reason}")
        else:
            _queue_again(run, attempt, f"Attempt {attempt.number} made room: {reason}")
    return True


def settle(run: Run) -> bool:
    """End a run that was asked to stop and has no attempt left that could do it."""
    with transaction.atomic():
        if run.attempts.filter(state__in=Attempt.OPEN_STATES).exists():
            return False
        run.refresh_from_db()
        if run.state != State.STOPPING:
            return False
        _end(run, (State.STOPPING,), State(run.stop_as))
    return True


def alike(one: str, other: str) -> bool:
    """Whether two reasons are the same but for numbers: of a node, a pod, a time."""
    return re.sub(r"\d+", "#", one) == re.sub(r"\d+", "#", other)


def _same_losses(run: Run) -> bool:
    """Making room in between is no loss and does not end the row; a new try by hand does."""
    rows = _since_queued(run).exclude(state=Attempt.State.PREEMPTED)
    last = list(rows.order_by("-number")[:SAME_LOSSES])
    return len(last) == SAME_LOSSES and all(
        attempt.state == Attempt.State.LOST and alike(attempt.reason, last[0].reason)
        for attempt in last
    )


def _in_vain(run: Run) -> bool:
    """Whether the last attempts all ran, made room, and left no new checkpoint."""
    last = list(_since_queued(run).order_by("-number")[:SAME_LOSSES])
    began = last[-1].started_at
    return (
        len(last) == SAME_LOSSES
        and all(attempt.state == Attempt.State.PREEMPTED and attempt.started_at for attempt in last)
        and not run.checkpoints.filter(created_at__gte=began).exists()
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


def in_words(run: Run, tried: Sequence[Attempt]) -> str:
    """How often it was tried: "3 attempts: 2 made room for others, 1 was lost."."""
    if not tried:
        outside = run.origin == Run.Origin.CLIENT
        return "Started outside: the portal knows no attempts." if outside else "Not started yet."
    parts = []
    for state, single, more in (
        (Attempt.State.PREEMPTED, "made room for others", "made room for others"),
        (Attempt.State.LOST, "was lost", "were lost"),
        (Attempt.State.FAILED, "failed", "failed"),
    ):
        count = sum(attempt.state == state for attempt in tried)
        if count:
            parts.append(f"{count} {single if count == 1 else more}")
    first = f"{len(tried)} attempt{'' if len(tried) == 1 else 's'}"
    counted = f"{first}: {', '.join(parts)}." if parts else f"{first}."
    lost = sum(attempt.state == Attempt.State.PREEMPTED for attempt in tried)
    return f"{counted} Making room counts as no try." if lost else counted


def _locked_run(attempt: Attempt) -> Run:
    """The attempt's run as it is now, held until the transaction ends: a stop cannot slip in."""
    attempt.run = Run.objects.select_for_update(no_key=True).get(pk=attempt.run_id)
    return attempt.run


def _step(
    attempt: Attempt, old: tuple[Attempt.State, ...], new: Attempt.State, **f: object
) -> bool:
    rows = Attempt.objects.filter(pk=attempt.pk, state__in=old)
    changed = rows.update(state=new, **f)
    attempt.refresh_from_db()
    return changed == 1


def _close(attempt: Attempt, state: Attempt.State, reason: str, exit_code: int | None) -> bool:
    """End the attempt once. What it still has on its disk it may deliver for a while."""
    now = timezone.now()
    fields = {"reason": reason[:500], "exit_code": exit_code, "ended_at": now}
    if not _step(attempt, Attempt.OPEN_STATES, state, **fields):
        return False
    attempt.cost = costs.of_attempt(attempt, now, costs.prices())
    attempt.save(update_fields=["cost"])
    late = now + LATE_DELIVERY
    _tokens(attempt.run).filter(Q(expires_at=None) | Q(expires_at__gt=late)).update(expires_at=late)
    return True


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
