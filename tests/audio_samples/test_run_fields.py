"""Measures of clips as columns of the run table."""

import pytest
from django.utils import timezone

from audio_samples.models import Sample
from experiments.models import Project, Run
from experiments.run_table import fields, grouping, query
from portal.models import User
from tests.audio_samples.cast import make_sample
from tests.experiments.run_table.test_table import make


def clip(run: Run, name: str, **measured: object) -> None:
    """A clip of the run; its figures are set, so that the mean is known."""
    Sample.objects.filter(pk=make_sample(run, name).pk).update(**measured)


@pytest.fixture
def loud_and_quiet(project: Project, ada: User) -> list[Run]:
    loud, quiet, none = (make(project, ada, number) for number in (1, 2, 3))
    clip(loud, "a", lufs=-10.0, measures={"crest_db": 4.0})
    clip(loud, "b", lufs=-14.0, measures={"crest_db": None})
    clip(quiet, "a", lufs=-30.0, measures={})
    clip(quiet, "withheld", lufs=0.0, withheld_at=timezone.now())
    return [loud, quiet, none]


def test_the_mean_over_a_runs_clips_is_a_column(
    project: Project, ada: User, loud_and_quiet: list[Run]
) -> None:
    keys = ["sample.lufs", "sample.count", "sample.crest_db", "sample.no_such"]
    found = fields.values(loud_and_quiet, keys)
    assert [found[run.pk] for run in loud_and_quiet] == [
        [-12.0, 2, 4.0, None], [-30.0, 1, None, None], [None, None, None, None],
    ]  # fmt: skip
    rows = fields.ordered(Run.objects.filter(project=project), "-sample.lufs")
    assert [run.number for run in rows] == [1, 2, 3]
    assert "sample.lufs" in {offer.key for offer in fields.catalogue(project)}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("sample.lufs > -20", {1}),
        ("run.sample.count == 1", {2}),
        ("sample.crest_db is not None", {1}),
        ("not sample.lufs < -20", {1, 3}),
    ],
)
def test_clips_are_searched_for_by_their_measures(
    project: Project, loud_and_quiet: list[Run], text: str, numbers: set[int]
) -> None:
    assert {run.number for run in query.apply(Run.objects.filter(project=project), text)} == numbers


def test_clips_are_summed_up_in_groups(project: Project, loud_and_quiet: list[Run]) -> None:
    rows = Run.objects.filter(project=project)
    (group,) = grouping.read(runs=rows, by=["recipe"], numbers=["sample.lufs"]).groups
    assert (group.summaries["sample.lufs"].n, group.summaries["sample.lufs"].mean) == (2, -21.0)


def test_a_project_without_clips_is_not_offered_their_measures(project: Project) -> None:
    assert not [o for o in fields.catalogue(project) if o.key.startswith("sample.")]
