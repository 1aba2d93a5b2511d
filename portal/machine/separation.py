"""What separates a researcher's own program from the portal where both are on one machine.

    off          own programs are refused; the default
    trusted      a process of the portal's own user: it can read and change all that the portal can
    sandboxed    a namespace sandbox (bubblewrap), as another user where the portal is root; where
                 there is no bubblewrap, another user alone; where there is neither, refused

On a Kubernetes cluster pods separate them, and nothing here applies. What works is tried out, once
in each process: a system may have the program and forbid its namespaces.
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
# Like a job, it imports the client and starts a program with the same Python.
TRIAL = (
    "import subprocess as s, sys, backline.job.execution; s.run([sys.executable, '-V'], check=True)"
)
# The client, which runs around each program and is all of this tree that a program sees.
CLIENT = settings.BASE_DIR / "backline"
# The system's programs, libraries and what these look up by name. No home, no /run, no /var, and
# from /etc neither keys nor the files in which a lab may store secrets.
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
    """How own programs are separated. `why_not` is a sentence where they are refused."""

    level: Level
    why_not: str = ""
    # The user of the programs; None: the portal's own.
    user: User | None = None
    # Why it is not the strongest level, for whoever operates the portal.
    instead: str = ""

    @property
    def words(self) -> str:
        """What a program can reach, as a sentence for whoever submits it."""
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
    """Return the separation that the settings and this machine give."""
    configured = (settings.LOCAL_PROGRAMS, settings.LOCAL_PROGRAMS_USER)
    separation, valid_until = _known.get(configured, (None, 0.0))
    if separation is None or time.monotonic() > valid_until:
        separation = find(*configured)
        # A machine that was only busy, or has got bubblewrap since, is tried again.
        valid_until = time.monotonic() + AGAIN_SECONDS if separation.why_not else float("inf")
        _known[configured] = (separation, valid_until)
    return separation


def why_not() -> str:
    """Return why this portal starts no own programs, as a sentence; empty where it does."""
    return current().why_not if settings.CLUSTER == "local" else ""


def words() -> str:
    """Say what separates an own program from the portal and from other runs, on this cluster."""
    if settings.CLUSTER == "local":
        return current().words
    return (
        "Separated by pods: each attempt is a pod of its own, without root, without an account at "
        "the cluster, with the network that its policy leaves it."
    )


def find(mode: str, name: str) -> Separation:
    """Return the strongest separation that works within what the settings ask for."""
    if mode == "trusted":
        return Separation("trusted")
    if mode == "off":
        return Separation("off", OFF)
    user = _user(name)
    failures: list[str] = []
    candidates: list[Separation] = [Separation("sandbox", user=user)]
    if user is not None:
        candidates.append(Separation("user", user=user))
    for candidate in candidates:
        reason = _try(candidate)
        if not reason:
            return replace(candidate, instead="; ".join(failures))
        failures.append(reason.rstrip("."))
    return Separation("off", NOT_HERE.format(why="; ".join(failures)))


def _user(name: str) -> User | None:
    """Return the user of own programs, where the portal may choose: only root may."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(name or "nobody")
    return User(entry.pw_uid, entry.pw_gid)


def _try(level: Separation) -> str:
    """Return why this level does not work; empty if a program that imports the client ran at it."""
    method = "bubblewrap" if level.level == "sandbox" else "another user"
    command = [sys.executable, "-c", TRIAL]
    try:
        with _trial_folders(level) as room:
            trial = subprocess.run(
                wrapped(level, command, room),
                cwd=room.folder,
                env={**base_env(), "PYTHONPATH": str(CLIENT.parent), **room.env},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=TRY_SECONDS,
            )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{method}: {error}"
    last_lines = trial.stderr.strip().splitlines()[-1:] or [f"it ended with {trial.returncode}"]
    return f"{method}: {last_lines[0]}" if trial.returncode else ""


@contextmanager
def _trial_folders(level: Separation) -> "Iterator[ProgramFolders]":
    """Yield a room to try in, whose folders only the portal and the tried user can enter."""
    parent = settings.LOCAL_PROGRAMS_DIR if level.level == "user" else settings.STATE_DIR
    if level.level == "user":
        public(parent)
    folder = Path(tempfile.mkdtemp(prefix="try-", dir=parent))
    try:
        yield ProgramFolders.made(folder, level)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- The folders that a program has -----------------------------------------------------------


