"""Watches one local job: `python supervise.py FOLDER`. Standard library only.

It leaves its parent (so neither a portal nor a Celery restart touches it), holds FOLDER/lock
as long as it lives, starts the program of FOLDER/spec.json in a process group of its own,
appends what it prints to FOLDER/log, notes pid and start time in FOLDER/pid.json, deletes at its
end what it fetched and left in FOLDER/work, and writes its end to FOLDER/exit.json.
FOLDER/cancel.json asks to stop: SIGTERM to the group and, after its grace, SIGKILL; the end of
the spec's `seconds` does the same. The command returns when the program was started or never will
be.

With the spec's `sandbox` the command is bwrap's: the group is that of the first process inside,
which bwrap names. When it ends, everything in the sandbox ends; bwrap waits for the exit code.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TICK = 0.1  # Seconds between looks at the program and at the folder.
OVERDUE_GRACE = 60.0  # Seconds for a checkpoint when the longest duration is over.


def write(path: Path, content: dict[str, Any]) -> None:
    """Write all of `content` or nothing, readable by its owner only."""
    temporary = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def start_time(pid: int) -> str:
    """Return when the process began, as the kernel counts it; empty if no process has that pid.

    The same pid with another start time is another process.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        result = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return result.stdout.strip()
    # The name in brackets may hold spaces: count from after it. Field 22 of proc(5).
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def kill(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def delete_fetched(folder: Path, env: Mapping[str, str]) -> None:
    """Delete the music that a job fetched, however it ended: what lies in its own folder, and what
    the client has fetched for the attempt (backline/delivery/spool.py)."""
    shutil.rmtree(folder / "work", ignore_errors=True)
    values = [env.get(f"BACKLINE_{name}", "") for name in ("SPOOL", "RUN", "SESSION")]
    if all(values):
        spool, run, session = values
        shutil.rmtree(Path(spool) / "fetched" / f"{run}-{session}", ignore_errors=True)


def watch(
    folder: Path, program: subprocess.Popen[bytes], group: int, seconds: float | None = None
) -> dict[str, Any]:
    """Wait for the end and carry out a request to stop; returns what exit.json says."""
    deadline: float | None = None
    limit = None if seconds is None else time.monotonic() + seconds
    killed = overdue = False
    while program.poll() is None:
        if deadline is None and limit is not None and time.monotonic() >= limit:
            overdue = True
            deadline = time.monotonic() + OVERDUE_GRACE
            kill(group, signal.SIGTERM)
        if deadline is None and (folder / "cancel.json").exists():
            grace = float(json.loads((folder / "cancel.json").read_text())["grace"])
            deadline = time.monotonic() + grace
            kill(group, signal.SIGTERM)
        if deadline is not None and not killed and time.monotonic() >= deadline:
            kill(group, signal.SIGKILL)
            killed = True
        time.sleep(TICK)
    # What the program left behind in its group must not outlive it.
    kill(group, signal.SIGKILL)
    code = program.returncode
    return {
        "code": 128 - code if code < 0 else code,
        "asked": deadline is not None and not overdue,
        "overdue": overdue,
        "killed": killed,
    }


def start(
    spec: dict[str, Any], folder: str | Path, log: int
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the program; return it and the process group that a signal to it goes to."""
    command: list[str] = list(spec["command"])
    inherited: tuple[int, ...] = ()
    if spec.get("sandbox"):
        read_end, write_end = os.pipe()
        command[1:1] = ["--info-fd", str(write_end)]
        inherited = (write_end,)
    program = subprocess.Popen(
        command,
        env=spec["env"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=inherited,
    )
    if not inherited:
        return program, program.pid
    os.close(write_end)
    with os.fdopen(read_end, "rb") as file:
        info = file.read()
    if not info:
        # bwrap could not make the sandbox: it ends by itself, with its reason in the log.
        return program, program.pid
    child = int(json.loads(info)["child-pid"])
    with contextlib.suppress(ProcessLookupError):
        # A signal sent before this group exists would reach nobody.
        while os.getpgid(child) != child:
            time.sleep(0.01)
    return program, child


def run(folder: Path, ready: int) -> None:
    """Run a folder's job once: a second supervisor finds the lock taken, or a pid.json there."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    if (folder / "pid.json").exists() or (folder / "exit.json").exists():
        return
    if (folder / "cancel.json").exists():
        write(folder / "exit.json", {"code": 143, "asked": True, "killed": False})
        return
    # Written before the start: a crash between the two loses the attempt, never doubles it.
    write(folder / "pid.json", {"pid": 0, "start": "", "supervisor": os.getpid()})
    spec = json.loads((folder / "spec.json").read_text())
    if spec.get("background"):
        # Before the start: all that the program starts inherits it.
        os.nice(19)
    descriptor = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    work = folder / "work"
    work.mkdir(mode=0o700, exist_ok=True)
    try:
        program, group = start(spec, spec.get("cwd") or work, descriptor)
    except OSError as error:
        os.write(descriptor, f"The program could not be started: {error}\n".encode())
        write(folder / "exit.json", {"code": 127, "asked": False, "killed": False})
        return
    note = {"pid": group, "start": start_time(group), "supervisor": os.getpid()}
    write(folder / "pid.json", note)
    os.write(ready, b"1")
    os.close(ready)
    end = watch(folder, program, group, spec.get("seconds"))
    delete_fetched(folder, spec["env"])
    write(folder / "exit.json", end)


def main(folder: Path) -> None:
    """Detach from the parent: this process ends soon, so nobody has to reap the forked watcher."""
    os.umask(0o077)
    receive, ready = os.pipe()
    if os.fork():
        os.close(ready)
        os.read(receive, 1)  # A byte when the program runs, nothing when the watcher ended.
        return
    os.close(receive)
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGINT):
        # A handler, not SIG_IGN: what is ignored here would stay ignored in the program.
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: write(folder / "cancel.json", {"grace": 10}))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    try:
        run(folder, ready)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
