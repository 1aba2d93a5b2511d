"""Who may hear a sample now: every reason for silence, composed in this one place.

An audience may hear a sample, for a use, where:

1. nothing silences its sound for everybody (`Sample.objects.audible()`): a permission behind it
   that has ended, a flag, the lab withholding the sample, the same sound silenced elsewhere;
2. every permission for the audience's use stands: none has ended, and none is suspended;
3. outside the lab, it is known what the model learned from.

`missing_permissions` asks once, of the cleared scope, whether a sample may be put before an
audience at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from uuid import UUID

from django.db.models import QuerySet

from audio_samples import same_sound
from audio_samples.models import Sample
from experiments.clearance import clearance, permission, suspensions
from experiments.clearance.wording import Narrowing
from experiments.models import Project, Run
from rights.consent.consent import Context
from rights.models import Channel, Use


@dataclass(frozen=True)
class Audience:
    """Who hears a sample, for which use; `channel` is how the sound leaves the lab."""

    use: Use
    is_outside: bool
    channel: Channel | None = None

    def context(self, project: Project) -> Context:
        context = permission.context_of(project)
        return replace(context, channel=self.channel) if self.channel else context


RATERS_IN_THE_LAB = Audience(Use.EVAL, is_outside=False)
RATERS = Audience(Use.EVAL, is_outside=True)
PUBLIC = Audience(Use.DISTRIBUTE, is_outside=True, channel=Channel.EXPORT)


def raters(*, outside: bool) -> Audience:
    return RATERS if outside else RATERS_IN_THE_LAB


def audible_to(audience: Audience, samples: QuerySet[Sample]) -> set[int]:
    """Return the ids of those samples that the audience may hear now."""
    pks = samples.order_by().values("pk")
    audible = Sample.objects.audible().still_for(audience.use).filter(pk__in=pks)
    rows = list(audible.select_related("run__project"))
    runs_by_sample = same_sound.runs_of(rows)
    by_pk = {run.pk: run for runs in runs_by_sample.values() for run in runs}
    unknown = {pk for pk, run in by_pk.items() if audience.is_outside and clearance.is_unknown(run)}
    return {
        sample.pk
        for sample in rows
        if unknown.isdisjoint(run.pk for run in runs_by_sample[sample.pk])
        and not _is_suspended(runs_by_sample[sample.pk], audience, sample.run.project)
    }


def _is_suspended(runs: Iterable[Run], audience: Audience, project: Project) -> bool:
    context = audience.context(project)
    return any(suspensions.is_suspended(run, audience.use, context) for run in runs)


def missing_permissions(
    audience: Audience, samples: Iterable[Sample], project: Project
) -> dict[int, list[Narrowing]]:
    """Return, by sample id, the permissions that the audience lacks to hear what the project made;
    only samples that lack some. Takes seconds where a model learned from 100,000 recordings.
    """
    context = audience.context(project)
    missing, missing_by_runs = {}, dict[tuple[UUID, ...], list[Narrowing]]()
    for sample_pk, runs in same_sound.runs_of(samples).items():
        run_pks = tuple(run.pk for run in runs)
        if run_pks not in missing_by_runs:
            missing_by_runs[run_pks] = _missing(runs, audience, context)
        if missing_by_runs[run_pks]:
            missing[sample_pk] = missing_by_runs[run_pks]
    return missing


def _missing(runs: Sequence[Run], audience: Audience, context: Context) -> list[Narrowing]:
    cleared = reduce(
        clearance.Scope.meet, (clearance.current_scope(run, (audience.use,)) for run in runs)
    )
    is_the_labs_own = all(run.origin == Run.Origin.CLIENT for run in runs)
    if cleared.unknown and not audience.is_outside and is_the_labs_own:
        # Nobody knows what the model learned from: only the lab may rate the sample.
        return []
    return clearance.allows(cleared, audience.use, context, inside=not audience.is_outside)
