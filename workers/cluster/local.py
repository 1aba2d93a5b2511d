"""Jobs as processes of this machine, each in a folder of its own under LOCAL_JOBS_DIR.

The folder is the job: spec.json (0600, it holds the run's token), lock, pid.json, log,
cancel.json, exit.json. Everything is read from there, so a process after a restart knows as much
as the one that started the job. supervise.py is the only writer after the start.

A researcher's own program is separated from the portal as portal/machine/separation.py says.
What it may write is then in its job's folder, its spool too: nobody else delivers from there,
because whoever reads what a stranger wrote must not have the portal's rights.
"""

import contextlib
import fcntl
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from backline.delivery import spool
from portal.database import long_work
from portal.machine import separation
from portal.machine.separation import ProgramFolders, Separation
from workers.cluster import PREEMPTED_CODE, Event, Job, JobStatus, Phase, Refused, Unavailable
from workers.cluster.supervise import delete_fetched, kill, start_time, write

SUPERVISE = Path(__file__).with_name("supervise.py")
# Seconds: a folder in which no supervisor has started by then never gets one.
STARTS_WITHIN = 30.0
TAIL_BYTES = 64 * 1024
# Where `programs` is not given: own programs are refused, and the portal's jobs do not ask.
NO_PROGRAMS = Separation("off", separation.OFF)


