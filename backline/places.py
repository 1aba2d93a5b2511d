"""Where sessions lie on this machine and what they are called, by the program's environment."""

import os
import re
import secrets
import sys
import tempfile
import time
from pathlib import Path


def seconds_from(name: str, default: float) -> float:
    return float(os.environ.get(name, default))


def new_session() -> str:
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def child_session(session: str) -> str:
    """Return a name for a session of a process that this session's process has started.

    In a job the portal knows attempt and rank by it: "attempt-2-rank-1" becomes
    "attempt-2-rank-1-1f0c9a".
    """
    attempt = re.match(r"attempt-\d+(-rank-\d+)?", session)
    base = attempt[0] if attempt else session[:33]
    return f"{base}-{secrets.token_hex(3)}"


def spool_root() -> Path:
    """Return BACKLINE_SPOOL, else a folder of this user's own; it may not be there yet."""
    folder = os.environ.get("BACKLINE_SPOOL")
    if folder:
        return Path(folder)
    state = os.environ.get("XDG_STATE_HOME")
    try:
        return (Path(state) if state else Path.home() / ".local" / "state") / "backline" / "spool"
    except RuntimeError:
        # A user without a home, as in some containers.
        return temporary_root()


def temporary_root() -> Path:
    """Return the folder that is used where the user's own cannot be written."""
    return Path(tempfile.gettempdir()) / f"backline-{os.getuid()}" / "spool"


def writable_root() -> Path:
    """Return the root that sessions are made in, and say so if it is not the usual one.

    Raises OSError, with a sentence, if none can be written: before a run is opened for nothing.
    """
    root = spool_root()
    try:
        _probe(root)
    except OSError as error:
        if os.environ.get("BACKLINE_SPOOL"):
            raise OSError(
                f"The spool {root} (BACKLINE_SPOOL) cannot be written: {error}"
            ) from error
        elsewhere = temporary_root()
        try:
            _probe(elsewhere)
        except OSError as other:
            raise OSError(
                f"Neither {root} nor {elsewhere} can be written: {other} "
                "Set BACKLINE_SPOOL to a folder with room."
            ) from other
        sys.stderr.write(
            f"backline: {root} cannot be written, so what is logged waits in {elsewhere} until it "
            f"is delivered: {error}\n"
        )
        return elsewhere
    return root


def _probe(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if root == temporary_root():
        # Everybody may make folders there: one that somebody else made gets no token.
        for folder in (root.parent, root):
            status = folder.lstat()
            if status.st_uid != os.getuid() or folder.is_symlink():
                raise PermissionError(13, "It belongs to somebody else", str(folder))
            folder.chmod(0o700)
    with tempfile.TemporaryFile(dir=root) as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
