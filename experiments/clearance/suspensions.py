"""Whether the permission of somebody behind a run is suspended: that leaves no hold to look at."""

import hashlib

from django.core.cache import cache
from django.db.models import Count, Max
from django.utils import timezone

from experiments.clearance import clearance
from experiments.models import Run
from rights.consent.consent import Context
from rights.models import GrantSuspension, Use

SECONDS = 600


def is_suspended(run: Run, use: Use, context: Context) -> bool:
    """Asked of the run's cleared scope, and again only when a suspension has come or gone, or
    another day has begun. Of a run of which nothing is known, no."""
    marks = GrantSuspension.objects.filter(grant__use=use, until=None)
    mark = marks.aggregate(newest=Max("pk"), number=Count("pk"))
    if not mark["number"]:
        return False
    asked = f"{run.pk}:{use}:{context}:{mark}:{timezone.now().date()}"
    key = f"resting:{hashlib.sha256(asked.encode()).hexdigest()}"
    known: bool | None = cache.get(key)
    if known is None:
        cleared = clearance.current_scope(run, (use,))
        known = not cleared.unknown and bool(clearance.allows(cleared, use, context))
        cache.set(key, known, SECONDS)
    return known
