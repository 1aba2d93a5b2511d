"""Which cluster this portal has: the setting CLUSTER."""

from functools import cache
from importlib import import_module
from typing import Never

from django.conf import settings
from django.db import connection

from portal import celery
from portal.machine import separation
from workers.cluster import Cluster, Unavailable
from workers.cluster.fake import RecordingCluster
from workers.cluster.local import LocalCluster

# One for the process: what was asked of it is read from here by tests.
recording = cache(RecordingCluster)


@cache
def kubernetes() -> Cluster:
    """One for the process: it keeps what the cluster has, and a watch that keeps it true.

    Loaded by name: the embedded default has no use for its library.
    """
    door = import_module("workers.cluster.kubernetes")
    made: Cluster = door.KubernetesCluster(
        door.connect(settings.KUBE_CONFIG, settings.KUBE_CONTEXT),
        namespace=settings.KUBE_NAMESPACE,
        image=settings.RUN_IMAGE,
        priority=settings.KUBE_PRIORITY_CLASS,
        queue=settings.KUBE_QUEUE,
        context=settings.KUBE_CONTEXT,
        wake=_nudge,
    )
    return made


def _nudge() -> None:
    """From the cluster's own thread, whose connection to the database nobody else would close."""
    celery.wake()
    connection.close()


class Unreachable:
    """A cluster to which no way is known. Whoever waits for it is told; all else goes on."""

    slots: int | None = None

    def __init__(self, why: Unavailable) -> None:
        self._why = str(why)

    def _refuse(self, *_: object) -> Never:
        raise Unavailable(self._why)

    create = observe = names = cancel = logs = forget = purge = events = look = _refuse


def current() -> Cluster:
    if settings.CLUSTER == "kubernetes":
        try:
            return kubernetes()
        except Unavailable as why:
            return Unreachable(why)
    if settings.CLUSTER == "recording":
        return recording()
    return LocalCluster(
        settings.LOCAL_JOBS_DIR,
        slots=settings.LOCAL_SLOTS,
        programs=separation.current,
        apart=settings.LOCAL_PROGRAMS_DIR,
    )
