"""Where the machines of a run meet: which of them hosts it, and whether its name is known yet.

torchrun decides once whether it hosts the meeting, by looking its name up; where the name is not
known at that moment the machine stays a guest of itself until the time is over, and again at the
next attempt. In an Indexed Job of Kubernetes the index says it, and each waits for the name first:
a cluster publishes it some seconds after the pod has its address.
"""

import os
import socket
import sys
import time
from collections.abc import MutableMapping

TICK = 0.5
# As long as torchrun waits for all machines to come, where its configuration says nothing else.
WAITS = 600.0
CONFIGURATION, ENDPOINT = "PET_RDZV_CONF", "PET_RDZV_ENDPOINT"
# Kubernetes tells each pod of an Indexed Job.
INDEX = "JOB_COMPLETION_INDEX"
HOSTS = "is_host"


class NotKnown(RuntimeError):
    """The name of the machine where all meet is not known; the sentence says which it is."""


def prepare(env: MutableMapping[str, str] = os.environ) -> None:
    """Say who hosts, and return when the name can be looked up; raises NotKnown.

    Nothing is done where the machines have no index: torchrun then does as it always did.
    """
    index, host = env.get(INDEX, ""), env.get(ENDPOINT, "").rpartition(":")[0].strip("[]")
    if not index.isdecimal() or not host or env.get("PET_NNODES", "1") == "1":
        return
    said = dict(
        part.strip().partition("=")[::2] for part in env.get(CONFIGURATION, "").split(",") if part
    )
    said.setdefault(HOSTS, "1" if int(index) == 0 else "0")
    env[CONFIGURATION] = ",".join(f"{name}={value}" for name, value in said.items())
    await_name(host, seconds=float(said.get("join_timeout") or WAITS))


def await_name(host: str, *, seconds: float) -> None:
    end, told = time.monotonic() + seconds, False
    while not _resolves(host):
        if time.monotonic() > end:
            raise NotKnown(
                f"The machines of this run did not find each other: {host}, where they meet, "
                f"cannot be looked up after {seconds:.0f} s. Does the cluster's DNS answer pods?"
            )
        if not told:
            told = True
            sys.stderr.write(f"Waiting until {host} can be looked up, where all meet.\n")
            sys.stderr.flush()
        time.sleep(TICK)


def _resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP))
    except (OSError, UnicodeError):
        return False
