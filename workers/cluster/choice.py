"""Which cluster this portal has: the setting CLUSTER."""

from functools import cache

from django.conf import settings

from workers.cluster import Cluster
from workers.cluster.kubernetes import KubernetesCluster
from workers.cluster.local import LocalCluster
from workers.cluster.recording import RecordingCluster

# One for the process: what was asked of it is read from here by tests.
recording = cache(RecordingCluster)


def current() -> Cluster:
    if settings.CLUSTER == "kubernetes":
        return KubernetesCluster()
    if settings.CLUSTER == "recording":
        return recording()
    return LocalCluster(settings.LOCAL_JOBS_DIR, slots=settings.LOCAL_SLOTS)
