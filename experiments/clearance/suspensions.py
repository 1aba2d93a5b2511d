"""Whether a permission behind a run is suspended: a suspension leaves no hold to look at."""

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
    """Whether a permission for this use behind the run is suspended; False for an unknown origin.
    Computed from the run's scope, and again only after a change of suspensions or of the day."""
    suspensions = GrantSuspension.objects.filter(grant__use=use, until=None)
    version = suspensions.aggregate(newest=Max("pk"), number=Count("pk"))
    if not version["number"]:
        return False
    question = f"{run.pk}:{use}:{context}:{version}:{timezone.now().date()}"
    key = f"resting:{hashlib.sha256(question.encode()).hexdigest()}"
    answer: bool | None = cache.get(key)
    if answer is None:
        cleared = clearance.current_scope(run, (use,))
        answer = not cleared.unknown and bool(clearance.allows(cleared, use, context))
        cache.set(key, answer, SECONDS)
    return answer
