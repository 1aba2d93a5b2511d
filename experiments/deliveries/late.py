"""What a run takes after its end: the rest of its own deliveries, and nothing new.

A program lays down what it delivers on its own disk, so the rest may come late: the portal was
away, or the program was killed and its sender goes on. A delivery is late, and not new, when

1. it comes with the token of the run, which nobody else has. Batches of metrics and pieces of the
   console also come from members: they are numbered, and hold neither weights nor sound;
2. it comes within LATE_DELIVERY of the end;
3. the portal had heard of its session while the run went on;
4. that session has not said its ending, which a program or its sender delivers last of all; or said
   in it that it still owes what the portal broke over, and has not told since that all has come.

A delivery that names no session, from a client of before they did, is taken for one of any session
of the run that still owes its ending.
"""

from django.utils import timezone

from experiments.models import Attempt, Run
from experiments.models.sessions import NAME_MAX, Session
from experiments.runs.attempts import LATE_DELIVERY, attempt_and_rank
from portal.models import ApiToken

# What Run.stop_as says of a program of which nothing was heard: when it speaks again, it goes on.
SILENT = "silent"


class Ended(ValueError):
    """The run has ended, and this is none of the deliveries that it still owes."""

    code = "ended"


class BadSession(ValueError):
    """No name of a session."""


def admit(run: Run, *, token: ApiToken | None, session: str = "", numbered: bool = False) -> None:
    """Let a delivery in; `token` is the run's own, if it came with that. Raises Ended, BadSession.

    `numbered`: the same delivery comes under the same number again, and counts once.
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
    owing = run.sessions.filter(ended_at=None)
    if session:
        owing = owing.filter(name=session)
    if not any(_is_of(attempt, token) for attempt in owing):
        raise _ended(run, "It takes nothing new.")


def note_session(run: Run, session: str) -> None:
    """The portal has heard of this session of a run that goes on."""
    if session and not run.sessions.filter(name=session).exists():
        Session.objects.get_or_create(run=run, name=session)


def close(run: Run, session: str) -> None:
    """All of a session has come. Of a program outside it is the only one, also without a name."""
    rows = run.sessions.filter(ended_at=None)
    if session:
        rows = rows.filter(name=session)
    elif run.origin == Run.Origin.PORTAL:
        return
    rows.update(ended_at=timezone.now())


def _is_of(session: Session, token: ApiToken | None) -> bool:
    """Whether the session is of the attempt that the token was made for, where that is known."""
    attempt = Attempt.objects.filter(token=token).first() if token is not None else None
    return attempt is None or attempt_and_rank(session.name)[0] in (0, attempt.number)


def _ended(run: Run, more: str) -> Ended:
    return Ended(f"Run {run.number} has ended: {run.get_state_display()}. {more}")
