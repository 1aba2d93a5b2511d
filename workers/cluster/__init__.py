"""Where jobs run, behind one small Protocol: local processes, a recording for tests, Kubernetes.

A job's name says which attempt it is, so creating it again is no harm: the second call finds
the first one's job. Who may start when is not decided here but by workers/tasks.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Phase = Literal["pending", "running", "succeeded", "failed", "lost"]


class Unavailable(RuntimeError):
    """The cluster does not answer, or cannot take jobs here. The sentence says what to do."""


@dataclass(frozen=True)
class Job:
    """One program to start: a command, its whole environment, what it needs."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cpus: int = 1
    memory_gb: int = 2
    gpus: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobStatus:
    """What the cluster knows of a job. `exit_code` is 128 + n after signal n."""

    name: str
    phase: Phase
    exit_code: int | None = None
    reason: str = ""
    node: str = ""

    @property
    def ended(self) -> bool:
        return self.phase in ("succeeded", "failed", "lost")


class Cluster(Protocol):
    # How many jobs run side by side; None where the cluster has a queue of its own.
    slots: int | None

    def create(self, job: Job) -> None:
        """Start the job, once: a job of this name that exists or existed stays as it is."""

    def observe(self) -> dict[str, JobStatus]:
        """Every job that was not forgotten, in one call."""

    def cancel(self, name: str, grace: float) -> None:
        """Ask the job to stop; after `grace` seconds it is killed. An unknown name is no error."""

    def logs(self, name: str, lines: int = 50) -> list[str]:
        """The last lines that the program printed; none for an unknown name."""

    def forget(self, name: str) -> None:
        """The job's end has been written down: leave it out of `observe` from now on."""