class LocalCluster:
    def __init__(
        self,
        root: Path,
        *,
        slots: int = 1,
        programs: Callable[[], Separation] = lambda: NO_PROGRAMS,
        apart: Path | None = None,
    ) -> None:
        """`programs` returns how own programs are separated from the portal; `apart` holds the
        folders of those separated by their user alone, who can enter no other folder."""
        self.root = root
        self.slots: int | None = slots
        self._programs = programs
        self._apart = apart or root.parent / "programs"

    def create(self, job: Job) -> None:
        long_work.forbid_in_transaction("A job is started")
        _refuse_what_only_a_cluster_has(job)
        level = self._programs() if job.own else None
        if level is not None and level.why_not:
            raise Refused(level.why_not)
        folder = self._folder(job.name)
        if not folder.exists() and not self._ended(job.name).exists():
            self._lay_out(job, level)
        if (folder / "pid.json").exists() or (folder / "exit.json").exists():
            return
        if not folder.exists():
            return
        result = subprocess.run(
            [sys.executable, "-I", str(SUPERVISE), str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=STARTS_WITHIN,
            # Anybody who can read its environment finds no secret of the portal.
            env=separation.base_env(),
        )
        if result.returncode:
            raise Unavailable(f"The supervisor did not start: {result.stderr.decode()[-300:]}")

    def observe(self) -> dict[str, JobStatus]:
        if not self.root.exists():
            return {}
        folders = [path for path in self.root.iterdir() if path.name.startswith("run-")]
        return {folder.name: _status(folder) for folder in folders}

    def names(self) -> set[str]:
        ended = self._ended("").glob("run-*")
        return {folder.name for folder in (*self.root.glob("run-*"), *ended)}

    def cancel(self, name: str, grace: float) -> None:
        folder = self._folder(name)
        if folder.exists() and not (folder / "cancel.json").exists():
            with contextlib.suppress(FileNotFoundError):
                write(folder / "cancel.json", {"grace": grace})

    def logs(self, name: str, lines: int = 50) -> list[str]:
        for folder in (self._folder(name), self._ended(name)):
            with contextlib.suppress(FileNotFoundError), (folder / "log").open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - TAIL_BYTES))
                return file.read().decode(errors="replace").splitlines()[-lines:]
        return []

    def forget(self, name: str) -> None:
        target = self._ended(name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What the program fetched, if its supervisor was killed with it. First: a renamed folder
        # is not looked at again.
        spec = _read(self._folder(name) / "spec.json") or {"env": {}}
        delete_fetched(self._folder(name), spec["env"])
        with contextlib.suppress(FileNotFoundError):
            self._folder(name).rename(target)
            (target / "spec.json").unlink()
        self._clear(name)

    def purge(self, before: float, keep: Container[str]) -> list[str]:
        deleted = []
        for folder in sorted(self._ended("").glob("run-*")):
            with contextlib.suppress(FileNotFoundError):
                if self._clear(folder.name):
                    continue
                # Its last change was when `forget` deleted what nobody needs any more.
                if folder.stat().st_mtime < before and folder.name.split("-")[1] not in keep:
                    shutil.rmtree(folder)
                    deleted.append(folder.name)
        return deleted

    def events(self, name: str) -> list[Event]:  # noqa: ARG002 - the Protocol's signature.
        return []

    def look(self, name: str) -> str:
        folder = self._folder(name)
        return f"tail -n 100 {shlex.quote(str(folder / 'log'))}" if folder.exists() else ""

    def _folder(self, name: str) -> Path:
        return self.root / name

    def _ended(self, name: str) -> Path:
        return self.root / "ended" / name

    def _lay_out(self, job: Job, level: Separation | None = None) -> None:
        """Write the whole folder under another name first; the rename creates the job."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="new-", dir=self.root))
        spec: dict[str, Any] = {
            "name": job.name,
            "command": job.command,
            "env": dict(job.env),
            "seconds": job.max_seconds,
            "background": job.background,
        }
        if level is not None and level.level != "trusted":
            spec |= self._separated_spec(job, level, draft)
        write(draft / "spec.json", spec)
        try:
            draft.rename(self._folder(job.name))
        except OSError:
            # Another process was faster: its folder is the job.
            shutil.rmtree(draft)

    def _separated_spec(self, job: Job, level: Separation, draft: Path) -> dict[str, Any]:
        """Make the program's folders; return how to start it so that it cannot reach the portal."""
        room = self._room(job.name, level, self._folder(job.name))
        if level.level == "user":
            separation.public(self._apart)
            separation.public(room.folder)
            ProgramFolders.made(room.folder, level)
        else:
            ProgramFolders.made(draft, level)
        write(draft / "level.json", asdict(level))
        return {
            "command": separation.wrapped(level, job.command, room),
            "env": {**job.env, **room.env},
            "cwd": str(room.folder / "work"),
            "sandbox": level.level == "sandbox",
        }

    def _room(self, name: str, level: Separation, folder: Path) -> ProgramFolders:
        """Return the program's own folders: in the job's folder, or where its user can enter."""
        return ProgramFolders(self._apart / name if level.level == "user" else folder)

    def _clear(self, name: str) -> bool:
        """Delete what an ended program had, as recordings that it fetched may lie there; True while
        some of it still waits to be delivered."""
        ended, apart = self._ended(name), self._apart / name
        record = ended / "level.json"
        if record.exists():
            with record.open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    # A delivery is going on in these folders.
                    return True
                for folder in (ended, apart):
                    for part in ("work", "tmp"):
                        _remove(folder / part)
                if self._deliver(name, lock):
                    return True
        for part in ("work", "tmp", "spool"):
            _remove(ended / part)
        _remove(apart)
        return False

    def _deliver(self, name: str, record: TextIO) -> bool:
        """Send what a program left undelivered when it ended; True while there is any. This runs
        under the program's own separation: the program chose what is read and where it goes.

        `record` is the program's level.json, locked. The delivery inherits the open file, so the
        lock lasts until it has ended, however it ends."""
        target = self._ended(name)
        fields = json.load(record)
        user = separation.User(**fields["user"]) if fields["user"] else None
        level = Separation(fields["level"], user=user)
        room = self._room(name, level, target)
        if not spool.unfinished(room.folder / "spool"):
            return False
        ProgramFolders.made(room.folder, level)
        command = (sys.executable, "-m", "backline", "sync", str(room.folder / "spool"))
        with (target / "sync.log").open("ab") as log:
            subprocess.run(
                # Detached from then on, as the program's supervisor was.
                ["setsid", "--fork", *separation.wrapped(level, command, room, stays=True)],
                env={
                    **separation.base_env(),
                    "PYTHONPATH": str(separation.CLIENT.parent),
                    **room.env,
                },
                cwd=room.folder / "work",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                pass_fds=(record.fileno(),),
            )
        return True


def _remove(folder: Path) -> None:
    """Delete a folder, even if a program of our own user has closed parts of it. Root needs no
    permission, and must not follow a link that a running program may put there meanwhile."""
    if os.geteuid() != 0 and folder.is_dir() and not folder.is_symlink():
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
        for path, folders, _files in os.walk(folder):
            for inner in (Path(path, folder) for folder in folders):
                if not inner.is_symlink():
                    with contextlib.suppress(OSError):
                        inner.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _status(folder: Path) -> JobStatus:
    name, node = folder.name, platform.node()
    alive = _supervised(folder)
    if (end := _read(folder / "exit.json")) is not None:
        return _ended(name, end, node)
    if alive:
        return JobStatus(name, "running", node=node)
    pid_note = _read(folder / "pid.json")
    if pid_note is None:
        with contextlib.suppress(FileNotFoundError):
            if time.time() - (folder / "spec.json").stat().st_mtime < STARTS_WITHIN:
                return JobStatus(name, "pending", node=node)
        return JobStatus(name, "lost", reason="Its supervisor never came up.", node=node)
    # Nobody watches the program any more: end it, so that the next attempt is the only one.
    if pid_note["pid"] and start_time(pid_note["pid"]) == pid_note["start"]:
        kill(pid_note["pid"], signal.SIGKILL)
    return JobStatus(name, "lost", reason="Its supervisor is gone.", node=node)


def _ended(name: str, end: dict[str, Any], node: str) -> JobStatus:
    code = int(end["code"])
    if end.get("overdue") and code:
        return JobStatus(name, "failed", code, "It reached its longest duration.", node)
    if code == PREEMPTED_CODE:
        reason = "It had to make room and saved a checkpoint."
        return JobStatus(name, "preempted", code, reason, node)
    reason = "It was killed after its grace had passed." if end["killed"] else ""
    phase: Phase = "failed" if code else "succeeded"
    return JobStatus(name, phase, code, reason, node)


def _refuse_what_only_a_cluster_has(job: Job) -> None:
    """Refuse before anything is made. GPUs are not counted: a machine's programs share them."""
    if job.nodes > 1:
        raise Refused(
            f"It asks for {job.nodes} nodes, and runs run on this one machine (CLUSTER=local)."
        )
    if job.gpu_type:
        raise Refused(
            f"It asks for a GPU of the type {job.gpu_type}; local runs take what this machine "
            "has (CLUSTER=local). Choose any type."
        )
    if job.image:
        raise Refused(
            f"It asks for the image {job.image}, and this machine runs programs without images "
            "(CLUSTER=local)."
        )


def _supervised(folder: Path) -> bool:
    """Whether a process holds the folder's lock; the kernel releases it when the process ends."""
    try:
        with (folder / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return content
