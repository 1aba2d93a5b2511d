"""Where jobs run, behind one small Protocol: local processes, a recording for tests, Kubernetes.

A job's name identifies its attempt, so creating it again does no harm: the second call finds the
first one's job. Which run may start, and when, is decided in workers/reconciling.py.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

Phase = Literal["pending", "running", "succeeded", "failed", "lost", "preempted"]
# Exit code of a program that was asked to make room and has saved a checkpoint.
PREEMPTED_CODE = 75


class Unavailable(RuntimeError):
    """The cluster does not answer, or cannot take jobs here. The sentence says what to do."""


class Refused(ValueError):
    """The cluster will never accept this job. The sentence is for the person who submitted it."""


@dataclass(frozen=True)
class Job:
    """One program to start: its command, its whole environment and its resources."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    # Names of `env` that nobody may read in the job's description.
    secrets: frozenset[str] = frozenset({"BACKLINE_TOKEN"})
    cpus: int = 1
    memory_gb: int = 2
    gpus: int = 0
    # A value of the node label nvidia.com/gpu.product; empty takes any.
    gpu_type: str = ""
    nodes: int = 1
    max_seconds: int | None = None
    # Empty: the lab's own image of the run.
    image: str = ""
    # A PriorityClass and a Kueue LocalQueue; empty takes the portal's.
    priority: str = ""
    queue: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    # Whether it starts a researcher's own program, which is separated from the portal.
    own: bool = False
    # Whether programs of people on the same machine go first: its nice value is the largest.
    background: bool = False


@dataclass(frozen=True)
class JobStatus:
    """What the cluster knows of a job. `exit_code` is 128 + n after signal n.

    `reason` is a sentence: why it waits, or how it ended.
    """

    name: str
    phase: Phase
    exit_code: int | None = None
    reason: str = ""
    node: str = ""
    # The image that its program runs, with its digest, once the cluster knows it.
    image: str = ""

    @property
    def ended(self) -> bool:
        return self.phase in ("succeeded", "failed", "lost", "preempted")


@dataclass(frozen=True)
class Event:
    """One event that the cluster reports on a job; it has occurred `count` times so far."""

    uid: str
    at: datetime
    kind: Literal["Normal", "Warning"]
    reason: str
    message: str
    count: int = 1


class Cluster(Protocol):
    # How many jobs run side by side; None where the cluster has a queue of its own.
    slots: int | None

    def create(self, job: Job) -> None:
        """Start the job, once: a job of this name that exists or existed stays as it is.

        Raises Refused if it will never be started here, Unavailable if nobody answers.
        """

    def observe(self) -> dict[str, JobStatus]:
        """Return every job that was not forgotten; the number of calls does not grow with them."""

    def names(self) -> set[str]:
        """Return all jobs that the cluster knows, forgotten ones too: none of them starts again."""

    def cancel(self, name: str, grace: float) -> None:
        """Ask the job to stop; after `grace` seconds it is killed. An unknown name is no error."""

    def logs(self, name: str, lines: int = 50) -> list[str]:
        """Return the last lines that the program printed; none for an unknown name."""

    def forget(self, name: str) -> None:
        """Leave the job out of `observe` from now on: its end has been stored."""

    def purge(self, before: float, keep: Container[str]) -> list[str]:
        """Delete what is left of jobs that were forgotten before this time (seconds since 1970),
        except those of the runs in `keep` (the twelve digits in their jobs' names). Returns the
        names of the deleted jobs; none where the cluster cleans up by itself."""

    def events(self, name: str) -> list[Event]:
        """Return the cluster's events on the job, newest last; none where it reports none."""

    def look(self, name: str) -> str:
        """Return the command with which a person can inspect the job; empty if there is none."""
