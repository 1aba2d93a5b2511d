"""The sender of a session, started as a process that outlives the program."""

import atexit
import os
import subprocess
import sys
from pathlib import Path

# Kept so that Python does not warn of a process "still running" when a sender outlives its run.
SENDERS: "list[subprocess.Popen[bytes]]" = []


def launch(folder: Path) -> "subprocess.Popen[bytes]":
    """Start the sender of a spool's folder; raises OSError if the machine has no room for it."""
    package = Path(__file__).resolve().parent.parent.parent
    paths = [str(package), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    # The token is in the folder, readable by this user only.
    environment.pop("BACKLINE_TOKEN", None)
    with (folder / "sender.log").open("ab") as log:
        sender = subprocess.Popen(
            [sys.executable, "-m", "backline.delivery.sender", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    SENDERS[:] = [other for other in SENDERS if other.poll() is None]
    SENDERS.append(sender)
    return sender


@atexit.register
def _let_senders_go() -> None:
    """Prevent a warning at exit about senders, which are meant to go on after this program."""
    for sender in SENDERS:
        if sender.poll() is None:
            sender.returncode = 0


# A forked process did not start them, and may not wait for them.
os.register_at_fork(after_in_child=_let_senders_go)
os.register_at_fork(after_in_child=SENDERS.clear)
