"""Alerts over the API: what a run's token may say, and who reads it."""

import pytest

from experiments.alerts import alerts
from experiments.models import Alert, Project, Run
from portal.models import User
from tests.experiments.test_api import own, run, whole

__all__ = ["run"]

pytestmark = pytest.mark.django_db

BODY = {"title": "Diverged", "text": "loss is NaN", "level": "error"}


def test_the_same_number_of_a_session_counts_once(run: Run, ada: User) -> None:
    caller = own(run, ada)
    path = f"/runs/{run.pk}/alerts?session=a&number="
    assert caller.post(path + "1", BODY).json() == {"points": 0, "duplicate": False}
    assert caller.post(path + "1", BODY).json() == {"points": 0, "duplicate": True}
    assert caller.post(path + "2", BODY).json()["duplicate"] is False
    assert Alert.objects.count() == 2


def test_a_run_says_so_much_and_no_more(
    run: Run, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "MOST_OF_PROGRAM", 2)
    caller = own(run, ada)
    answers = [
        caller.post(f"/runs/{run.pk}/alerts?session=a&number={n}", BODY) for n in (1, 2, 3, 2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 409, 200]
    assert "more are not stored" in answers[2].json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"title": ""}, {"title": "x" * 201}, {"title": "x", "text": "x" * 2_001},
        {"title": "x", "level": "panic"}, {"title": "a\0b"}, {"title": 3}, {},
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused(run: Run, ada: User, body: dict[str, object]) -> None:
    answer = own(run, ada).post(f"/runs/{run.pk}/alerts?session=a&number=1", body)
    assert answer.status_code == 422
    assert not Alert.objects.exists()


def test_who_may_say_and_who_may_read(run: Run, project: Project, ada: User, ben: User) -> None:
    path = f"/runs/{run.pk}/alerts?session=a&number=1"
    assert whole(ben).post(path, BODY).status_code == 404
    assert own(run, ada).post(path, BODY).status_code == 200
    listed = whole(ada).get(f"/projects/{project.slug}/alerts").json()
    assert listed["count"] == 1
    assert listed["items"][0]["title"] == "Diverged"
    assert listed["items"][0]["run_number"] == run.number
    assert whole(ben).get(f"/projects/{project.slug}/alerts").status_code == 404
    assert own(run, ada).get(f"/projects/{project.slug}/alerts").status_code == 403


def test_a_run_that_has_ended_says_nothing_new(run: Run, ada: User) -> None:
    caller = own(run, ada)
    caller.post(f"/runs/{run.pk}/alerts?session=a&number=1", BODY)
    caller.post(f"/runs/{run.pk}/ending?session=a", {"outcome": "finished"})
    late = caller.post(f"/runs/{run.pk}/alerts?session=a&number=2", BODY)
    assert late.status_code == 409
    assert "has ended" in late.json()["detail"]
