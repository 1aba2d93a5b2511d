"""Forks: runs that go on from a step of another run, and have its curves up to there.

Nothing is copied: a fork names its parent and the step, and reading follows the line. A fork is
made with its run and never changed, so a line ends; one that is too long is refused.
"""

from dataclasses import dataclass

from django.db.models import Max

from experiments.models import Checkpoint, Run
from portal.models import User

# Runs behind a run. Each is a query of a page that shows curves.
MAX_LINE = 8


class NotForkable(ValueError):
    """The run cannot be forked there; the sentence says why."""

    code = "not_forkable"


@dataclass(frozen=True)
class Segment:
    """What a run has of one run behind it: its points up to `to_step`, drawn `shift` steps on."""

    run: Run
    to_step: int
    shift: int


def check_line(parent: Run) -> None:
    """Raise NotForkable if a fork of this run would have too many runs behind it."""
    behind = 1
    current = parent
    while current.forked_from is not None:
        behind += 1
        current = current.forked_from
        if behind > MAX_LINE:
            raise NotForkable(
                f"Run {parent.number} is the last of a line of {MAX_LINE} forks already; a fork of "
                "it would have more runs behind it than a page can draw. Start from its weights."
            )


def last_step(run: Run) -> int:
    """Return the highest step of the run's own metrics, those of the machine count seconds; of one
    that has logged none, the step that it was forked at, else -1."""
    series = run.series.exclude(name__startswith="system/")
    last: int | None = series.aggregate(last=Max("last_step"))["last"]
    if last is None:
        return run.fork_step if run.fork_step is not None and not counts_anew(run) else -1
    return last


def check_step(parent: Run, step: int | None) -> int:
    """Return the step to fork at, the last one if none is given; raises NotForkable."""
    last = last_step(parent)
    if last < 0:
        raise NotForkable(f"Run {parent.number} has logged no step yet: there is nothing to fork.")
    if step is not None and step > last:
        raise NotForkable(f"Run {parent.number} has logged up to step {last:,}, not to {step:,}.")
    return last if step is None else step


def counts_anew(run: Run) -> bool:
    """Return whether a fork begins at step 0: a program of the portal starts from the weights; one
    that was started outside goes on counting."""
    return run.origin == Run.Origin.PORTAL


def nearest_checkpoint(run: Run, step: int) -> Checkpoint | None:
    """Return the newest checkpoint at or before the step that a run may start from."""
    return run.checkpoints.startable().filter(step__lte=step).order_by("-step").first()


def visible_parent(run: Run, user: User) -> Run | None:
    """Return the run that this one was forked from, if the person may see it."""
    if run.forked_from_id is None:
        return None
    rows = Run.objects.visible_to(user).select_related("project")
    return rows.filter(pk=run.forked_from_id).first()


def segments(run: Run, *, user: User) -> list[Segment]:
    """Return what the run has of those behind it, the nearest first, as far as the person may see
    them without a gap."""
    found: list[Segment] = []
    current, bound, shift = run, None, 0
    while len(found) < MAX_LINE and (parent := visible_parent(current, user)) is not None:
        at = current.fork_step or 0
        anew = at if counts_anew(current) else 0
        # Of a parent that was itself left before its own fork, nothing of its own is shown.
        bound = at if bound is None else min(at, bound + anew)
        shift -= anew
        found.append(Segment(parent, bound, shift))
        current = parent
    return found
