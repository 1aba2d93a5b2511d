"""Which of several processes of one run this is.

torchrun sets RANK, WORLD_SIZE and LOCAL_RANK for each; BACKLINE_RANK overrides RANK, for other
launchers. Rank 0 reports for the run: progress and plain metrics are its own.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


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
