"""The spool: a folder per session in which everything lies until the portal has accepted it.

    session.json   where to deliver: address, run, session, process (and its token, mode 0600)
    outbox/        000000000012.batch ... one delivery each; deleted when it is accepted
    files/         the audio and checkpoints that deliveries of those kinds carry
    refused/       deliveries that the portal refused for good, each with a .why beside it
    failing/       for deliveries on which the portal fails: how often, and why
    progress.json  what the program is doing, for the heartbeat
    stop.json      the portal's request to stop, for the program
    told           exists if the portal knows that something could not be delivered
    finished       exists once nothing more will come
    lent           folders of music and weights that the program was lent (backline/lent.py)
    lock           held by the one sender of this folder

Beside the sessions, fetched/RUN-SESSION has what the processes of an attempt fetched; the
supervisor of a local job knows it by that name (workers/cluster/supervise.py).

A delivery appears under its name by `os.replace`, so a reader sees all of it or nothing, and a
killed process leaves complete deliveries. When `put` returns, its bytes and its name are on the
disk (fsync of the file, then of the folder), after those of the file that it carries: a machine
that loses power keeps what was written. Deletions are not synced: a delivery that reappears is sent
again, and counts once.
"""

import errno
import json
import os
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from pydantic import BaseModel

from backline import lent, wire

PARTS = ("outbox", "files", "refused", "failing")
KINDS = (
    "batch",
    "log",
    "usage",
    "arithmetic",
    "config",
    "words",
    "alert",
    "media",
    "environment",
    "sample",
    "checkpoint",
    "ending",
)
# Beside the sessions: a folder for each attempt.
FETCHED = "fetched"
# Deliveries that may be large go beside the stream, so that metrics do not wait for weights.
FILE_KINDS = ("media", "sample", "checkpoint", "ending")
# A delivery on which the portal fails holds up later ones for this many tries, and the end of the
# run until it has failed this often while others were accepted.
PASSED_AFTER = 3
ASIDE_AFTER = 4
ASIDE_SECONDS = 60.0
LONGEST_SECONDS = 5.0
# Errors of file systems that do not support the sync of a folder.
NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES}


class Session(BaseModel):
    """Where a spool's deliveries go, and whose they are."""

    version: int = wire.VERSION
    url: str
    token: str
    run: str
    session: str
    # A process is identified by pid and start time: pids are used again.
    pid: int
    pid_started: float
    # Whether a delivery (outside) or its exit code (inside) reports the end of the program.
    outside: bool = False
    # Whether the end of this program is the end of its run, and not of a process that it forked.
    main: bool = True


class Failure(BaseModel):
    """How a delivery has failed so far. Stored on the disk, so the next sender knows it too."""

    tries: int = 0
    # Tries between which the portal accepted something else: it is not the portal that is down.
    alone: int = 0
    # Unix seconds of the last try.
    at: float = 0.0
    why: str = ""

    @property
    def holds_up(self) -> bool:
        """Whether later deliveries in its lane still wait for it."""
        return self.tries < PASSED_AFTER

    @property
    def aside(self) -> bool:
        """Whether nothing waits for it any more; it is still tried, rarely."""
        return self.alone >= ASIDE_AFTER

    def due(self, now: float) -> bool:
        pause = ASIDE_SECONDS if self.aside else min(0.2 * 2.0**self.tries, LONGEST_SECONDS)
        # After the clock was set back, `at` means nothing.
        return now >= self.at + pause or now < self.at


class FileNote(BaseModel):
    """The description of a delivery that carries a file in files/."""

    file: str
    meta: dict[str, object]


@dataclass(frozen=True, order=True)
class Delivery:
    number: int
    kind: str
    path: Path


