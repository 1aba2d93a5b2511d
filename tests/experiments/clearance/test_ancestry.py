"""Whose weights are behind a run, and which runs started from its weights: both ways, by bytes."""

import io

import pytest

from experiments.models import Checkpoint, Project, Run, ancestry
from experiments.publishing import withdrawals
from portal import storage
from portal.models import User
from rights.grants import lifecycle
from rights.models import Use
from tests.audio_samples.cast import make_run
from tests.catalogue import allow, make_party, make_recording

pytestmark = pytest.mark.django_db


def plain_run(by: User, project: Project, begins: Checkpoint | None = None) -> Run:
    """One without music, that started from these weights."""
    number = project.runs.count() + 1
    return Run.objects.create(
        project=project, number=number, name=f"Run {number}", submitted_by=by, start_from=begins
    )


def saved(run: Run, weights: bytes, step: int = 10) -> Checkpoint:
    blob = storage.put(io.BytesIO(weights), media_type="application/octet-stream")
    return Checkpoint.objects.create(run=run, step=step, blob=blob)


def test_each_run_has_itself_and_all_before_it_behind_it(ada: User, project: Project) -> None:
    first = plain_run(ada, project)
    second = plain_run(ada, project, saved(first, b"one"))
    third = plain_run(ada, project, saved(second, b"two"))
    alone = plain_run(ada, project)
    assert ancestry.runs_behind([third.pk, alone.pk, first.pk]) == {
        third.pk: {first.pk, second.pk, third.pk},
        alone.pk: {alone.pk},
        first.pk: {first.pk},
    }
    assert ancestry.descendants_of([first.pk]) == {first.pk, second.pk, third.pk}
    assert ancestry.descendants_of([third.pk, alone.pk]) == {third.pk, alone.pk}
    assert (ancestry.runs_behind([]), ancestry.descendants_of([])) == ({}, set())


def test_whoever_delivered_the_same_bytes_is_behind_and_goes_on(
    ada: User, project: Project
) -> None:
    original, copying = plain_run(ada, project), plain_run(ada, project)
    saved(original, b"the same")
    copy = saved(copying, b"the same", step=99)
    later = plain_run(ada, project, copy)
    assert ancestry.runs_behind([later.pk]) == {later.pk: {later.pk, copying.pk, original.pk}}
    assert ancestry.descendants_of([original.pk]) == {original.pk, later.pk}


def test_the_line_goes_by_who_had_the_bytes_first(ada: User, project: Project) -> None:
    original, copying = plain_run(ada, project), plain_run(ada, project)
    saved(original, b"the same", step=40)
    later = plain_run(ada, project, saved(copying, b"the same", step=99))
    assert ancestry.line(later, 7) == [(later, 7), (original, 40)]
    assert ancestry.line(original, None) == [(original, None)]


def test_a_circle_ends_where_it_began(ada: User, project: Project) -> None:
    """A program may deliver the very bytes that it was given."""
    first = plain_run(ada, project)
    weights = saved(first, b"round")
    second = plain_run(ada, project, weights)
    saved(second, b"round", step=11)
    Run.objects.filter(pk=first.pk).update(start_from=weights)
    first.refresh_from_db()
    assert ancestry.runs_behind([first.pk]) == {first.pk: {first.pk, second.pk}}
    assert ancestry.descendants_of([second.pk]) == {first.pk, second.pk}
    assert ancestry.line(second, None) == [(second, None), (first, 10)]


def test_several_lines_take_no_more_queries_than_one(
    ada: User, project: Project, django_assert_num_queries: object
) -> None:
    heads = {}
    for number in range(4):
        first = plain_run(ada, project)
        second = plain_run(ada, project, saved(first, f"weights {number}".encode()))
        heads[number] = (second, None)
    with django_assert_num_queries(1):  # type: ignore[operator]
        found = ancestry.lines(heads)
    assert {len(line) for line in found.values()} == {2}


def test_who_left_is_known_behind_a_copy_too(ada: User, rosa: User, project: Project) -> None:
    party = make_party(rosa)
    (grant, *_) = allow(rosa, party, Use.TRAIN_GENERATIVE)
    learned = make_run(ada, project, [make_recording(rosa, party)])
    saved(learned, b"learned")
    later = plain_run(ada, project, saved(plain_run(ada, project), b"learned", step=99))
    assert withdrawals.parties_who_left(later) == frozenset()
    lifecycle.withdraw(grant, rosa, "No more.")
    assert withdrawals.parties_who_left(later) == {party.pk}
