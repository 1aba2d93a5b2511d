"""Numbers of deliveries: each counts once, waiting or folded, and takes next to no room."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from backline import Text, batches
from experiments.metrics import compaction, delivered, metrics
from experiments.models import Batch, FoldedBatches, Project, Run
from experiments.runs import shelving
from portal.models import User
from tests.experiments.media import logged

LARGEST = 2**63 - 1


@pytest.fixture
def run(project: Project, ada: User) -> Run:
    return Run.objects.create(project=project, number=1, submitted_by=ada, state="running")


def content(value: float) -> bytes:
    one = np.array([1], np.int64)
    table = batches.Table(("loss",), one, one * 1.7e9, np.array([[value]], dtype=float))
    return batches.encode([table])


def digest(number: int) -> str:
    return delivered.digest_of(str(number).encode())


def is_repeated(run: Run, session: str, number: int, sent: str) -> bool:
    return delivered.Waiting.read(run).is_repeated(session, number, sent)


class Numbers(TestCase):
    """Any deliveries of any sessions in any order, folded at any time, against a dictionary."""

    @given(
        acts=st.lists(
            st.one_of(
                st.just(None),
                st.tuples(
                    st.sampled_from(["a", "b"]),
                    st.sampled_from([0, 1, 2, 7, 2**40, LARGEST]) | st.integers(0, 30),
                    st.integers(0, 2),
                ),
            ),
            max_size=40,
        ),
        block=st.sampled_from([1, 2, 5, 1024]),
    )
    def test_counted_once(self, acts: list[Any], block: int) -> None:
        ada = User.objects.create_user("ada", password="a long enough password")
        project = Project.objects.create(slug="p", name="P")
        run = Run.objects.create(project=project, number=1, submitted_by=ada)
        known: dict[tuple[str, int], int] = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(delivered, "BLOCK", block)
            for act in acts:
                if act is None:
                    metrics.compact(run)
                    assert not Batch.objects.exists()
                    continue
                session, number, value = act
                before = known.get((session, number))
                if before in (None, value):
                    taken = metrics.ingest(run, session, number, content(value))
                    assert taken.duplicate == (before == value)
                    known[session, number] = value
                else:
                    with pytest.raises(delivered.Conflict, match=f"Delivery {number} of session"):
                        metrics.ingest(run, session, number, content(value))
        points = metrics.points(run, "loss")[2]
        assert sorted(points) == sorted(map(float, known.values()))


@pytest.mark.django_db
def test_folded_numbers_take_nine_bytes_and_few_rows(run: Run) -> None:
    numbers = list(range(10_000))
    for start in range(0, 10_000, 320):
        delivered.remember(run, [("s", one, digest(one)) for one in numbers[start : start + 320]])
    rows = FoldedBatches.objects.filter(run=run)
    assert rows.count() == 10
    assert sum(len(data) for data in rows.values_list("data", flat=True)) < 10_000 * 9
    assert all(is_repeated(run, "s", one, digest(one)) for one in numbers[::501])
    assert not is_repeated(run, "s", 10_000, digest(1))
    assert not is_repeated(run, "t", 5, digest(5))
    with pytest.raises(delivered.Conflict):
        is_repeated(run, "s", 4_711, digest(4_712))


@pytest.mark.django_db
def test_what_comes_next_is_looked_for_without_reading_a_column(run: Run) -> None:
    delivered.remember(run, [("s", one, digest(one)) for one in range(5_000)])
    with CaptureQueriesContext(connection) as first:
        metrics.ingest(run, "s", 5_000, content(1))
    delivered.remember(run, [("s", one, digest(one)) for one in range(6_000, 60_000)])
    with CaptureQueriesContext(connection) as later:
        metrics.ingest(run, "s", 60_001, content(1))
    assert len(first) == len(later)


@pytest.mark.django_db
def test_packs_of_media_are_folded_with_batches_and_alone(run: Run) -> None:
    metrics.ingest(run, "script", 1, content(1))
    for number in range(2, 100):
        logged.log(run, number, note=Text("a"), number=number)
    assert Batch.objects.filter(run=run).count() < compaction.FOLD_BATCHES
    assert logged.log(run, 50, note=Text("a"), number=50).duplicate
    with pytest.raises(delivered.Conflict):
        metrics.ingest(run, "script", 50, content(1))
    assert metrics.read(run, "loss").mean.tolist() == [1.0]
    assert metrics.first_times([run.pk]) == {run.pk: 1.7e9}


@pytest.mark.django_db
def test_media_that_wait_hide_no_first_time(run: Run) -> None:
    logged.log(run, 1, note=Text("a"), number=1)
    assert metrics.first_times([run.pk]) == {}
    metrics.ingest(run, "script", 2, content(1))
    assert metrics.first_times([run.pk]) == {run.pk: 1.7e9}


@pytest.mark.django_db
def test_a_purged_run_leaves_no_numbers(run: Run, ada: User) -> None:
    metrics.ingest(run, "s", 1, content(1))
    metrics.compact(run)
    metrics.ingest(run, "s", 2, content(2))
    Run.objects.filter(pk=run.pk).update(state="finished")
    shelving.delete(run=run, by=ada)
    shelving.purge(Run.objects.get(pk=run.pk))
    assert not run.batches.exists()
    assert not run.folded_batches.exists()


@pytest.mark.django_db
def test_folded_batches_of_before_are_packed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The migration, on rows as they were: one for each folded delivery."""
    step = import_module("experiments.migrations.0035_pack_folded_batches")
    monkeypatch.setattr(step, "BLOCK", 100)
    sessions = [("s", one) for one in range(250)] + [("t", one) for one in range(0, 30, 3)]
    Batch.objects.bulk_create(
        Batch(run=run, session=session, number=one, digest=digest(one)) for session, one in sessions
    )
    models = {"Batch": SimpleNamespace(objects=_Folded()), "FoldedBatches": FoldedBatches}
    step.note(SimpleNamespace(get_model=lambda _, name: models[name]), None)
    assert not Batch.objects.exists()
    assert FoldedBatches.objects.count() == 4
    assert all(is_repeated(run, *one, digest(one[1])) for one in sessions)
    assert not is_repeated(run, "t", 1, digest(1))
    delivered.remember(run, [("s", 250, digest(250))])
    assert is_repeated(run, "s", 250, digest(250))


class _Folded:
    """Rows had a column `folded`, which has gone: here all of them are."""

    def filter(self, *, folded: bool) -> Any:
        assert folded
        return Batch.objects.all()
