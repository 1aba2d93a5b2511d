"""One listener in two tabs: two first fetches make one row, and no report undoes another."""

import pytest

from experiments.models import Project
from listening import hearing, trials
from listening.models import Hearing, Item, Rating
from portal.models import User
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed
from tests.races.together import together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = 6


@pytest.fixture
def items(ada: User, rosa: User, project: Project) -> list[Item]:
    run = make_run(ada, project, make_allowed(rosa, 1))
    made = [make_sample(run, f"final/{number}") for number in range(ROUNDS)]
    test = trials.open_test(by=ada, project=project, title="T", question="Q", samples=made)
    return list(test.items.all())


def test_two_first_fetches_are_one_row(items: list[Item], lou: User) -> None:
    for item in items:
        together(
            *[lambda item=item: hearing.note_fetched(item=item, listener=lou)] * 3,
            refusals=(),
        )
        assert Hearing.objects.filter(item=item, listener=lou).count() == 1


def test_reports_and_an_answer_at_once_lose_nothing(items: list[Item], lou: User) -> None:
    def report(item: Item, start: int, end: int) -> Hearing:
        return hearing.note_played(item=item, listener=lou, stretches=[(start, end)], plays=1)

    for item in items:
        hearing.note_fetched(item=item, listener=lou)
        *_, answered = together(
            lambda item=item: report(item, 0, 100),
            lambda item=item: report(item, 400, 600),
            lambda item=item: trials.answer(item=item, listener=lou, score=3, measured=True),
            refusals=(hearing.NotHeard,),
        )
        row = Hearing.objects.get(item=item)
        assert (row.stretches, row.plays) == ([[0, 100], [400, 600]], 2)
        # 300 of 570 milliseconds: never enough, in whatever order they come.
        assert isinstance(answered, hearing.NotHeard)
        trials.answer(item=item, listener=lou, score=3)
        together(
            lambda item=item: report(item, 100, 400),
            lambda item=item: trials.answer(item=item, listener=lou, score=3, measured=True),
            refusals=(hearing.NotHeard,),
        )
        trials.answer(item=item, listener=lou, score=3)
        assert Rating.objects.get(item=item).heard == Rating.Heard.WHOLE
