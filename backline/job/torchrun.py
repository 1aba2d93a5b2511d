"""`backline torchrun ARGS ...`: torchrun, with the exit codes and error messages of its processes.

torchrun itself turns every failure of a process into exit code 1, and answers SIGTERM by killing
after half a minute. Here 75 and 143 mean something (docs/flow.md). So

1. torchrun works in a thread, where it takes no signals; each signal is passed on to the processes,
   once, and the launcher waits until they end by themselves;
2. it restarts nothing: the portal starts the next attempt, from the checkpoint;
3. the exit code is that of the process that failed first, and the last line says why it did.
"""

import logging
import os
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from backline.job import exit_reasons, rendezvous
from backline.job.execution import NOT_FOUND, STOPPED, TOO_EARLY

TICK = 0.1
FAILED = 1
# A killed process leaves no reason, and is noticed up to this much later than the failures that it
# caused: torchrun counts whole seconds and looks ten times in each.
UNNOTICED_SECONDS = 2.0


@dataclass(frozen=True)
class End:
    """How the processes ended: an exit code, and the line that says why unless it is 0."""

    code: int = 0
    line: str = ""


class Signals:
    """Passes SIGTERM and SIGINT on to each process of the launcher, also to later ones."""

    def __init__(self) -> None:
        self._number = 0
        self._told: set[int] = set()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._number = number

    def pass_on(self) -> bool:
        """Signal the processes not signalled yet. False: asked to end before there was any."""
        if not self._number:
            return True
        for process in psutil.Process().children():
            if process.pid not in self._told:
                self._told.add(process.pid)
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(self._number)
        return bool(self._told)


class Torchrun(threading.Thread):
    """The thread of torchrun. Its processes report their end below `folder`."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        super().__init__(name="torchrun", daemon=True)
        self._words = arguments
        self._folder = folder
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            # Its own report of a failure, forty lines on codes and processes, would be where a
            # person looks for the reason; `end` says all that it knows.
            logging.disable(logging.ERROR)
            rendezvous.prepare()
            # Here and nowhere else in the client: only the start of processes needs torch.
            from torch.distributed import run as torchrun  # noqa: PLC0415

            ours = ["--max-restarts=0", f"--log-dir={self._folder}"]
            options = torchrun.parse_args([*ours, *self._words])  # type: ignore[no-untyped-call]
            torchrun.run(options)  # type: ignore[no-untyped-call]
        except BaseException as error:  # noqa: BLE001 - carried over to the main thread.
            self._error = error

    def end(self) -> End:
        """Return how the first failed process ended, once the thread has ended."""
        if self._error is None:
            return End()
        reasons = exit_reasons.read(self._folder)
        failures = getattr(self._error, "failures", {})
        silent = sorted(
            (failure.timestamp - UNNOTICED_SECONDS, rank, failure.exitcode)
            for rank, failure in failures.items()
            # A process that ends by torchrun's SIGTERM does so because another one has ended.
            if failure.error_file == "<N/A>" and failure.exitcode != -signal.SIGTERM
        )
        if silent and (not reasons or silent[0][0] < reasons[0].timestamp):
            return _silent(rank=silent[0][1], code=silent[0][2])
        if reasons:
            return End(reasons[0].code, f"[rank {reasons[0].rank}] {reasons[0].message}")
        if failures:
            rank, failure = min(failures.items())
            return _silent(rank=rank, code=failure.exitcode)
        return _of_torchrun_itself(self._error)


def _silent(*, rank: int, code: int) -> End:
    if code < 0:
        name = signal.Signals(-code).name
        return End(128 - code, f"[rank {rank}] The process was ended by signal {-code} ({name}).")
    return End(code, f"[rank {rank}] The process ended with code {code} and no message.")


def _of_torchrun_itself(error: BaseException) -> End:
    """Return why torchrun could not start or keep the processes, or parse its arguments."""
    if isinstance(error, rendezvous.HostNotResolved):
        return End(FAILED, str(error))
    if isinstance(error, SystemExit):
        return End(error.code if isinstance(error.code, int) else FAILED)
    if isinstance(error, ModuleNotFoundError):
        return End(NOT_FOUND, f"There is no torch here, which starts the processes: {error}.")
    cause = error.__cause__ or error
    first = next(iter(str(cause).splitlines()), "")
    if type(error).__name__.startswith("Rendezvous"):
        return End(FAILED, f"The machines of this run did not find each other: {first}")
    return End(FAILED, f"{type(error).__name__}: {first}")


def launch(arguments: list[str]) -> int:
    """Run torchrun with `arguments`; return the exit code."""
    signals = Signals()
    os.environ[exit_reasons.LAUNCHER] = str(os.getpid())
    with tempfile.TemporaryDirectory(prefix="backline-ranks-") as folder:
        work = Torchrun(arguments, Path(folder))
        work.start()
        # The main thread waits for nothing else, so that signals are passed on at once.
        while work.is_alive():
            work.join(TICK)
            if not signals.pass_on() and work.is_alive():
                end = End(STOPPED, TOO_EARLY)
                break
        else:
            end = work.end()
    if end.line:
        sys.stderr.write(f"{end.line}\n")
        sys.stderr.flush()
    if work.is_alive():
        # torchrun waits for other machines, and the interpreter would wait for it.
        os._exit(end.code)
    return end.code
