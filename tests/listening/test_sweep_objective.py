"""A sweep that is about what listeners say: its trials wait for closed tests, and keep no place."""

from django.utils import timezone

from experiments.models import Project, Sweep, SweepTrial
from experiments.sweeps import passes
from experiments.sweeps.sweeps import Budget
from listening import trials
from listening.models import Hearing, Item
from portal.models import User
from tests.audio_samples.cast import make_sample
from tests.experiments.sweeps import world
from workers.cluster.fake import RecordingCluster
from workers.reconciling import reconcile

State = SweepTrial.State


def states(sweep: Sweep) -> list[str]:
    return list(sweep.trials.order_by("number").values_list("state", flat=True))


def rate(item: Item, listener: User, score: int) -> None:
    Hearing.objects.create(item=item, listener=listener)
    trials.answer(item=item, listener=listener, score=score)


def test_ratings_of_closed_tests_are_the_values_and_trials_that_wait_for_them_keep_no_place(
    ada: User, lou: User, project: Project
) -> None:
    cluster = RecordingCluster(slots=5)
    sweep = world.start(
        ada, project, objective={"metric": "listeners:", "goal": "maximize"},
        space={"frequency": [220.0, 440.0]}, budget=Budget(parallel=1),
    )  # fmt: skip
    clips = []
    for number in (1, 2):
        for _ in range(3):
            reconcile(cluster)
        row = world.trial(sweep, number)
        assert row.run is not None
        clips += [make_sample(row.run, f"final/{n}", prompt="") for n in range(3 - number)]
        world.end(cluster, row, 0.5)
    for _ in range(2):
        reconcile(cluster)
    assert states(sweep) == [State.RUNNING] * 2
    assert "It has no listeners' rating" in sweep.trials.first().reason  # type: ignore[union-attr]
    test = trials.open_test(by=ada, project=project, title="Tones", question="Nice?", samples=clips)
    for item, score in zip(test.items.order_by("sample__pk"), (2, 4, 5), strict=True):
        rate(item, lou, score)
    passes.advance(timezone.now())
    assert states(sweep) == [State.RUNNING] * 2
    trials.close_test(test, by=ada)
    passes.advance(timezone.now())
    sweep.refresh_from_db()
    values = list(sweep.trials.order_by("number").values_list("values", flat=True))
    assert (values, sweep.state) == ([[3.0], [5.0]], Sweep.State.FINISHED)
