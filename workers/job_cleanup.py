"""Deletes what ended jobs leave on this machine: their consoles and notes after ENDED_JOBS_DAYS,
music and weights that they fetched as soon as nobody uses them.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache

from backline.delivery import spool
from experiments.models import Attempt
from workers.cluster import Cluster

log = logging.getLogger(__name__)

# Jobs are stored for days, so a look once an hour is enough.
INTERVAL_SECONDS = 3600


def clean_up(cluster: Cluster, now: datetime) -> None:
    """Clean up once an hour: further calls within the hour do nothing."""
    if cache.add("workers.job_cleanup", now.isoformat(), INTERVAL_SECONDS):
        # Most is deleted when its job ends. This is for jobs killed together with their supervisor.
        spool.clear_lent(settings.LOCAL_JOBS_DIR / "spool")
        if settings.ENDED_JOBS_DAYS:
            purge(cluster, now)


def purge(cluster: Cluster, now: datetime) -> list[str]:
    """Delete what old ended jobs left; return the names of those jobs.

    A job stays while its run has an open attempt or undelivered data in the spool: the console is
    the only evidence of what never arrived.
    """
    before = now - timedelta(days=settings.ENDED_JOBS_DAYS)
    deleted = cluster.purge(before.timestamp(), _open() | _waiting())
    if deleted:
        log.info("Let go of the folders of %s ended jobs.", len(deleted))
    return deleted


def _open() -> set[str]:
    rows = Attempt.objects.filter(state__in=Attempt.OPEN_STATES)
    return {run.hex[:12] for run in rows.values_list("run", flat=True)}


def _waiting() -> set[str]:
    """Runs with deliveries that the portal has not taken yet; their folders begin with the id."""
    folders = spool.unfinished(settings.LOCAL_JOBS_DIR / "spool")
    return {folder.name.replace("-", "")[:12] for folder in folders}
