"""What ended jobs leave on this machine goes: their consoles and notes after ENDED_JOBS_DAYS, music
and weights that they were lent as soon as nobody uses them.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache

from backline.delivery import spool
from experiments.models import Attempt
from workers.cluster import Cluster

log = logging.getLogger(__name__)

# It is a matter of days: once an hour will do.
SELDOM = 3600


def look_after(cluster: Cluster, now: datetime) -> None:
    """Once an hour; a process that has just looked leaves it to the next hour."""
    if cache.add("workers.job_cleanup", now.isoformat(), SELDOM):
        # Most is gone with its job. This is for what was killed with all that looks after it.
        spool.clear_lent(settings.LOCAL_JOBS_DIR / "spool")
        if settings.ENDED_JOBS_DAYS:
            purge(cluster, now)


def purge(cluster: Cluster, now: datetime) -> list[str]:
    """The names of the jobs whose rest went.

    A job stays while a row counts on it, or while anything waits in the spool that its run has
    to say: the console is the only witness of what never arrived.
    """
    before = now - timedelta(days=settings.ENDED_JOBS_DAYS)
    gone = cluster.purge(before.timestamp(), _open() | _waiting())
    if gone:
        log.info("Let go of the folders of %s ended jobs.", len(gone))
    return gone


def _open() -> set[str]:
    rows = Attempt.objects.filter(state__in=Attempt.OPEN_STATES)
    return {run.hex[:12] for run in rows.values_list("run", flat=True)}


def _waiting() -> set[str]:
    """Runs with deliveries that the portal has not taken yet; their folders begin with the id."""
    folders = spool.unfinished(settings.LOCAL_JOBS_DIR / "spool")
    return {folder.name.replace("-", "")[:12] for folder in folders}
