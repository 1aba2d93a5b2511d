"""What separates a researcher's own program from the portal where both are on one machine.

    off          own programs are refused; the default
    trusted      a process of the portal's own user: it can read and change all that the portal can
    sandboxed    a namespace sandbox (bubblewrap), as another user where the portal is root; where
                 there is no bubblewrap, another user alone; where there is neither, refused

On a Kubernetes cluster pods separate them, and nothing here applies. What can be had is tried out,
once in each process: a system may have the program and forbid its namespaces.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from django.conf import settings

Level = Literal["off", "trusted", "user", "sandbox"]
TRY_SECONDS = 30.0
AGAIN_SECONDS = 60.0
# As a job does: it imports the client, and starts a program with the same Python.
TRIAL = (
    "import subprocess as s, sys, backline.job.execution; s.run([sys.executable, '-V'], check=True)"
)
# The client, which runs around each program and is all of this tree that one is shown.
CLIENT = settings.BASE_DIR / "backline"
# Of the system: programs, libraries and what these look up by name. No home, no /run, no /var, and
# of /etc neither keys nor the files in which a lab may keep secrets.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/sys")
ETC = (
    "alternatives", "ca-certificates", "fonts", "gai.conf", "group", "host.conf", "hosts",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "nsswitch.conf",
    "OpenCL", "passwd", "pki/tls/certs", "pki/ca-trust", "protocols", "resolv.conf", "services",
    "ssl/certs", "ssl/openssl.cnf", "timezone",
)  # fmt: skip
DEVICES = ("/dev/nvidia*", "/dev/dri", "/dev/kfd")

OFF = (
    "Own programs are switched off here (LOCAL_PROGRAMS=off): they would run on the portal's own "
    "machine. Whoever operates it may allow them, sandboxed or trusted (docs/programs.md)."
)
NOT_HERE = (
    "Own programs cannot be separated from the portal on this machine ({why}). Whoever operates "
    "it may install bubblewrap, or trust every program (LOCAL_PROGRAMS, docs/programs.md)."
)


@dataclass(frozen=True)
class User:
    uid: int
    gid: int


@dataclass(frozen=True)
class Separation:
    """How own programs are kept apart. `why_not` is a sentence where they are refused."""

    level: Level
    why_not: str = ""
    # Another user than the portal's; None: the same.
    user: User | None = None
    # Why it is not the strongest that there is, for whoever operates the portal.
    instead: str = ""

    @property
    def words(self) -> str:
        """For whoever submits one: what it can reach."""
        if self.why_not:
            return self.why_not
        return WORDS[self.level] + (f" (No sandbox here: {self.instead}.)" if self.instead else "")


_known: dict[tuple[str, str], tuple[Separation, float]] = {}

WORDS: dict[Level, str] = {
    "trusted": (
        "Trusted: it runs as the portal's own user and can read and change everything that the "
        "portal keeps, other runs and keys included."
    ),
    "user": (
        "Separated by user only: the portal's files are closed to it. It sees other processes, "
        "what own programs of other runs wrote, and what this machine shows to everybody."
    ),
    "sandbox": (
        "Sandboxed: it sees this machine's programs and libraries, its own folder and no process "
        "but its own. The network is the machine's, as it has to reach the portal."
    ),
}


def current() -> Separation:
    """What is in force by the settings and this machine."""
    asked = (settings.LOCAL_PROGRAMS, settings.LOCAL_PROGRAMS_USER)
    found, until = _known.get(asked, (None, 0.0))
    if found is None or time.monotonic() > until:
        found = find(*asked)
        # A machine that was only busy, or has got bubblewrap since, is asked again.
        until = time.monotonic() + AGAIN_SECONDS if found.why_not else float("inf")
        _known[asked] = (found, until)
    return found


def why_not() -> str:
    """Why this portal starts no own programs, as a sentence; empty where it does."""
    return current().why_not if settings.CLUSTER == "local" else ""


def words() -> str:
    """What separates an own program from the portal and from other runs, on this cluster."""
    if settings.CLUSTER == "local":
        return current().words
    return (
        "Separated by pods: each attempt is a pod of its own, without root, without an account at "
        "the cluster, with the network that its policy leaves it."
    )


def find(asked: str, name: str) -> Separation:
    """The strongest that works of what the settings ask for."""
    if asked == "trusted":
        return Separation("trusted")
    if asked == "off":
        return Separation("off", OFF)
    user = _user(name)
    tried: list[str] = []
    levels: list[Separation] = [Separation("sandbox", user=user)]
    if user is not None:
        levels.append(Separation("user", user=user))
    for found in levels:
        reason = _try(found)
        if not reason:
            return replace(found, instead="; ".join(tried))
        tried.append(reason.rstrip("."))
    return Separation("off", NOT_HERE.format(why="; ".join(tried)))


def _user(name: str) -> User | None:
    """Who own programs are, where the portal may choose: only root may."""
    if os.geteuid() != 0:
        return None
    found = pwd.getpwnam(name or "nobody")
    return User(found.pw_uid, found.pw_gid)


def _try(level: Separation) -> str:
    """Why this level cannot be had; empty if a program that imports the client ran at it."""
    what = "bubblewrap" if level.level == "sandbox" else "another user"
    command = [sys.executable, "-c", TRIAL]
    try:
        with _room(level) as room:
            done = subprocess.run(
                wrapped(level, command, room),
                cwd=room.folder,
                env={**bare(), "PYTHONPATH": str(CLIENT.parent), **room.env},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=TRY_SECONDS,
            )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{what}: {error}"
    said = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
    return f"{what}: {said[0]}" if done.returncode else ""


@contextmanager
def _room(level: Separation) -> "Iterator[Room]":
    """One to try in; below it nobody else comes, but the user who is tried."""
    parent = settings.LOCAL_PROGRAMS_DIR if level.level == "user" else settings.STATE_DIR
    if level.level == "user":
        public(parent)
    folder = Path(tempfile.mkdtemp(prefix="try-", dir=parent))
    try:
        yield Room.made(folder, level)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- The folders that a program has -----------------------------------------------------------


@dataclass(frozen=True)
class Room:
    """The folders of one job that are its program's to write: `work`, `spool` and `tmp`."""

    folder: Path

    @property
    def parts(self) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in ("work", "spool", "tmp"))

    @property
    def env(self) -> dict[str, str]:
        """What of the environment names them, and no folder of the portal's user."""
        work, spool, tmp = map(str, self.parts)
        return {
            "HOME": work,
            "TMPDIR": tmp,
            "BACKLINE_SPOOL": spool,
            "USER": "program",
            "LOGNAME": "program",
        }

    @classmethod
    def made(cls, folder: Path, level: Separation) -> "Room":
        room = cls(folder)
        if level.level == "user":
            # Its parts are the program's; the folder itself is only passed through.
            folder.chmod(0o711)
        for part in room.parts:
            part.mkdir(mode=0o700, exist_ok=True)
            if level.user is not None:
                os.chown(part, level.user.uid, level.user.gid)
        return room


