"""Processes of a portal's world that begin where the imports end.

Tests of faults start dozens of processes that read and write one portal, each of which would import
the same thousand modules for seconds. A nursery is a process that has imported them, and forks:
each child has a pid, an environment, settings, database connections and pipes of its own, and is
killed like any other.
"""

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
MESSAGE_BYTES = 65_536
# Of a child that was killed, as of a shell.
BY_SIGNAL = 128


class Child:
    """A process of a nursery, with as much of subprocess.Popen as the tests use."""

    def __init__(self, nursery: "Nursery", pid: int, said: IO[str], heard: IO[str]) -> None:
        self.pid, self.stdin, self.stdout = pid, said, heard
        self._nursery = nursery

    def poll(self) -> int | None:
        return self._nursery.code(self.pid, seconds=0)

    def wait(self, seconds: float) -> int:
        code = self._nursery.code(self.pid, seconds)
        assert code is not None, f"Process {self.pid} goes on after {seconds:g} s."
        return code

    def close(self) -> int:
        """Say that nothing comes any more, wait for the end, and return its code."""
        with suppress(BrokenPipeError):
            self.stdin.close()
        code = self.wait(60)
        self.stdout.close()
        return code

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


@contextmanager
def running(module: str, state: Path) -> Iterator["Nursery"]:
    """A nursery of a portal whose own folder is `state`; each child says which portal is its."""
    env = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "portal.settings"}
    made = Nursery(module, env | {"STATE_DIR": str(state), "OMP_NUM_THREADS": "1"})
    try:
        yield made
    finally:
        made.close()


class Nursery:
    """A process that has imported `module`; its children call `module.main(arguments)`.

    `env` is what the module needs to be imported. Not for several threads at once.
    """

    def __init__(self, module: str, env: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._codes: dict[int, int] = {}
        self._messages = b""
        with theirs:
            command = [sys.executable, "-m", "tests.nursery", module, str(theirs.fileno())]
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=dict(env), pass_fds=[theirs.fileno()]
            )

    def start(self, *arguments: str, env: Mapping[str, str]) -> Child:
        """Start a child; what it writes to standard output can be read, errors go where ours go."""
        (theirs_in, said), (heard, theirs_out) = os.pipe(), os.pipe()
        message = json.dumps({"arguments": arguments, "env": dict(env)}).encode()
        assert len(message) < MESSAGE_BYTES
        socket.send_fds(self._socket, [message], [theirs_in, theirs_out])
        os.close(theirs_in)
        os.close(theirs_out)
        while True:
            answer = self._next(None)
            assert answer, "The nursery has ended."
            if "began" in answer:
                return Child(self, answer["began"], os.fdopen(said, "w"), os.fdopen(heard))

    def run(self, *arguments: str, env: Mapping[str, str]) -> str:
        """Run a child to its end and return what it wrote; it has to end well."""
        child = self.start(*arguments, env=env)
        with child.stdin, child.stdout:
            written = child.stdout.read()
        assert child.wait(60) == 0, f"{' '.join(arguments)} failed; the reason was written above."
        return written

    def code(self, pid: int, seconds: float) -> int | None:
        """Return with what a child has ended, None if it has not within these seconds."""
        while pid not in self._codes and self._next(seconds):
            pass
        return self._codes.get(pid)

    def close(self) -> None:
        """End the nursery; what it has started goes on."""
        self._socket.close()
        self._process.wait(60)

    def _next(self, seconds: float | None) -> dict[str, int]:
        """Return the next message of the nursery, nothing if none comes in time."""
        while b"\n" not in self._messages:
            if not select.select([self._socket], [], [], seconds)[0]:
                return {}
            if not (piece := self._socket.recv(MESSAGE_BYTES)):
                return {}
            self._messages += piece
        line, _, self._messages = self._messages.partition(b"\n")
        message: dict[str, int] = json.loads(line)
        if "ended" in message:
            self._codes[message["ended"]] = message["code"]
        return message


def serve(module: Any, asking: socket.socket) -> None:
    """Fork for each message, and report who began and who has ended, until nobody asks any more."""
    gc.freeze()
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([asking, *running], [], [])
        for ended in set(ready) & set(running):
            pid = running.pop(ended)
            os.close(ended)
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            _report(asking, ended=pid, code=code if code >= 0 else BY_SIGNAL - code)
        if asking not in ready:
            continue
        message, pipes, _, _ = socket.recv_fds(asking, MESSAGE_BYTES, 2)
        if not message:
            return
        asked = json.loads(message)
        if (pid := os.fork()) == 0:
            asking.close()
            os._exit(_become(module, asked["arguments"], asked["env"], pipes))
        for pipe in pipes:
            os.close(pipe)
        running[os.pidfd_open(pid)] = pid
        _report(asking, began=pid)


def _report(asking: socket.socket, **message: int) -> None:
    with suppress(BrokenPipeError):
        asking.sendall(json.dumps(message).encode() + b"\n")


def _become(
    module: Any, arguments: Sequence[str], env: Mapping[str, str], pipes: Sequence[int]
) -> int:
    """Be a process of this environment: run the module's `main`, and return its exit code."""
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[1:] = arguments
    _read_settings_anew()
    try:
        module.main(arguments)
        sys.stdout.flush()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - the outer edge of a process.
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0


def _read_settings_anew() -> None:
    from django.conf import settings
    from django.db import connections
    from django.utils.functional import empty

    del sys.modules[os.environ["DJANGO_SETTINGS_MODULE"]]
    settings._wrapped = empty
    # None is open yet, but one may know already where its database was.
    for alias in list(connections):
        with suppress(AttributeError):
            del connections[alias]
    connections._settings = None  # type: ignore[attr-defined]
    connections.__dict__.pop("settings", None)


if __name__ == "__main__":
    serve(import_module(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])))
