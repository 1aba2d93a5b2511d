"""`backline exec [--dataset FOLDER] -- COMMAND ...`: any program as the program of a run.

1. Joins the run of this job, so that the portal knows of it before the program prints anything.
2. Fetches the run's recordings into FOLDER, with a manifest; only while that is permitted.
3. Starts the program with its own environment, in this process group. What it prints is passed
   on and stored; what it uses of the machine is measured; a `backline.init()` in it joins the run.
4. Passes SIGTERM on, and the portal's request to stop: a program that takes longer than
   BACKLINE_GRACE_SECONDS to obey that is killed. A signal has its sender's own grace period.
5. Counts use that the program did not report, deletes the music, and exits as the program did.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

from backline import dataset, lent
from backline.client import DRAIN_SECONDS, Run
from backline.console import Relay
from backline.delivery.spool import Spool
from backline.delivery.transport import Refused, Transport, Unreachable
from backline.job import exit_reasons
from backline.opening import job_spool
from backline.places import seconds_from, spool_root
from backline.ranks import ProcessPlace
from backline.system_metrics import SystemMetrics
from backline.usage_count import Counting

TICK = 0.1
GRACE_SECONDS = 20.0
# As in sysexits.h, and as a shell reports a command that it cannot start.
WRONG_PLACE, UNAVAILABLE, NOT_PERMITTED = 2, 69, 77
NOT_STARTABLE, NOT_FOUND = 126, 127
STOPPED = 143
# How long a program may take to end by a signal that it received itself.
PASSED_ON_AFTER = 0.3
TOO_EARLY = "Asked to stop before the program was started."


class Stopped(Exception):
    """Asked to end before the program was started."""


class SignalRelay:
    """SIGTERM and SIGINT: before the program runs they end the waiting, then they go to it."""

    def __init__(self) -> None:
        self._waiting = False
        self._program: subprocess.Popen[bytes] | None = None
        self._told = False
        self._heard: tuple[int, float] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let a signal interrupt what takes long in here: it raises Stopped."""
        self._waiting = True
        try:
            if self._told or self._heard:
                raise Stopped(TOO_EARLY)
            yield
        finally:
            self._waiting = False

    def belongs_to(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program
        if self._told or self._heard:
            self._told = True
            program.terminate()

    def tell(self, number: int = signal.SIGTERM) -> None:
        """Signal the program, once: a cluster's signal often follows the portal's request."""
        if not self._told and self._program is not None:
            self._program.send_signal(number)
        self._told = True

    def pass_on(self) -> None:
        """Pass on a received signal, unless the program ended meanwhile: a signal to the whole
        group has reached it too, and a second one would cut off what it does at its end."""
        if self._heard and time.monotonic() - self._heard[1] > PASSED_ON_AFTER:
            self.tell(self._heard[0])

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._heard = self._heard or (number, time.monotonic())
        if self._waiting:
            self._waiting = False
            raise Stopped(TOO_EARLY)


def execute(command: list[str], *, folder: Path | None) -> int:
    """Return the exit code: the program's own, 128 + n after signal n, or one of those above."""
    bell = SignalRelay()
    url, token = os.environ.get("BACKLINE_URL", ""), os.environ.get("BACKLINE_TOKEN", "")
    if not (url and token and os.environ.get("BACKLINE_RUN")):
        sys.stderr.write("This is no job of the portal: BACKLINE_RUN, _URL and _TOKEN are it.\n")
        return WRONG_PLACE
    place = ProcessPlace.read()
    try:
        with bell.waiting():
            spec, spool = job_spool(url, token, place)
    except (Stopped, Refused, Unreachable) as refusal:
        sys.stderr.write(f"{refusal}\n")
        exit_reasons.leave_reason(str(refusal), code=_code_of(refusal))
        return _code_of(refusal)
    figures = SystemMetrics() if place.first_of_machine else None
    relay = Relay()
    run = Run(
        spec=spec,
        spool=spool,
        token=token,
        console=relay,
        figures=figures,
        place=place,
        describes=None if place.rank else "launcher",
        command=command,
    )
    program = Program(run, spool=spool, place=place, relay=relay, figures=figures, folder=folder)
    try:
        code = program.perform(command, bell)
        if code:
            exit_reasons.leave_reason(relay.last_line, code=code)
        _wait_for_sessions(run, spool)
    finally:
        run.finish()
    if code and (spool.pending() or spool.refusals()):
        # People look for the reason in the last line, so it has to be the program's.
        sys.stderr.write(f"{relay.last_line}\n")
    return code


class Program:
    """A command as the program of `run`, with the run's recordings in `folder`, if there is one."""

    def __init__(
        self,
        run: Run,
        *,
        spool: Spool,
        place: ProcessPlace,
        relay: Relay,
        figures: SystemMetrics | None,
        folder: Path | None,
    ) -> None:
        self.run = run
        self.spool = spool
        self.place = place
        self.relay = relay
        self.figures = figures
        self.folder = folder
        self.counting = Counting(spool.folder)
        if place.rank:
            # Rank 0 fetches the same, and reports it.
            self.counting.decide("program")

    def perform(self, command: list[str], bell: SignalRelay) -> int:
        """Fetch the recordings and run the program to its end; return its exit code."""
        try:
            with ExitStack() as after:
                if self.folder is not None:
                    self.spool.note_lent(self.folder)
                    after.enter_context(lent.Folder(self.folder))
                    with bell.waiting():
                        self._fetch(self.folder)
                return self._follow(self._start(command), bell)
        except (Stopped, Refused, Unreachable) as refusal:
            self.relay.conclude(str(refusal))
            return _code_of(refusal)
        except FileNotFoundError:
            self.relay.conclude(f"There is no program “{command[0]}” here.")
            return NOT_FOUND
        except OSError as error:
            self.relay.conclude(f"“{command[0]}” cannot be started: {error.strerror or error}.")
            return NOT_STARTABLE

    def _fetch(self, folder: Path) -> None:
        def before_each(number: int, count: int) -> None:
            if self.run.stop_requested:
                raise Stopped(self.run.stop_requested.reason)
            self.run.progress(0, stage=f"Fetching recording {number + 1} of {count}")

        session = self.spool.session
        with Transport(session.url, session.token) as transport:
            dataset.fetch(self.run.spec, folder, transport, before_each=before_each)
        self.run.progress(0)
        self.counting.note(self.run.spec.items)

    def _start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _environment(self) -> dict[str, str]:
        """Return the program's environment: this one, the run's variables, and how to join."""
        spec = self.run.spec
        configured = spec.config.get("env") if spec.recipe == "program" else None
        own = {str(name): str(value) for name, value in (configured or {}).items()}
        inherited = dict(os.environ)
        # "python" is the one that this runs with, unless the run's variables say otherwise.
        paths = [str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)]
        inherited["PATH"] = os.pathsep.join(paths)
        if "PYTHONPATH" in own and inherited.get("PYTHONPATH"):
            own["PYTHONPATH"] += os.pathsep + inherited["PYTHONPATH"]
        ours = {
            "BACKLINE_EXEC": str(self.spool.folder.resolve()),
            "BACKLINE_EXEC_RANK": str(self.place.rank),
        }
        if self.folder is not None:
            ours["BACKLINE_DATASET"] = str(self.folder.resolve())
        return inherited | own | ours

    def _follow(self, program: "subprocess.Popen[bytes]", bell: SignalRelay) -> int:
        bell.belongs_to(program)
        if self.figures:
            with suppress(psutil.Error):
                self.figures.follow(program.pid)
        if program.stdout and program.stderr:
            self.relay.follow(program.stdout, program.stderr)
        code = self._watch(program, bell)
        self.relay.wait(2.0)
        if report := self.counting.whole():
            self.spool.put("usage", report.model_dump_json().encode())
        if code and not self.relay.last_line:
            self.relay.conclude(f"The program ended with code {code} and no message.")
        return code

    def _watch(self, program: "subprocess.Popen[bytes]", bell: SignalRelay) -> int:
        """Wait for its end; pass on the portal's request, and kill a program that does not obey."""
        asked_at: float | None = None
        grace = float(os.environ.get("BACKLINE_GRACE_SECONDS", GRACE_SECONDS))
        while program.poll() is None:
            bell.pass_on()
            if asked_at is None and self.run.stop_requested:
                asked_at = time.monotonic()
                bell.tell()
            if asked_at is not None and time.monotonic() - asked_at > grace:
                _end(program)
                return STOPPED
            time.sleep(TICK)
        code = program.returncode
        return 128 - code if code < 0 else code


