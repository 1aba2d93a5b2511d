"""What listeners said of a run's clips, as columns of the run table."""

import pytest

from audio_samples.models import Sample
from experiments.models import Project, Run
from experiments.run_table import fields, grouping, query
from experiments.sweeps import objectives
from listening import trials
from listening.models import Hearing, ListeningTest
from portal.models import User
from tests.audio_samples.cast import make_sample
from tests.experiments.run_table.test_table import make

pytestmark = pytest.mark.django_db
KEYS = ["rating.mean", "rating.answers", "rating.listeners"]


def rated(by: User, clips: dict[Sample, dict[User, int]]) -> ListeningTest:
    """An open test of these clips, each with scores by listener."""
    project = next(iter(clips)).run.project
    test = trials.open_test(
        by=by, project=project, title="Tones", question="Nice?", samples=list(clips)
    )
    for item in test.items.all():
        for listener, score in clips[item.sample].items():
            Hearing.objects.create(item=item, listener=listener)
            trials.answer(item=item, listener=listener, score=score)
    return test


@pytest.fixture
def runs(project: Project, ada: User, lou: User) -> list[Run]:
    """The first has a clip that two have rated 4 and 5, and one that one has rated 1."""
    good, bad, none = (make(project, ada, number) for number in (1, 2, 3))
    one, other, third = make_sample(good, "a"), make_sample(good, "b"), make_sample(bad, "c")
    clips = {one: {lou: 4, ada: 5}, other: {lou: 1}, third: {lou: 2}}
    trials.close_test(rated(ada, clips), by=ada)
    return [good, bad, none]


def test_every_clip_counts_the_same(project: Project, runs: list[Run]) -> None:
    found = fields.values(runs, [*KEYS, "rating.no_such"])
    assert [found[run.pk] for run in runs] == [
        [2.75, 3, 2, None], [2.0, 1, 1, None], [None, None, None, None],
    ]  # fmt: skip
    for key in KEYS:
        rows = fields.ordered(Run.objects.filter(project=project), f"-{key}")
        assert [run.number for run in rows] == [1, 2, 3]
    assert set(KEYS) < {offer.key for offer in fields.catalogue(project)}


def test_answers_of_another_test_are_counted_in_when_it_is_closed(
    project: Project, runs: list[Run], ada: User, lou: User
) -> None:
    (clip,) = Sample.objects.filter(run=runs[1])
    test = rated(ada, {clip: {lou: 5, ada: 5}})
    assert fields.values(runs[1:2], KEYS)[runs[1].pk] == [2.0, 1, 1]
    trials.close_test(test, by=ada)
    assert fields.values(runs[1:2], KEYS)[runs[1].pk] == [4.0, 3, 2]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("rating.mean > 2.5", {1}), ("rating.answers == 1", {2}), ("rating.mean is None", {3})],
)
def test_runs_are_searched_for_by_their_ratings(
    project: Project, runs: list[Run], text: str, numbers: set[int]
) -> None:
    assert {run.number for run in query.apply(Run.objects.filter(project=project), text)} == numbers


def test_ratings_are_summed_up_in_groups(project: Project, runs: list[Run]) -> None:
    rows = Run.objects.filter(project=project)
    (group,) = grouping.read(runs=rows, by=["recipe"], numbers=["rating.mean"]).groups
    assert (group.summaries["rating.mean"].n, group.summaries["rating.mean"].mean) == (2, 2.375)


def test_a_sweep_makes_large_what_the_table_shows(runs: list[Run]) -> None:
    found = objectives.registered()["listeners:"].values([run.pk for run in runs])
    assert found == {runs[0].pk: 2.75, runs[1].pk: 2.0}


def test_a_project_without_closed_tests_is_offered_no_ratings(
    project: Project, ada: User, lou: User
) -> None:
    rated(ada, {make_sample(make(project, ada, 1), "a"): {lou: 4}})
    assert not [o for o in fields.catalogue(project) if o.key.startswith("rating.")]
