"""Clips of the same sound are one clip, whatever their names and files: what several runs delivered
is licensed only for what all of them are. `Sample.objects.audible()` has what silences it.
"""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from audio_samples.models import Sample
from experiments.clearance import clearance
from experiments.models import Run


def runs_of(samples: Iterable[Sample]) -> dict[int, list[Run]]:
    """Return by sample the runs that delivered this very sound, the first one first; three queries.

    A run of unknown origin that delivered it later has copied it: a known origin stays known.
    """
    clips = list(samples)
    same = Q(audio__in={sample.audio_id for sample in clips if sample.audio_id})
    if sounds := {sample.sound for sample in clips if sample.sound}:
        same |= Q(sound__in=sounds)
    by_audio, by_sound = defaultdict[str | None, set[int]](set), defaultdict[str, set[int]](set)
    rows = Sample.objects.filter(same).order_by("created_at", "pk").only("audio", "sound", "run")
    run_of: dict[int, UUID] = {}
    for row in rows:
        run_of[row.pk] = row.run_id
        by_audio[row.audio_id].add(row.pk)
        by_sound[row.sound].add(row.pk)
    order = {pk: number for number, pk in enumerate(run_of)}
    runs = Run.objects.select_related("project", "start_from").in_bulk(set(run_of.values()))
    runs_by_sample = {}
    for sample in clips:
        # One whose bytes were deleted has its sound.
        twins = by_audio[sample.audio_id] if sample.audio_id else set()
        twins = twins | (by_sound[sample.sound] if sample.sound else set())
        run_pks = dict.fromkeys(run_of[pk] for pk in sorted(twins, key=order.__getitem__))
        runs_by_sample[sample.pk] = [
            runs[pk]
            for number, pk in enumerate(run_pks)
            if pk == sample.run_id or number == 0 or not clearance.of_unknown_origin(runs[pk])
        ]
    return runs_by_sample
