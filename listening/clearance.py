"""Which samples may be rated: everybody behind one allows evaluation where the project is.

The use `eval` covers evaluation and listening tests, inside the lab and outside. It is asked of
the cleared scope of the run that made the sample, when a test is opened; after that a permission
that ends takes the clip out of every test at once.
"""

from collections.abc import Iterable
from uuid import UUID

from django.core.cache import cache
from django.db.models import Count, Max
from django.utils import timezone

from audio_samples.models import Sample
from experiments import held, permission, scope
from experiments.models import Project, Run
from experiments.scope_words import Narrowing
from rights.models import GrantSuspension, Use


def refused(project: Project, samples: Iterable[Sample], *, outside: bool) -> list[str]:
    """By sample why it may not be rated, as sentences that name the sample.

    Of a run that was started outside nothing is known: the lab may rate its clips, others not.
    """
    found, known = [], dict[UUID, list[Narrowing]]()
    for sample in samples:
        run = sample.run
        if run.pk not in known:
            cleared = scope.now(run, (Use.EVAL,))
            inside = cleared.unknown and not outside
            context = permission.context_of(project)
            known[run.pk] = [] if inside else scope.allows(cleared, Use.EVAL, context)
        if why := known[run.pk]:
            found.append(f"“{sample.name}” of run {run.number}: {why[0]}")
    return found


def audible(samples: Iterable[int]) -> set[int]:
    """Those of these samples that may be heard in a test now."""
    rows = Sample.objects.audible().filter(~held.held_for("run", Use.EVAL), pk__in=list(samples))
    found = dict(rows.values_list("pk", "run"))
    resting = {run for run in set(found.values()) if _rests(run)}
    return {pk for pk, run in found.items() if run not in resting}


def _rests(run: UUID) -> bool:
    """Whether the permission of somebody behind the run is suspended, which leaves no hold."""
    marks = GrantSuspension.objects.filter(grant__use=Use.EVAL, until=None)
    mark = marks.aggregate(newest=Max("pk"), number=Count("pk"))
    if not mark["number"]:
        return False
    day = timezone.now().date()
    key = f"listening:rests:{run}:{mark['newest']}:{mark['number']}:{day}"
    known: bool | None = cache.get(key)
    if known is None:
        one = Run.objects.select_related("project").get(pk=run)
        cleared = scope.now(one, (Use.EVAL,))
        context = permission.context_of(one.project)
        known = not cleared.unknown and bool(scope.allows(cleared, Use.EVAL, context))
        cache.set(key, known, 600)
    return known
