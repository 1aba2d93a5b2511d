"""Why one of several processes ended, reported to the launcher that started it (torchrun.py).

The launcher names a file in TORCHELASTIC_ERROR_FILE; torch's own keys are `message` and
`timestamp`. Without a launcher nothing is reported, and nothing here does anything.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from pydantic import BaseModel, ValidationError

from backline.ranks import ProcessPlace

# The variable with the launcher's process id, for the processes that it starts.
LAUNCHER = "BACKLINE_LAUNCHER"
LONGEST = 500
PR_SET_PDEATHSIG = 1


class Reason(BaseModel):
    """Why one process ended: `timestamp` in seconds since 1970, `code` its exit code."""

    message: str
    timestamp: float
    rank: int
    code: int


def leave_reason(message: str, *, code: int) -> None:
    """Leave the reason for the launcher, before this process ends with `code`."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE", "")
    if not file:
        return
    reason = Reason(
        message=message[:LONGEST], timestamp=time.time(), rank=ProcessPlace.read().rank, code=code
    )
    # All of it or nothing: the launcher reads it even if this process is killed meanwhile.
    draft = Path(f"{file}.{os.getpid()}")
    draft.write_text(reason.model_dump_json(), encoding="utf-8")
    draft.replace(file)


def read(folder: Path) -> list[Reason]:
    """Return the reasons that processes left somewhere below `folder`, the earliest first."""
    reasons = []
    for file in folder.rglob("error.json"):
        try:
            reasons.append(Reason.model_validate_json(file.read_bytes()))
        except ValidationError:
            # Another program's, written in torch's own longer form: the launcher knows its code.
            continue
    return sorted(reasons, key=lambda reason: reason.timestamp)


def end_with_launcher() -> None:
    """Have this process killed when its launcher is: torchrun gives each process a session
    of its own, which a signal to the launcher's group does not reach. Linux only."""
    launcher = os.environ.get(LAUNCHER, "")
    if not launcher or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(launcher):
        raise SystemExit(128 + signal.SIGKILL)
