"""run.alert: exactly once, also over a portal that is away, never too many, and never an error."""

import time

import pytest

from backline import describing
from backline.allowance import Allowance
from experiments.models import Alert, Notice, Project
from portal.models import User
from tests.backline.portal import Door
from tests.backline.test_client import Server, begin, door, spools, token

__all__ = ["door", "spools", "token"]

pytestmark = pytest.mark.django_db(transaction=True)


class Unwritable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def test_what_a_program_says_arrives_once_and_in_its_owners_inbox(
    live_server: Server, project: Project, token: str, ada: User, capfd: pytest.CaptureFixture[str]
) -> None:
    with begin(project, token, live_server.url) as run:
        run.alert("Validation diverged", "loss is 1e9", "error")
        # What is wrong with an alert is mended or said, and ends no training.
        run.alert("x" * 300, "y\0" * 3_000, "shouted")
        run.alert(Unwritable(), Unwritable())  # type: ignore[arg-type]
        run.alert("", None)  # type: ignore[arg-type]
    said = list(Alert.objects.order_by("pk").values_list("level", "title", "text", "source"))
    assert said[0] == ("error", "Validation diverged", "loss is 1e9", "program")
    assert said[1][:2] == ("info", "x" * 200)
    assert said[2][1] == "(a Unwritable that cannot be written: RuntimeError)"
    assert said[3][1:3] == ("Alert", "")
    assert "shouted" in capfd.readouterr().err
    assert Notice.objects.filter(user=ada, kind="alert").count() == 4
    run.alert("After the end")
    assert Alert.objects.count() == 4


def test_over_a_portal_that_is_away_and_loses_answers_each_alert_is_stored_once(
    door: Door, project: Project, token: str
) -> None:
    with begin(project, token, door.url) as run:
        door.broken = True
        for number in range(3):
            run.alert(f"Number {number}")
        run.flush()
        time.sleep(0.3)
        door.swallow, door.broken = 3, False
        for number in range(3, 6):
            run.alert(f"Number {number}")
    titles = list(Alert.objects.order_by("pk").values_list("title", flat=True))
    assert titles == [f"Number {number}" for number in range(6)]
    assert sum("/alerts" in line for line in door.seen) > 6


def test_a_loop_that_alerts_in_every_step_is_held_back_by_the_client(
    live_server: Server, project: Project, token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with begin(project, token, live_server.url) as run:
        for step in range(500):
            run.alert(f"Step {step}")
    assert Alert.objects.count() == 20
    assert capfd.readouterr().err.count("Alerts come faster than people read them") == 1


def test_an_allowance_fills_again_with_time_and_never_above_its_most() -> None:
    now = [0.0]
    allowance = Allowance(3, 10.0, clock=lambda: now[0])
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    now[0] = 9.9
    assert not allowance.take()
    now[0] = 10.1
    assert [allowance.take(), allowance.take()] == [True, False]
    now[0] = 10_000
    assert sum(allowance.take() for _ in range(10)) == 3


def test_an_alert_is_described_in_one_line() -> None:
    made = describing.alert("  a\n b ", "two\nlines", "warn", say=print)
    assert made is not None
    assert (made.title, made.text, made.level) == ("a b", "two\nlines", "warn")
