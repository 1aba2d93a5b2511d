"""The state machine of a run: which moves exist, and the only way to make one.

docs/flow.md draws it; a test checks that the drawing matches this table.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from experiments.models import Run

State = Run.State
# A run in these states is on the cluster, or on its way there or off it: it takes a slot.
BUSY = (State.STARTING, State.RUNNING, State.STOPPING)

MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.STARTING, State.CANCELLED, State.WITHHELD, State.FAILED}),
    State.STARTING: frozenset(
        {State.RUNNING, State.STOPPING, State.FINISHED, State.FAILED, State.QUEUED}
    ),
    State.RUNNING: frozenset({State.STOPPING, State.FINISHED, State.FAILED, State.QUEUED}),
    State.STOPPING: frozenset({State.CANCELLED, State.WITHHELD, State.FINISHED, State.FAILED}),
    # A person retries the run; a script that was started outside resumes it, or was believed lost
    # and reports again.
    State.FAILED: frozenset({State.QUEUED, State.RUNNING}),
    State.CANCELLED: frozenset({State.QUEUED, State.RUNNING}),
    State.FINISHED: frozenset({State.RUNNING}),
    # A retry does not restore a permission that ended: submit a new run.
    State.WITHHELD: frozenset(),
}


class NoSuchMove(RuntimeError):
    """The program asked for a move that the state machine does not have."""


def move_many(runs: Collection[UUID], old: tuple[State, ...], new: State, **fields: Any) -> int:
    """Compare and set for many rows at once; return how many this call moved."""
    _demand_known(old, new)
    return Run.objects.filter(pk__in=runs, state__in=old).update(state=new, **fields)


def move(run: Run, old: tuple[State, ...], new: State, **fields: Any) -> bool:
    """Compare and set: true if this call moved the row from one of `old` to `new`.

    `fields` are set in the same statement. On success `run` carries the new values; on
    failure it is as the database has it now, so that the caller sees who was faster. A run that
    was deleted is opened by nothing until it is brought back.
    """
    _demand_known(old, new)
    rows = Run.objects.filter(pk=run.pk, state__in=old)
    if new in Run.OPEN_STATES:
        rows = rows.filter(deleted_at=None)
    changed = rows.update(state=new, **fields)
    run.refresh_from_db()
    return changed == 1


def _demand_known(old: tuple[State, ...], new: State) -> None:
    for state in old:
        if new not in MOVES[state]:
            raise NoSuchMove(f"No run moves from {state.value} to {new.value}.")
