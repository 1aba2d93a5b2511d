"""Which samples may be rated: all holders behind a sample allow evaluation in its project's scope.

The use `eval` covers evaluation and listening tests, inside the lab and outside. It is checked when
a test is opened; a permission that ends later takes the clip out of every test at once.
"""

from collections.abc import Iterable

from audio_samples.audibility import audiences
from audio_samples.models import Sample
from experiments.models import Project


def refusals(project: Project, samples: Iterable[Sample], *, outside: bool) -> list[str]:
    """Return a sentence for each sample that may not be rated, with its name and why.

    Nobody knows what a run that was started outside, or a program without a dataset, learned
    from: the lab may rate its clips, others may not.
    """
    candidates = list(samples)
    missing = audiences.missing_permissions(audiences.raters(outside=outside), candidates, project)
    return [
        f"“{sample.name}” of run {sample.run.number}: {missing[sample.pk][0]}"
        for sample in candidates
        if sample.pk in missing
    ]


def audible(samples: Iterable[int], *, outside: bool = True) -> set[int]:
    """Return the samples that may be heard in a test now; `outside`: also by outside listeners."""
    rows = Sample.objects.filter(pk__in=list(samples))
    return audiences.audible_to(audiences.raters(outside=outside), rows)
