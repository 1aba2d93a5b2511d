"""Samples can be discussed: how one is found, and by whom (experiments/discussion)."""

from django.urls import reverse

from audio_samples.models import Sample
from experiments.discussion import subjects
from portal.inputs import parameters
from portal.models import User


def find_sample(user: User, key: str) -> subjects.Subject | None:
    """Return the sample of that number as a subject, if the user may see it."""
    pk = parameters.number(key)
    if pk is None:
        return None
    rows = Sample.objects.visible_to(user).select_related("run__project", "run__submitted_by")
    sample = rows.filter(pk=pk).first()
    if sample is None:
        return None
    return subjects.Subject(
        kind="sample",
        key=str(sample.pk),
        project=sample.run.project,
        title=f"{sample.name} of run {sample.run.number}",
        url=reverse("audio_samples:sample", args=[sample.pk]),
        owner=sample.run.submitted_by,
    )


subjects.register("sample", find_sample)
