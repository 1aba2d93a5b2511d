"""How a program is asked to end, and how it answers: a checkpoint, then an exit code."""

import signal
from types import FrameType

import backline

STOPPED, PREEMPTED = 143, 75


class Interrupted(Exception):
    """The run ends before its time; `exit_code` tells the portal why (docs/flow.md)."""

    def __init__(self, sentence: str, *, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class PeerEnded(Exception):
    """Another process of the run is gone, and this one cannot go on without it."""

    def __init__(self) -> None:
        super().__init__("Another process of this run has ended; its own log says why.")


class SignalFlag:
    """Rung by a signal; checked between steps, so that a step is never cut in two."""

    def __init__(self) -> None:
        self.rung = False

    def listen(self) -> None:
        """From now on SIGTERM and SIGINT ring instead of ending the process."""
        signal.signal(signal.SIGTERM, self.ring)
        signal.signal(signal.SIGINT, self.ring)

    def ring(self, _number: int, _frame: FrameType | None) -> None:
        self.rung = True


BELL = SignalFlag()


def interruption_asked(run: backline.Run) -> Interrupted | None:
    """Return what to raise once a checkpoint is safe, or None to go on."""
    return interruption_for(stop=run.stop_requested is not None, leave=BELL.rung)


def interruption_for(*, stop: bool, leave: bool) -> Interrupted | None:
    """Return the interruption, if any: the portal's request overrides the cluster's signal."""
    if stop:
        return Interrupted("Stopped on request.", exit_code=STOPPED)
    if leave:
        return Interrupted("Asked to make room; another attempt goes on.", exit_code=PREEMPTED)
    return None


def check(run: backline.Run) -> None:
    """Raise `Interrupted` if asked to end, where there is nothing to save yet."""
    if interrupted := interruption_asked(run):
        raise interrupted
