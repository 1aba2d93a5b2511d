"""The processes of the embedded default: started in order, watched, restarted, stopped by pid.

Each child has a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone
and it stops them in order. Runs of the local cluster are not its children: they go on.
"""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

STOP_SECONDS = 8.0
LONGEST_PAUSE = 30.0
# A child that lived this long has recovered: its next crash has the shortest pause again.
STEADY_SECONDS = 60.0


class NotReady(RuntimeError):
    """A process did not come up; the sentence says which, and where its log is."""


@dataclass
class Child:
    """One process to keep alive. `ready` returns true once it does its work."""

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    crashes: int = 0
    restart_at: float = 0.0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class Supervisor:
    """Keeps `children` alive until `stopping` is set."""

    folder: Path
    report: Callable[[str], object]
    stopping: threading.Event = field(default_factory=threading.Event)
    children: list[Child] = field(default_factory=list)

    @property
    def pids_file(self) -> Path:
        return self.folder / "up.pids"

    def log_of(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def start(self, child: Child) -> None:
        log = self.log_of(child.name)
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as file:
            child.process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child.began = time.monotonic()
        if child not in self.children:
            self.children.append(child)
        self._write_pids()

    def wait_ready(self, child: Child, *, seconds: float) -> None:
        """Return once it is ready or a stop is asked for; NotReady if it ends or takes longer."""
        deadline = time.monotonic() + seconds
        while not self.stopping.is_set():
            if child.ready():
                return
            if not child.alive:
                raise NotReady(f"{child.name} ended at its start. {self.last_words(child.name)}")
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{child.name} did not answer within {seconds:.0f} s. "
                    f"{self.last_words(child.name)}"
                )
            self.stopping.wait(0.1)

    def watch(self) -> None:
        """Restart what crashes, each time after a longer pause, until a stop is asked for."""
        while not self.stopping.wait(0.25):
            for child in self.children:
                if not child.alive:
                    try:
                        self._revive(child)
                    except OSError as error:
                        self.report(f"{child.name} could not be started: {error}. Trying again.")
                        child.restart_at = time.monotonic() + LONGEST_PAUSE

    def run(self, name: str, command: Sequence[str]) -> tuple[int, list[str]]:
        """Run a command to its end and report its lines; return its exit code and lines.

        A stop ends it early.
        """
        lines: list[str] = []
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

        def read() -> None:
            assert process.stdout is not None  # noqa: S101 - stdout=PIPE above
            with process.stdout:
                for line in process.stdout:
                    lines.append(line.rstrip("\n"))
                    self.report(lines[-1])

        reader = threading.Thread(target=read, name=name, daemon=True)
        reader.start()
        while process.poll() is None and not self.stopping.wait(0.1):
            pass
        end([process], seconds=STOP_SECONDS)
        reader.join(timeout=2)
        return process.returncode, lines

    def stop(self) -> None:
        """End every child: those that use the broker first, the one started first last."""
        self.stopping.set()
        started = [c.process for c in self.children if c.process is not None]
        end(started[1:], seconds=STOP_SECONDS)
        end(started[:1], seconds=STOP_SECONDS)
        self.pids_file.unlink(missing_ok=True)

    def end_leftovers(self) -> int:
        """End the processes of a supervisor that was killed; return how many there were.

        A pid counts only with its start time: the pid alone may be another process's by now.
        """
        try:
            recorded = json.loads(self.pids_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return 0
        leftovers = []
        for pid, created in recorded:
            try:
                process = psutil.Process(pid)
                if abs(process.create_time() - created) < 1:
                    leftovers.append(process)
            except psutil.NoSuchProcess:
                continue
        for process in leftovers:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(leftovers, timeout=STOP_SECONDS)
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=2)
        self.pids_file.unlink(missing_ok=True)
        return len(leftovers)

    def last_words(self, name: str) -> str:
        log = self.log_of(name)
        try:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        last = [line for line in lines if line.strip()][-1:]
        return f"Its log is {log}" + (f"; the last line: {last[0].strip()}" if last else ".")

    def _revive(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is not None:
            if now - child.began > STEADY_SECONDS:
                child.crashes = 0
            pause = min(LONGEST_PAUSE, 0.5 * 2**child.crashes)
            child.crashes += 1
            child.restart_at = now + pause
            self.report(
                f"{child.name} ended (code {child.process.returncode}); it starts again in "
                f"{pause:g} s. {self.last_words(child.name)}"
            )
            child.process = None
        elif now >= child.restart_at:
            self.start(child)
            self.report(f"{child.name} was started again.")

    def _write_pids(self) -> None:
        pids = []
        for child in self.children:
            if child.process is not None and child.process.poll() is None:
                try:
                    created = psutil.Process(child.process.pid).create_time()
                except psutil.NoSuchProcess:
                    continue
                pids.append((child.process.pid, created))
        temporary = self.pids_file.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(pids), encoding="utf-8")
            temporary.replace(self.pids_file)
        except OSError as error:
            # A full disk stops no child. Without the list the next start cannot end what a
            # killed supervisor has left; this one still ends its own.
            self.report(f"{self.pids_file} could not be written: {error.strerror}.")


def end(
    processes: Sequence[subprocess.Popen[bytes] | subprocess.Popen[str]], *, seconds: float
) -> None:
    """Ask each to end, wait, and kill those that have not ended."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
