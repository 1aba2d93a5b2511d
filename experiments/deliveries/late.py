"""What a run accepts after its end: the rest of its own deliveries, and nothing new.

A program first writes what it delivers to its own disk, so the rest may arrive late: the portal was
down, or the program was killed and its sender goes on. A delivery is late, and not new, when

1. it comes with the token of the run, which nobody else has. Batches of metrics and pieces of the
   console also come from members: they are numbered, and contain neither weights nor sound;
2. it arrives within LATE_DELIVERY of the end;
3. the portal knew its session while the run was open;
4. that session has not reported its ending, which a program or its sender delivers last; or it
   reported in it that it still owes what the portal failed on, and not since that all has arrived.

A delivery that names no session, from an older client, counts as one of any session of the run that
still owes its ending.
"""

from django.utils import timezone

from experiments.models import Attempt, Run
from experiments.models.sessions import NAME_MAX, Session, attempt_and_rank
from experiments.runs.attempts import LATE_DELIVERY
from portal.models import ApiToken

# Run.stop_as of a run whose program fell silent: it reopens when the program reports again.
SILENT = "silent"


class Ended(ValueError):
    """The run has ended, and this delivery is not one that it still owes."""

    code = "ended"


class BadSession(ValueError):
    """This is not a valid name of a session."""


def admit(run: Run, *, token: ApiToken | None, session: str = "", numbered: bool = False) -> None:
    """Accept a delivery; `token` is the run's own, if it came with that. Raises Ended, BadSession.

    `numbered`: a repeated delivery has the same number, and counts once.
    """
    if len(session) > NAME_MAX:
        raise BadSession(f"A session has a name of 1 to {NAME_MAX} characters.")
    if run.is_open:
        note_session(run, session)
        return
    if token is not None and run.stop_as == SILENT:
        return
    if token is None and not numbered:
        raise _ended(run, "Only its own program may still deliver what it has left.")
    if run.ended_at is not None and timezone.now() > run.ended_at + LATE_DELIVERY:
        raise _ended(run, "The time for what its program had left is over.")
    open_sessions = run.sessions.filter(ended_at=None)
    if session:
        open_sessions = open_sessions.filter(name=session)
    if not any(_is_of(open_session, token) for open_session in open_sessions):
        raise _ended(run, "It takes nothing new.")


def note_session(run: Run, session: str) -> None:
    """Store that this session of an open run is known to the portal."""
    if session and not run.sessions.filter(name=session).exists():
        Session.objects.get_or_create(run=run, name=session)


def close(run: Run, session: str) -> None:
    """Close a session that has delivered everything; an outside program's needs no name."""
    rows = run.sessions.filter(ended_at=None)
    if session:
        rows = rows.filter(name=session)
    elif run.origin == Run.Origin.PORTAL:
        return
    rows.update(ended_at=timezone.now())


def _is_of(session: Session, token: ApiToken | None) -> bool:
    """Whether the session is of the attempt that the token was made for; true where unknown."""
    attempt = Attempt.objects.filter(token=token).first() if token is not None else None
    return attempt is None or attempt_and_rank(session.name)[0] in (0, attempt.number)


def _ended(run: Run, more: str) -> Ended:
    return Ended(f"Run {run.number} has ended: {run.get_state_display()}. {more}")
