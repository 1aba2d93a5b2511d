"""Which of several processes of one run this is.

torchrun sets RANK, WORLD_SIZE and LOCAL_RANK for each; BACKLINE_RANK overrides RANK, for other
launchers. Rank 0 reports for the run: progress and plain metrics are its own.

Outside the portal, the processes of one launch know each other by BACKLINE_GROUP, else by
torchrun's id of the launch, else by the process that has started them all on one machine.
"""

import hashlib
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import psutil


@dataclass(frozen=True)
class Launch:
    """What the processes of one launch have in common, and how often it has restarted them."""

    name: str
    restart: int


@dataclass(frozen=True)
class ProcessPlace:
    rank: int = 0
    count: int = 1
    local: int = 0

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        rank = _number(environment, "BACKLINE_RANK", "RANK") or 0
        count = _number(environment, "WORLD_SIZE") or 1
        local = _number(environment, "LOCAL_RANK")
        return cls(rank, max(count, rank + 1), rank if local is None else local)

    def launch(self, environment: Mapping[str, str] = os.environ) -> Launch | None:
        """Return the launch of this process; None if it was started alone."""
        restart = _number(environment, "TORCHELASTIC_RESTART_COUNT")
        if self.count == 1 and restart is None and "BACKLINE_GROUP" not in environment:
            return None
        restart = min(restart or 0, 999)
        if group := environment.get("BACKLINE_GROUP"):
            return Launch(group[:100], restart)
        address = f"{environment.get('MASTER_ADDR', '')}:{environment.get('MASTER_PORT', '')}"
        run_id = environment.get("TORCHELASTIC_RUN_ID", "")
        # torchrun calls a launch "none" that was given no id.
        parts = [address, run_id if run_id != "none" else ""]
        if not parts[1] and (_number(environment, "GROUP_WORLD_SIZE") or 1) == 1:
            launcher = psutil.Process(os.getppid())
            parts += [socket.gethostname(), str(launcher.pid), str(launcher.create_time())]
        # A name that shows nothing of the machine's addresses.
        return Launch(hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32], restart)

    @property
    def session(self) -> str:
        """The suffix of this rank's session after the attempt's name; empty for rank 0."""
        return f"-rank-{self.rank}" if self.rank else ""

    @property
    def first_of_machine(self) -> bool:
        """Whether this process measures the machine for the others on it."""
        return self.rank == 0 or self.local == 0

    def metric(self, name: str) -> str:
        """Return the metric's name for this rank: no two ranks share a curve."""
        if not self.rank:
            return name
        if name.startswith("system/"):
            return f"system/rank/{self.rank}/{name.removeprefix('system/')}"
        return f"rank/{self.rank}/{name}"


def _number(environment: Mapping[str, str], *names: str) -> int | None:
    for name in names:
        text = environment.get(name, "")
        if text.isascii() and text.isdecimal() and len(text) < 7:
            return int(text)
    return None
