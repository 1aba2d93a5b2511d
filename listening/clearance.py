"""Which samples may be rated: everybody behind one allows evaluation where the project is.

The use `eval` covers evaluation and listening tests, inside the lab and outside. It is asked of
the cleared scope of the run that made the sample, when a test is opened; after that a permission
that ends takes the clip out of every test at once.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from audio_samples import same_sound
from audio_samples.models import Sample
from experiments.clearance import clearance, permission
from experiments.clearance.wording import Narrowing
from experiments.models import Project, Run
from rights.consent.consent import Context
from rights.models import Use


def refused(project: Project, samples: Iterable[Sample], *, outside: bool) -> list[str]:
    """By sample why it may not be rated, as sentences that name the sample.

    Of a run that was started outside, and of a program that was given no dataset, nobody knows
    what it learned from: the lab may rate its clips, others not.
    """
    asked = list(samples)
    runs = same_sound.runs_of(asked)
    context = permission.context_of(project)
    found, known = [], dict[tuple[UUID, ...], list[Narrowing]]()
    for sample in asked:
        behind = tuple(run.pk for run in runs[sample.pk])
        if behind not in known:
            known[behind] = _why_not(runs[sample.pk], context, outside=outside)
        if why := known[behind]:
            found.append(f"“{sample.name}” of run {sample.run.number}: {why[0]}")
    return found


def _why_not(runs: Sequence[Run], context: Context, *, outside: bool) -> list[Narrowing]:
    cleared = same_sound.cleared(runs, Use.EVAL)
    if cleared.unknown and not outside and all(run.origin == Run.Origin.CLIENT for run in runs):
        return []
    return clearance.allows(cleared, Use.EVAL, context, inside=not outside)


def audible(samples: Iterable[int], *, outside: bool = True) -> set[int]:
    """Those of these samples that may be heard in a test now; `outside`: by everybody."""
    rows = list(
        Sample.objects.audible()
        .still_for(Use.EVAL)
        .filter(pk__in=list(samples))
        .select_related("run__project")
    )
    runs = same_sound.runs_of(rows)
    every = {run.pk: run for some in runs.values() for run in some}
    unknown = {pk for pk, run in every.items() if outside and clearance.is_unknown(run)}
    return {
        sample.pk
        for sample in rows
        if not unknown.intersection(run.pk for run in runs[sample.pk])
        and not same_sound.rests(
            runs[sample.pk], Use.EVAL, permission.context_of(sample.run.project)
        )
    }
