"""The place of the Kubernetes fitting. Until it is built it refuses with a sentence."""

from typing import Never

from workers.cluster import Job, JobStatus, Unavailable


def _refuse() -> Never:
    raise Unavailable("Kubernetes is not connected yet. Set CLUSTER=local to run on this machine.")


class KubernetesCluster:
    slots: int | None = None

    def create(self, job: Job) -> None:  # noqa: ARG002 - the Protocol's signature.
        _refuse()

    def observe(self) -> dict[str, JobStatus]:
        _refuse()

    def cancel(self, name: str, grace: float) -> None:  # noqa: ARG002
        _refuse()

    def logs(self, name: str, lines: int = 50) -> list[str]:  # noqa: ARG002
        _refuse()

    def forget(self, name: str) -> None:  # noqa: ARG002
        _refuse()
