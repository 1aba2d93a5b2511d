"""A clip is its sound: what several runs delivered, under whatever names and in whatever files, is
cleared for what all of them are. What silences it is in `Sample.objects.audible()`.
"""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from audio_samples.models import Sample
from experiments.clearance import clearance
from experiments.models import Run


def runs_of(samples: Iterable[Sample]) -> dict[int, list[Run]]:
    """By sample the runs that delivered this very sound, the first one first; three queries.

    One of unknown origin that came with it later has copied it: it makes nothing unknown of what
    was known before.
    """
    asked = list(samples)
    same = Q(audio__in={sample.audio_id for sample in asked})
    if sounds := {sample.sound for sample in asked if sample.sound}:
        same |= Q(sound__in=sounds)
    by_audio, by_sound = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set)
    rows = Sample.objects.filter(same).order_by("created_at", "pk").only("audio", "sound", "run")
    run_of: dict[int, UUID] = {}
    for row in rows:
        run_of[row.pk] = row.run_id
        by_audio[row.audio_id].add(row.pk)
        by_sound[row.sound].add(row.pk)
    order = {pk: number for number, pk in enumerate(run_of)}
    runs = Run.objects.select_related("project", "start_from").in_bulk(set(run_of.values()))
    found = {}
    for sample in asked:
        twins = by_audio[sample.audio_id] | (by_sound[sample.sound] if sample.sound else set())
        keys = dict.fromkeys(run_of[pk] for pk in sorted(twins, key=order.__getitem__))
        found[sample.pk] = [
            runs[pk]
            for number, pk in enumerate(keys)
            if pk == sample.run_id or number == 0 or not clearance.of_unknown_origin(runs[pk])
        ]
    return found