class Spool:
    """One session's folder. Safe to write to from several threads."""

    def __init__(self, folder: Path, session: Session) -> None:
        self.folder = folder
        self.session = session
        self._process = os.getpid()
        self._numbers = threading.Lock()
        self._next = 1 + max((item.number for item in self.pending()), default=0)

    @classmethod
    def create(cls, root: Path, session: Session) -> Self:
        """Create a folder for `session`; if there is one already, the session gets another name."""
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = session.session
        while True:
            folder = root / f"{session.run}-{name}"
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                name = f"{session.session[:33]}-{secrets.token_hex(3)}"
            else:
                break
        for part in PARTS:
            (folder / part).mkdir()
        session = session.model_copy(update={"session": name})
        content = session.model_dump_json().encode()
        _replace(folder / "session.json", content, lasting=True)
        _sync_folder(root)
        return cls(folder, session)

    @classmethod
    def open(cls, folder: Path) -> Self:
        content = (folder / "session.json").read_text(encoding="utf-8")
        return cls(folder, Session.model_validate_json(content))

    # --- the program's side

    def next_number(self) -> int:
        """Return a number for a delivery, higher than all before. Raises RuntimeError in a forked
        process, whose numbers would be those of its parent again."""
        if os.getpid() != self._process:
            raise RuntimeError(f"The spool {self.folder} belongs to process {self._process}.")
        with self._numbers:
            number, self._next = self._next, self._next + 1
        return number

    def put(self, kind: str, content: bytes, *, number: int | None = None) -> int:
        """Write a delivery that survives a crash of program or machine; return its number."""
        number = self.next_number() if number is None else number
        _replace(self.folder / "outbox" / f"{number:012d}.{kind}", content, lasting=True)
        return number

    def put_file(self, kind: str, file: Path, meta: BaseModel) -> int:
        """Write a delivery that carries `file`, which must be in files/ already."""
        _sync(file)
        _sync_folder(file.parent)
        note = FileNote(file=file.name, meta=meta.model_dump(mode="json"))
        return self.put(kind, note.model_dump_json().encode())

    def new_file(self, suffix: str) -> Path:
        return self.folder / "files" / f"{secrets.token_hex(8)}{suffix}"

    def report_progress(self, progress: wire.Progress) -> None:
        _replace(self.folder / "progress.json", progress.model_dump_json().encode())

    def stop_asked(self) -> str | None:
        """Return the portal's reason, once it has asked the program to stop."""
        try:
            request = json.loads((self.folder / "stop.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return str(request["reason"])

    def note_lent(self, folder: Path) -> None:
        """Note a folder before anything is fetched into it: later processes can then delete it."""
        with (self.folder / "lent").open("a", encoding="utf-8") as file:
            file.write(json.dumps(str(folder.absolute())) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def finish(self) -> None:
        (self.folder / "finished").touch()

    # --- the sender's side

    def pending(self) -> list[Delivery]:
        """Return what is still in the outbox, in order."""
        deliveries = []
        try:
            paths = list((self.folder / "outbox").iterdir())
        except FileNotFoundError:
            # The sender has deleted the folder: everything is delivered.
            return []
        for path in paths:
            number, _, kind = path.name.partition(".")
            if kind in KINDS and number.isdecimal():
                deliveries.append(Delivery(int(number), kind, path))
        return sorted(deliveries)

    def progress(self) -> wire.Progress | None:
        try:
            content = (self.folder / "progress.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return wire.Progress.model_validate_json(content)

    def ask_to_stop(self, reason: str) -> None:
        _replace(self.folder / "stop.json", json.dumps({"reason": reason}).encode())

    def accepted(self, delivery: Delivery) -> None:
        """Delete a delivery that the portal has accepted, and then the file that it carried."""
        note = self.note(delivery) if delivery.kind in {"sample", "checkpoint"} else None
        delivery.path.unlink()
        self._failing(delivery).unlink(missing_ok=True)
        if note:
            (self.folder / "files" / note.file).unlink(missing_ok=True)

    def note(self, delivery: Delivery) -> FileNote:
        return FileNote.model_validate_json(delivery.path.read_text(encoding="utf-8"))

    def refuse(self, delivery: Delivery, sentence: str) -> None:
        """Move what the portal will never accept to refused/, with the reason beside it."""
        target = self.folder / "refused" / delivery.path.name
        _replace(target.with_name(target.name + ".why"), (sentence + "\n").encode())
        delivery.path.replace(target)
        self._failing(delivery).unlink(missing_ok=True)

    def failed(self, delivery: Delivery, why: str, *, alone: bool) -> Failure:
        """Note that the portal failed on it; `alone`: it accepted another one since last time."""
        before = self.failures().get(delivery.path.name, Failure())
        after = Failure(
            tries=before.tries + 1,
            alone=before.alone + alone,
            at=time.time(),
            why=why[:500],
        )
        # A folder that was made by an earlier version does not have it.
        self._failing(delivery).parent.mkdir(exist_ok=True)
        _replace(self._failing(delivery), after.model_dump_json().encode())
        return after

    def failures(self) -> dict[str, Failure]:
        """Return the failures by the name of each delivery that has failed so far."""
        failures = {}
        for path in (self.folder / "failing").glob("[0-9]*.*"):
            # One accepted meanwhile is deleted; one that the disk had no room for does not count.
            with suppress(FileNotFoundError, ValueError):
                failures[path.name] = Failure.model_validate_json(path.read_bytes())
        return failures

    def _failing(self, delivery: Delivery) -> Path:
        return self.folder / "failing" / delivery.path.name

    def waiting(self) -> list[Delivery]:
        """Return what is in the outbox and not set aside."""
        aside = {name for name, failure in self.failures().items() if failure.aside}
        return [item for item in self.pending() if item.path.name not in aside]

    def undelivered(self) -> tuple[int, str]:
        """Return how many were refused or have failed repeatedly, and the last one's reason."""
        refused = self.refusals()
        failures = self.failures()
        failing = {
            name: failures[name].why
            for name in (item.path.name for item in self.pending())
            if name in failures and not failures[name].holds_up
        }
        reasons = [f"{name.partition('.')[2]}: {why}" for name, why in (refused | failing).items()]
        return len(reasons), reasons[-1][:500] if reasons else ""

    def refusals(self) -> dict[str, str]:
        """Return the reason by the name of each delivery that was refused."""
        paths = sorted((self.folder / "refused").glob("*.why"))
        return {path.stem: path.read_text(encoding="utf-8").strip() for path in paths}

    def clear_lent(self) -> None:
        """Delete what was lent to a program that has ended, unless another process uses it."""
        with suppress(FileNotFoundError):
            lines = (self.folder / "lent").read_text(encoding="utf-8").splitlines()
            # A line cut off by a crash is left out: its folder was not made yet.
            folders = [Path(json.loads(line)) for line in lines if line.endswith('"')]
            if sum(map(lent.clear, folders)) == len(folders):
                (self.folder / "lent").unlink(missing_ok=True)

    def has_reported(self) -> bool:
        """Return whether the last report to the portal was that something is undelivered."""
        return (self.folder / "told").exists()

    def note_reported(self, has_undelivered: bool) -> None:
        if has_undelivered:
            (self.folder / "told").touch()
        else:
            (self.folder / "told").unlink(missing_ok=True)

    def is_finished(self) -> bool:
        return (self.folder / "finished").exists()

    def program_lives(self) -> bool:
        """Return whether the process that writes here still runs (a zombie does not)."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.session.pid)
            same = abs(process.create_time() - self.session.pid_started) < 1
            return same and process.status() != psutil.STATUS_ZOMBIE
        return False

    def remove(self) -> None:
        """Delete a folder that has nothing to deliver; one with refusals stays, to be read."""
        if self.pending():
            return
        if self.refusals():
            # The token is not needed any more.
            closed = self.session.model_copy(update={"token": ""})
            _replace(self.folder / "session.json", closed.model_dump_json().encode())
            return
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
        self.folder.rmdir()

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until only what was set aside is left; return False if that takes longer."""
        end = time.monotonic() + seconds
        while self.waiting() and time.monotonic() < end:
            time.sleep(0.02)
        return not self.waiting()


def children(spool: Spool) -> list[Spool]:
    """Return the sessions that other processes of this machine have beside `spool`'s, in its run,
    and that do not end the run: of forked processes and of other ranks."""
    found = []
    for folder in sorted(spool.folder.parent.glob(f"{spool.session.run}-*")):
        with suppress(OSError, ValueError):
            other = Spool.open(folder)
            if folder != spool.folder and not other.session.main:
                found.append(other)
    return found


def wait_for_children(spool: Spool, seconds: float) -> None:
    """Wait until what ended processes of the run have left is delivered."""
    end = time.monotonic() + seconds
    for child in children(spool):
        if child.is_finished() or not child.program_lives():
            child.wait_until_empty(end - time.monotonic())


def unfinished(root: Path) -> list[Path]:
    """Return the sessions under `root` that have something to deliver."""
    folders = sorted(path.parent for path in root.glob("*/session.json"))
    return [folder for folder in folders if any((folder / "outbox").glob("*.*"))]


def clear_lent(root: Path) -> None:
    """Delete what was lent to programs of this machine that were killed with their senders."""
    for note in root.glob("*/lent"):
        with suppress(OSError, ValueError):
            session = Spool.open(note.parent)
            if not session.program_lives():
                session.clear_lent()
    for folder in root.glob(f"{FETCHED}/*"):
        with suppress(OSError):
            lent.clear(folder)


def _replace(path: Path, content: bytes, *, lasting: bool = False) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if lasting:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
    if lasting:
        _sync_folder(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    """Sync the names in a folder. Network file systems without this store them by themselves."""
    try:
        _sync(path)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