def _code_of(refusal: Stopped | Refused | Unreachable) -> int:
    if isinstance(refusal, Stopped):
        return STOPPED
    return NOT_PERMITTED if isinstance(refusal, Refused) else UNAVAILABLE


def _end(program: "subprocess.Popen[bytes]") -> None:
    """Kill the program and all that it started, except senders, which deliver what it has left."""
    descendants = []
    with suppress(psutil.Error):
        descendants = psutil.Process(program.pid).children(recursive=True)
    program.kill()
    program.wait()
    for process in descendants:
        with suppress(psutil.Error):
            if "backline.delivery.sender" not in process.cmdline():
                process.kill()


def _wait_for_sessions(run: Run, spool: Spool) -> None:
    """Wait for the program's own sessions to deliver: the container may end with this process."""
    end = time.monotonic() + seconds_from("BACKLINE_DRAIN_SECONDS", DRAIN_SECONDS)
    attempt = os.environ.get("BACKLINE_SESSION", "")
    for folder in spool_root().glob(f"{run.id}-{attempt}-*"):
        with suppress(OSError, ValueError):
            program_spool = Spool.open(folder)
            # A session whose process lives is another rank's, which waits for it itself.
            if folder != spool.folder and not program_spool.program_lives():
                program_spool.wait_until_empty(end - time.monotonic())
