"""Which samples may be rated: everybody behind one allows evaluation where the project is.

The use `eval` covers evaluation and listening tests, inside the lab and outside. It is asked when a
test is opened; after that a permission that ends takes the clip out of every test at once.
"""

from collections.abc import Iterable

from audio_samples.audibility import audiences
from audio_samples.models import Sample
from experiments.models import Project


def refused(project: Project, samples: Iterable[Sample], *, outside: bool) -> list[str]:
    """By sample why it may not be rated, as sentences that name the sample.

    Of a run that was started outside, and of a program that was given no dataset, nobody knows
    what it learned from: the lab may rate its clips, others not.
    """
    asked = list(samples)
    missing = audiences.missing_permissions(audiences.raters(outside=outside), asked, project)
    return [
        f"“{sample.name}” of run {sample.run.number}: {missing[sample.pk][0]}"
        for sample in asked
        if sample.pk in missing
    ]


def audible(samples: Iterable[int], *, outside: bool = True) -> set[int]:
    """Those of these samples that may be heard in a test now; `outside`: by everybody."""
    rows = Sample.objects.filter(pk__in=list(samples))
    return audiences.audible_to(audiences.raters(outside=outside), rows)
