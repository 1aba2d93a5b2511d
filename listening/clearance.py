"""Which samples may be rated: everybody behind one allows evaluation where the project is.

The use `eval` covers evaluation and listening tests, inside the lab and outside. It is asked of
the cleared scope of the run that made the sample, when a test is opened; after that a permission
that ends takes the clip out of every test at once.
"""

from collections.abc import Iterable
from uuid import UUID

from audio_samples.models import Sample
from experiments import held, permission, resting, scope
from experiments.models import Project, Run
from experiments.scope_words import Narrowing
from rights.models import Use


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
    runs = Run.objects.select_related("project").filter(pk__in=set(found.values()))
    at_rest = {
        run.pk for run in runs if resting.rests(run, Use.EVAL, permission.context_of(run.project))
    }
    return {pk for pk, run in found.items() if run not in at_rest}
