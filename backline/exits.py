"""How a program ends, seen from inside: normally, by an exception, by `sys.exit`, by Ctrl-C.

Python calls `sys.excepthook` for an exception that nothing caught, but not for SystemExit. So
`sys.exit` is replaced while a run is open: it raises an exception that knows when it goes away.
One that nothing has caught goes away when no frame is left; its code is the program's. A bare
`raise SystemExit(code)` passes unseen: its program counts as finished.
"""

import atexit
import builtins
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, NoReturn, Protocol, get_args

Outcome = Literal["finished", "failed", "cancelled"]
# What ends a program at once, if it does not catch it, and leaves it the time for a last word.
SIGNALS = (signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = "Interrupted from the keyboard."


class Ending(Protocol):
    """What has to be finished when the program ends."""

    def finish(self, outcome: Outcome = "finished", reason: str = "") -> None: ...

    def end_by_signal(self, name: str, leave: Callable[[], None]) -> None:
        """Write down what there is, at once, and then call `leave`."""


def outcome_of(error: BaseException | None) -> tuple[Outcome, str]:
    """Return how a program has ended that this exception has left, and a sentence for it."""
    match error:
        case None | GeneratorExit():
            return "finished", ""
        case KeyboardInterrupt():
            return "cancelled", INTERRUPTED
        case SystemExit():
            return _outcome_of_code(error.code)
    try:
        return "failed", f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an exception whose text cannot be made.
        return "failed", type(error).__name__


def outcome_named(outcome: Any, reason: str) -> tuple[Outcome, str]:
    """Return the outcome that a call of `finish` means: one of ours, or an exit code.

    Raises ValueError for everything else.
    """
    if outcome in get_args(Outcome):
        return outcome, reason
    if outcome is None or isinstance(outcome, int):
        named, why = _outcome_of_code(outcome)
        return named, reason or why
    raise ValueError(f"{outcome!r:.40} is none of {', '.join(get_args(Outcome))}.")


def _outcome_of_code(code: Any) -> tuple[Outcome, str]:
    # As Python itself: a number is the code, anything else is printed and the code is 1.
    if code is None or (isinstance(code, int) and code == 0):
        return "finished", ""
    if isinstance(code, int):
        return "failed", f"The program exited with code {int(code)}."
    return "failed", f"{code}"


class _Watch:
    """The hooks of this process, in place while something is to be finished."""

    def __init__(self) -> None:
        self._endings: list[Ending] = []
        self._outcome: tuple[Outcome, str] = ("finished", "")
        self._replaced: list[tuple[object, str, object, object]] = []
        self._notebook: Any = None
        self._exiting = False

    def add(self, ending: Ending) -> None:
        if not self._replaced:
            self._install()
        self._endings.append(ending)

    def remove(self, ending: Ending) -> None:
        with suppress(ValueError):
            self._endings.remove(ending)
            if not self._endings:
                self._uninstall()

    def __contains__(self, ending: object) -> bool:
        return any(ending is other for other in self._endings)

    def finish_all(self) -> None:
        for ending in reversed(self._endings[:]):
            ending.finish(*self._outcome)

    def forget(self) -> None:
        """Forget what belongs to the process that this one was forked from; its hooks stay."""
        self._outcome = ("finished", "")
        self._endings.clear()

    def left_by(self, error: BaseException) -> None:
        self._outcome = outcome_of(error)

    def exited_by(self, error: SystemExit) -> None:
        """Note the exception that ends the program; what functions of `atexit` raise does not."""
        if not self._exiting:
            self.left_by(error)

    def note_exit(self) -> None:
        self._exiting = True

    def _on_signal(self, number: int, _frame: Any) -> None:
        """Write down what the runs have, and then end as the signal would have ended it."""

        def leave() -> None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        for ending in reversed(self._endings[1:]):
            ending.end_by_signal(signal.Signals(number).name, lambda: None)
        if self._endings:
            self._endings[0].end_by_signal(signal.Signals(number).name, leave)
        else:
            leave()

    def _install(self) -> None:
        self._outcome = ("finished", "")
        self._replace(sys, "excepthook", self._excepthook(sys.excepthook))
        self._replace(sys, "exit", _exit)
        for name in ("exit", "quit"):
            # Of the module `site`, which may be missing.
            if hasattr(builtins, name):
                self._replace(builtins, name, _exit)
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                # Whoever catches it says what happens then.
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, self._on_signal)
        shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
        if shell:
            self._notebook = shell.events
            self._notebook.register("post_run_cell", self._after_cell)

    def _uninstall(self) -> None:
        for owner, name, ours, before in reversed(self._replaced):
            # Somebody may have replaced it since: theirs stays.
            if getattr(owner, name, None) is ours:
                setattr(owner, name, before)
        self._replaced.clear()
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) == self._on_signal:
                    signal.signal(number, signal.SIG_DFL)
        if self._notebook is not None:
            with suppress(ValueError):
                self._notebook.unregister("post_run_cell", self._after_cell)
            self._notebook = None

    def _replace(self, owner: object, name: str, ours: object) -> None:
        self._replaced.append((owner, name, ours, getattr(owner, name)))
        setattr(owner, name, ours)

    def _excepthook(self, before: Callable[..., Any]) -> Callable[..., None]:
        def hook(
            kind: type[BaseException], error: BaseException, trace: TracebackType | None
        ) -> None:
            self.left_by(error)
            before(kind, error, trace)

        return hook

    def _after_cell(self, result: Any) -> None:
        """End the runs of a notebook whose cell has ended by an exception."""
        error = getattr(result, "error_in_exec", None)
        if error is not None:
            self.left_by(error)
            self.finish_all()


class _Exit(SystemExit):
    """What `sys.exit` raises while a run is open."""

    def __init__(self, code: Any) -> None:
        super().__init__(*(() if code is None else (code,)))
        self.process = os.getpid()

    def __del__(self) -> None:
        # One that was caught goes away in a frame of whoever caught it.
        if sys is not None and sys._getframe().f_back is None and os.getpid() == self.process:
            WATCH.exited_by(self)


# As it is called in everything that prints it.
_Exit.__name__ = _Exit.__qualname__ = "SystemExit"


def _exit(status: Any = None, /) -> NoReturn:
    """Exit the interpreter by raising SystemExit(status), as `sys.exit` does."""
    raise _Exit(status)


WATCH = _Watch()
atexit.register(WATCH.finish_all)
# Called before the functions of `atexit`; concurrent.futures uses it for that.
threading._register_atexit(WATCH.note_exit)  # type: ignore[attr-defined]
os.register_at_fork(after_in_child=WATCH.forget)
