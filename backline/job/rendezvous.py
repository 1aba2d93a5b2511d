"""The rendezvous of a run's machines: which of them hosts it, and whether its name is known yet.

torchrun decides once whether it hosts the rendezvous, by looking the name up; if that fails at that
moment, the host waits as a client of itself until the timeout, and again at the next attempt. In an
Indexed Job of Kubernetes the index decides, and each machine first waits for the name: a cluster
publishes it some seconds after the pod has its address.
"""

import os
import socket
import sys
import time
from collections.abc import MutableMapping

TICK = 0.5
# As long as torchrun waits for all machines, unless its configuration says otherwise.
WAIT_SECONDS = 600.0
CONFIGURATION, ENDPOINT = "PET_RDZV_CONF", "PET_RDZV_ENDPOINT"
# Kubernetes sets it in each pod of an Indexed Job.
INDEX = "JOB_COMPLETION_INDEX"
HOSTS = "is_host"


class HostNotResolved(RuntimeError):
    """The name of the machine that hosts the rendezvous is not known; the message gives it."""


def prepare(env: MutableMapping[str, str] = os.environ) -> None:
    """Configure who hosts, and return when the name can be looked up; raises HostNotResolved.

    Does nothing if the machines have no index: torchrun then works as usual.
    """
    index, host = env.get(INDEX, ""), env.get(ENDPOINT, "").rpartition(":")[0].strip("[]")
    if not index.isdecimal() or not host or env.get("PET_NNODES", "1") == "1":
        return
    settings = dict(
        part.strip().partition("=")[::2] for part in env.get(CONFIGURATION, "").split(",") if part
    )
    settings.setdefault(HOSTS, "1" if int(index) == 0 else "0")
    env[CONFIGURATION] = ",".join(f"{name}={value}" for name, value in settings.items())
    await_name(host, seconds=float(settings.get("join_timeout") or WAIT_SECONDS))


def await_name(host: str, *, seconds: float) -> None:
    end, is_reported = time.monotonic() + seconds, False
    while not _resolves(host):
        if time.monotonic() > end:
            raise HostNotResolved(
                f"The machines of this run did not find each other: {host}, where they meet, "
                f"cannot be looked up after {seconds:.0f} s. Does the cluster's DNS answer pods?"
            )
        if not is_reported:
            is_reported = True
            sys.stderr.write(f"Waiting until {host} can be looked up, where all meet.\n")
            sys.stderr.flush()
        time.sleep(TICK)


def _resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP))
    except (OSError, UnicodeError):
        return False
