"""A run's clips on the steps of its media: they share the slider of a page of charts, and a clip
that is withheld takes what may show it with it (experiments/media/silence.py)."""

from collections import Counter
from collections.abc import Collection, Mapping
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.urls import reverse

from audio_samples import clips
from audio_samples.models import Sample, SampleQuerySet
from experiments.media import silence, sources
from experiments.media.reading import Name

KIND = "clip"
# Of a run that gives each clip a name of its own.
MOST_NAMES = 100


class Clips:
    def names(self, runs: Collection[UUID]) -> list[Name]:
        names = _samples(runs).order_by("name").values_list("name", flat=True).distinct()
        return [Name(name, KIND) for name in names[:MOST_NAMES]]

    def steps(self, runs: Collection[UUID], name: str) -> dict[UUID, list[int]]:
        found: dict[UUID, list[int]] = {}
        rows = _samples(runs).filter(name=name).order_by("run", "step")
        for run, step in rows.values_list("run", "step").distinct():
            found.setdefault(run, []).append(step)
        return found

    def items(self, wanted: Mapping[UUID, int], names: Collection[str]) -> list[dict[str, Any]]:
        places = reduce(or_, (Q(run=run, step=step) for run, step in wanted.items()))
        rows = clips.with_credits(_samples(wanted).filter(places, name__in=list(names)))
        ordered = rows.order_by("name", "prompt", "seed", "take", "pk")
        indexes: Counter[tuple[UUID, str]] = Counter()
        found = []
        for sample in ordered:
            place = (sample.run_id, sample.name)
            found.append(_body(sample, indexes[place]))
            indexes[place] += 1
        return found


def _samples(runs: Collection[UUID]) -> SampleQuerySet:
    return Sample.objects.filter(run__in=list(runs), audio__isnull=False)


def _body(sample: Sample, index: int) -> dict[str, Any]:
    """Return a clip in the form of experiments/media/shown.py, with what a player needs. Of one
    that is withheld there is the reason alone."""
    clip = clips.clip(sample)
    given: dict[str, Any] = {
        "run": sample.run.number,
        "name": sample.name,
        "step": sample.step,
        "index": index,
        "kind": KIND,
        "withheld": clip.withheld,
        "page": sample.get_absolute_url(),
    }
    if clip.withheld:
        return given
    return given | {
        "caption": sample.prompt,
        "credits": clip.credit_line,
        "id": sample.pk,
        "url": clip.url,
        "gain": clip.gain,
        "duration": clip.duration,
        "peaks": clip.peaks,
        "picture": reverse("audio_samples:spectrogram", args=[sample.pk]),
    }


def _has_withheld_clip() -> Exists:
    """Whether, for media in an outer query, a clip of the same run and step is withheld."""
    same = Sample.objects.filter(run=OuterRef("run"), step=OuterRef("step"), audio__isnull=False)
    return Exists(same.withheld())


sources.register(Clips())
silence.register(_has_withheld_clip)
