"""Who may hear a sample now: every reason for silence, composed in this one place.

A sample is heard by an audience, for a use:

1. nothing silences its sound for everybody (`Sample.objects.audible()`): a permission behind it
   that has ended, a flag, a sample that was taken back, the same sound silenced elsewhere;
2. every permission for the audience's use stands: none has ended, and none is suspended;
3. outside the lab, it is known what the model learned from.

Whether it may be put before an audience at all is asked once, of the cleared scope:
`missing_permissions`.
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
    """Who hears it, for which use; `channel` is the way on which the sound leaves the lab."""

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
    """Those of these samples that the audience may hear now."""
    pks = samples.order_by().values("pk")
    audible = Sample.objects.audible().still_for(audience.use).filter(pk__in=pks)
    rows = list(audible.select_related("run__project"))
    runs = same_sound.runs_of(rows)
    every = {run.pk: run for some in runs.values() for run in some}
    unknown = {pk for pk, run in every.items() if audience.is_outside and clearance.is_unknown(run)}
    return {
        sample.pk
        for sample in rows
        if unknown.isdisjoint(run.pk for run in runs[sample.pk])
        and not _is_suspended(runs[sample.pk], audience, sample.run.project)
    }


def _is_suspended(runs: Iterable[Run], audience: Audience, project: Project) -> bool:
    context = audience.context(project)
    return any(suspensions.is_suspended(run, audience.use, context) for run in runs)


def missing_permissions(
    audience: Audience, samples: Iterable[Sample], project: Project
) -> dict[int, list[Narrowing]]:
    """By sample the permissions that are missing for the audience to hear what the project made;
    only samples that lack some. Seconds, where a model learned from a hundred thousand recordings.
    """
    context = audience.context(project)
    found, known = {}, dict[tuple[UUID, ...], list[Narrowing]]()
    for sample, runs in same_sound.runs_of(samples).items():
        behind = tuple(run.pk for run in runs)
        if behind not in known:
            known[behind] = _missing(runs, audience, context)
        if known[behind]:
            found[sample] = known[behind]
    return found


def _missing(runs: Sequence[Run], audience: Audience, context: Context) -> list[Narrowing]:
    cleared = reduce(
        clearance.Scope.meet, (clearance.current_scope(run, (audience.use,)) for run in runs)
    )
    is_the_labs_own = all(run.origin == Run.Origin.CLIENT for run in runs)
    if cleared.unknown and not audience.is_outside and is_the_labs_own:
        # Nobody knows what it learned from: the lab may rate it, others not.
        return []
    return clearance.allows(cleared, audience.use, context, inside=not audience.is_outside)