@dataclass(frozen=True)
class ProgramFolders:
    """The folders of one job that its program may write: `work`, `spool` and `tmp`."""

    folder: Path

    @property
    def parts(self) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in ("work", "spool", "tmp"))

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that name them, and no folder of the portal's user."""
        work, spool, tmp = map(str, self.parts)
        return {
            "HOME": work,
            "TMPDIR": tmp,
            "BACKLINE_SPOOL": spool,
            "USER": "program",
            "LOGNAME": "program",
        }

    @classmethod
    def made(cls, folder: Path, level: Separation) -> "ProgramFolders":
        room = cls(folder)
        if level.level == "user":
            # Its parts are the program's; the folder itself is only passed through.
            folder.chmod(0o711)
        for part in room.parts:
            part.mkdir(mode=0o700, exist_ok=True)
            if level.user is not None:
                os.chown(part, level.user.uid, level.user.gid)
        return room


def base_env() -> dict[str, str]:
    """Return the environment that a Python on this machine needs to start: no secrets."""
    return {"PATH": os.defpath} | {
        name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ
    }


def public(folder: Path) -> None:
    """Make a folder that others may pass through to one of their own, but may not list."""
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder.chmod(0o711)


# --- The command that starts a program in there -----------------------------------------------


def wrapped(
    level: Separation, command: Sequence[str], room: ProgramFolders, *, stays: bool = False
) -> list[str]:
    """Return the command at this level. A supervisor adds `--info-fd` behind the first word of a
    sandbox to learn its first process. A command that `stays` outlives whoever started it."""
    as_user = _as_user(level.user)
    if level.level == "user":
        return [_path_of(as_user[0]), *as_user[1:], *command]
    if level.level == "sandbox":
        # bwrap, as root without rights, cannot enter a folder of another user: the command does.
        inside = ["sh", "-c", 'cd "$0" && exec "$@"', str(room.folder / "work")]
        return [*_sandbox(level, room, stays=stays), "--", *as_user, *inside, *command]
    return list(command)


def _path_of(program: str) -> str:
    """Return the program's full path: the PATH that comes with the job is set by its program."""
    return shutil.which(program) or program


def _as_user(user: User | None) -> list[str]:
    if user is None:
        return []
    options = [f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"]
    return ["setpriv", *options, "--no-new-privs", "--"]


def _sandbox(level: Separation, room: ProgramFolders, *, stays: bool) -> list[str]:
    """Return bwrap's arguments: what they do not name does not exist in the sandbox.

    It dies with its supervisor, which outlives the portal. It has a session of its own, so that a
    signal to the program's group does not end bwrap itself, which waits for its exit code.
    """
    args = [_path_of("bwrap"), *(() if stays else ("--die-with-parent",)), "--new-session"]
    args += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    args += ["--proc", "/proc", "--dev", "/dev"]
    # Both are the sandbox's own.
    args += ["--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108
    args += ["--bind", str(room.folder / "tmp"), "/tmp"]  # noqa: S108
    if level.user is not None:
        args += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    for path in _above(*_bound_folders(), *map(str, room.parts)):
        # By default only the user who makes them could enter them.
        args += ["--perms", "0755", "--dir", path]
    for path in _bound_folders():
        args += ["--ro-bind-try", path, path]
    for path in _hidden():
        args += ["--tmpfs", path]
    for pattern in DEVICES:
        for device in sorted(Path("/").glob(pattern.lstrip("/"))):
            args += ["--dev-bind-try", str(device), str(device)]
    for part in room.parts:
        args += ["--bind", str(part), str(part)]
    return [*args, "--remount-ro", "/", "--chdir", "/"]


def _bound_folders() -> list[str]:
    """Return what a program may read: the system, this Python, the client, folders lent to it."""
    python = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    extra = [str(folder) for folder in settings.LOCAL_PROGRAMS_FOLDERS]
    etc = [f"/etc/{name}" for name in ETC]
    return [*SYSTEM, *etc, *sorted(python), str(CLIENT), *extra]


def _above(*paths: str) -> list[str]:
    """Return the folders that lead to these, from the top, without those that bwrap mounts."""
    parents = {str(folder) for path in paths for folder in Path(path).parents}
    return sorted(parents - {"/", "/tmp", *SYSTEM})  # noqa: S108 - the sandbox's own.


def _hidden() -> list[str]:
    """Return the portal's own folders that lie below a folder that programs see."""
    visible = [Path(path).resolve() for path in _bound_folders()]
    return [
        str(folder)
        for folder in settings.PRIVATE_FOLDERS
        if folder.is_dir() and any(folder.is_relative_to(path) for path in visible)
    ]