def bare() -> dict[str, str]:
    """What a process of this machine needs to start a Python: nothing that is a secret."""
    return {"PATH": os.defpath} | {
        name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ
    }


def public(folder: Path) -> None:
    """A folder that others may pass through to one of their own, and in which they list nothing."""
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder.chmod(0o711)


# --- The words that start a program in there --------------------------------------------------


def wrapped(
    level: Separation, command: Sequence[str], room: Room, *, stays: bool = False
) -> list[str]:
    """The command at this level. A supervisor adds `--info-fd` behind the first word of a sandbox
    to hear which process is the first in it. One that `stays` outlives whoever started it."""
    as_user = _as_user(level.user)
    if level.level == "user":
        return [_path_of(as_user[0]), *as_user[1:], *command]
    if level.level == "sandbox":
        # As root without rights, which comes into no folder of another user, bwrap stays outside.
        inside = ["sh", "-c", 'cd "$0" && exec "$@"', str(room.folder / "work")]
        return [*_sandbox(level, room, stays=stays), "--", *as_user, *inside, *command]
    return list(command)


def _path_of(program: str) -> str:
    """By its whole path: the PATH that comes with the job is its program's."""
    return shutil.which(program) or program


def _as_user(user: User | None) -> list[str]:
    if user is None:
        return []
    who = [f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]
    return ["setpriv", *who, "--no-new-privs", "--"]


def _sandbox(level: Separation, room: Room, *, stays: bool) -> list[str]:
    """bwrap's words: what is not named here is not there.

    It dies with its supervisor, which outlives the portal. A session of its own, so that a signal
    to the program's group does not end bwrap itself, which waits for its exit code.
    """
    words = [_path_of("bwrap"), *(() if stays else ("--die-with-parent",)), "--new-session"]
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    # Both are the sandbox's own.
    words += ["--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108
    words += ["--bind", str(room.folder / "tmp"), "/tmp"]  # noqa: S108
    if level.user is not None:
        words += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    for path in _above(*_bound_folders(), *map(str, room.parts)):
        # bwrap's own would be for the one alone who makes them.
        words += ["--perms", "0755", "--dir", path]
    for path in _bound_folders():
        words += ["--ro-bind-try", path, path]
    for path in _hidden():
        words += ["--tmpfs", path]
    for pattern in DEVICES:
        for device in sorted(Path("/").glob(pattern.lstrip("/"))):
            words += ["--dev-bind-try", str(device), str(device)]
    for part in room.parts:
        words += ["--bind", str(part), str(part)]
    return [*words, "--remount-ro", "/", "--chdir", "/"]


def _bound_folders() -> list[str]:
    """What a program may read: the system, this Python, the client, what the settings lend it."""
    python = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    lent = [str(folder) for folder in settings.LOCAL_PROGRAMS_FOLDERS]
    etc = [f"/etc/{name}" for name in ETC]
    return [*SYSTEM, *etc, *sorted(python), str(CLIENT), *lent]


def _above(*paths: str) -> list[str]:
    """The folders that lead to these, from the top; but for /proc, /dev and what is mounted."""
    found = {str(folder) for path in paths for folder in Path(path).parents}
    return sorted(found - {"/", "/tmp", *SYSTEM})  # noqa: S108 - the sandbox's own.


def _hidden() -> list[str]:
    """The portal's own folders that lie below one that is shown."""
    shown = [Path(path).resolve() for path in _bound_folders()]
    return [
        str(folder)
        for folder in settings.PRIVATE_FOLDERS
        if folder.is_dir() and any(folder.is_relative_to(path) for path in shown)
    ]
