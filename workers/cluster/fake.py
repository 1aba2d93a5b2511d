"""A cluster that runs nothing and records what it was asked; a test decides how each job goes."""

from collections.abc import Container
from dataclasses import replace

from portal.database import long_work
from workers.cluster import Event, Job, JobStatus, Phase

# Real clusters take time to answer, so tests report such calls inside a transaction.
ASKED = "The cluster is asked"


class RecordingCluster:
    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots
        self.jobs: dict[str, Job] = {}
        self.cancelled: list[tuple[str, float]] = []
        self.lines: dict[str, list[str]] = {}
        self.told: dict[str, list[Event]] = {}
        self._known: dict[str, JobStatus] = {}
        self._forgotten: set[str] = set()

    def create(self, job: Job) -> None:
        long_work.forbid_in_transaction(ASKED)
        if job.name in self._known or job.name in self._forgotten:
            return
        self.jobs[job.name] = job
        self._known[job.name] = JobStatus(job.name, "running", node="recording")

    def observe(self) -> dict[str, JobStatus]:
        long_work.forbid_in_transaction(ASKED)
        return dict(self._known)

    def names(self) -> set[str]:
        long_work.forbid_in_transaction(ASKED)
        return self._known.keys() | self._forgotten

    def cancel(self, name: str, grace: float) -> None:
        long_work.forbid_in_transaction(ASKED)
        self.cancelled.append((name, grace))
        status = self._known.get(name)
        if status and not status.ended:
            self.end(name, "failed", exit_code=143)

    def logs(self, name: str, lines: int = 50) -> list[str]:
        long_work.forbid_in_transaction(ASKED)
        return self.lines.get(name, [])[-lines:]

    def forget(self, name: str) -> None:
        long_work.forbid_in_transaction(ASKED)
        if self._known.pop(name, None):
            self._forgotten.add(name)

    def purge(self, before: float, keep: Container[str]) -> list[str]:  # noqa: ARG002
        return []

    def events(self, name: str) -> list[Event]:
        long_work.forbid_in_transaction(ASKED)
        return list(self.told.get(name, []))

    def look(self, name: str) -> str:
        return f"look at {name}"

    def end(
        self, name: str, phase: Phase, *, exit_code: int | None = None, reason: str = ""
    ) -> None:
        """End the job as a test wants it."""
        status = self._known[name]
        self._known[name] = replace(status, phase=phase, exit_code=exit_code, reason=reason)

    def waits(self, name: str, reason: str) -> None:
        """Make the job wait for a place, for this reason."""
        self._known[name] = JobStatus(name, "pending", reason=reason)

    def starts(self, name: str) -> None:
        self._known[name] = JobStatus(name, "running", node="recording")

    def vanish(self, name: str) -> None:
        """Remove the job without a trace, as after the loss of a machine."""
        self._known.pop(name)
