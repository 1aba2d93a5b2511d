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

# One for the process: tests read here what was asked of it.
recording = cache(RecordingCluster)


@cache
def kubernetes() -> Cluster:
    """Return the process's only client: it stores the cluster's objects and watches for changes.

    Loaded by name: the embedded default does not need its library.
    """
    module = import_module("workers.cluster.kubernetes")
    cluster: Cluster = module.KubernetesCluster(
        module.connect(settings.KUBE_CONFIG, settings.KUBE_CONTEXT),
        namespace=settings.KUBE_NAMESPACE,
        image=settings.RUN_IMAGE,
        priority=settings.KUBE_PRIORITY_CLASS,
        queue=settings.KUBE_QUEUE,
        context=settings.KUBE_CONTEXT,
        wake=_wake,
    )
    return cluster


def _wake() -> None:
    """Wake the reconcile task, from the cluster's own thread: nobody else would close its database
    connection."""
    celery.wake()
    connection.close()


class Unreachable:
    """A cluster that cannot be reached. Runs that wait for it show why; all else goes on."""

    slots: int | None = None

    def __init__(self, error: Unavailable) -> None:
        self._why = str(error)

    def _refuse(self, *_: object) -> Never:
        raise Unavailable(self._why)

    create = observe = names = cancel = logs = forget = purge = events = look = _refuse


def current() -> Cluster:
    if settings.CLUSTER == "kubernetes":
        try:
            return kubernetes()
        except Unavailable as error:
            return Unreachable(error)
    if settings.CLUSTER == "recording":
        return recording()
    return LocalCluster(
        settings.LOCAL_JOBS_DIR,
        slots=settings.LOCAL_SLOTS,
        programs=separation.current,
        apart=settings.LOCAL_PROGRAMS_DIR,
    )
