"""What a run takes after its end: the rest of its own deliveries, and nothing new."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from backline import wire
from experiments.models import Attempt, Checkpoint, Project, Run
from experiments.models.sessions import Session
from experiments.runs import runs
from experiments.runs.attempts import LATE_DELIVERY
from portal import tokens
from portal.models import User
from tests.tones import tone

pytestmark = pytest.mark.django_db


class Door:
    """The API with one token, as the sender of a program uses it."""

    def __init__(self, run: Run, secret: str) -> None:
        self.client = Client(headers={"authorization": f"Bearer {secret}"})
        self.base = f"/api/v1/runs/{run.pk}"

    def _post(self, path: str, session: str, data: Any, **how: Any) -> int:
        query = f"?session={session}" if session else ""
        return self.client.post(f"{self.base}/{path}{query}", data, **how).status_code

    def sample(self, session: str = "", name: str = "late") -> int:
        file = SimpleUploadedFile("clip", tone(seconds=0.5).getvalue())
        return self._post("samples", session, {"meta": json.dumps({"name": name}), "file": file})

    def checkpoint(self, session: str = "", weights: bytes = b"weights", step: int = 5) -> int:
        meta = {"step": step, "sha256": hashlib.sha256(weights).hexdigest()}
        file = SimpleUploadedFile("weights", weights)
        return self._post("checkpoints", session, {"meta": json.dumps(meta), "file": file})

    def usage(self, session: str = "") -> int:
        report = wire.UsageReport(step=1, lines=[]).model_dump_json()
        return self._post("usage", session, report, content_type="application/json")

    def all(self, session: str = "") -> set[int]:
        return {self.sample(session), self.checkpoint(session), self.usage(session)}

    def ending(self, session: str = "") -> int:
        ending = wire.Ending(outcome="finished").model_dump_json()
        return self._post("ending", session, ending, content_type="application/json")

    def begin(self, session: str) -> int:
        return self.client.get(f"{self.base}/spec?session={session}").status_code


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    made = runs.submit(by=ada, project=project, recipe="program", config={})
    attempt = runs.claim(made)
    assert attempt is not None
    token, made.secret = tokens.issue(ada, "run", scope=f"run:{made.pk}")  # type: ignore[attr-defined]
    Attempt.objects.filter(pk=attempt.pk).update(token=token)
    runs.mark_started(attempt)
    return made


@pytest.fixture
def own(run: Run) -> Door:
    return Door(run, run.secret)  # type: ignore[attr-defined]


@pytest.fixture
def member(run: Run, ada: User) -> Door:
    return Door(run, tokens.issue(ada, "script")[1])


def finish(run: Run) -> None:
    assert runs.finish(run.attempts.get())
    run.refresh_from_db()


def test_while_it_goes_on_everything_is_taken(own: Door, member: Door) -> None:
    assert own.all("attempt-1") == {200}
    assert member.all() == {200}


def test_late_is_what_comes_of_a_session_that_was_heard_of_before(run: Run, own: Door) -> None:
    """By the question for the run alone: the portal may be away from then to the end."""
    assert own.begin("attempt-1") == 200
    finish(run)
    assert own.all("attempt-1") == {200}


def test_a_session_that_nobody_has_heard_of_is_new(run: Run, own: Door) -> None:
    own.begin("attempt-1")
    finish(run)
    assert own.all("attempt-1-0a1b2c") == {409}
    assert own.all("attempt-1-rank-7") == {409}
    assert not Checkpoint.objects.exists()


def test_after_its_ending_a_session_has_nothing_more_to_say(run: Run, own: Door) -> None:
    own.begin("attempt-1")
    finish(run)
    assert own.checkpoint("attempt-1") == 200
    assert own.ending("attempt-1") == 200
    assert own.all("attempt-1") == {409}
    assert own.all() == {409}
    # Its answer may have been lost.
    assert own.ending("attempt-1") == 200


def test_one_session_of_several_goes_on_when_another_has_ended(run: Run, own: Door) -> None:
    own.begin("attempt-1")
    own.begin("attempt-1-rank-1")
    own.ending("attempt-1-rank-1")
    finish(run)
    assert own.all("attempt-1-rank-1") == {409}
    assert own.all("attempt-1") == {200}


def test_a_client_that_names_no_session_still_brings_the_rest(run: Run, own: Door) -> None:
    own.begin("attempt-1")
    finish(run)
    assert own.all() == {200}


def test_a_member_brings_no_weights_and_no_sound_to_a_run_that_has_ended(
    run: Run, own: Door, member: Door
) -> None:
    own.begin("attempt-1")
    finish(run)
    assert member.all("attempt-1") == {409}
    assert member.all() == {409}


@pytest.mark.parametrize("state", ["finished", "failed", "cancelled", "withheld"])
def test_it_is_the_same_however_the_run_ended(run: Run, member: Door, state: str) -> None:
    Run.objects.filter(pk=run.pk).update(state=state, ended_at=timezone.now())
    assert member.all() == {409}


def test_a_day_later_it_is_over(run: Run, own: Door) -> None:
    own.begin("attempt-1")
    finish(run)
    Run.objects.update(ended_at=timezone.now() - LATE_DELIVERY - timedelta(minutes=1))
    assert own.all("attempt-1") == {409}


def test_the_token_of_one_attempt_brings_nothing_of_another(run: Run, own: Door) -> None:
    Session.objects.create(run=run, name="attempt-2")
    finish(run)
    assert own.all("attempt-2") == {409}


def test_the_weights_of_a_finished_run_are_not_replaced_by_late_ones(run: Run, own: Door) -> None:
    own.begin("attempt-1")
    assert own.checkpoint("attempt-1") == 200
    finish(run)
    assert own.checkpoint("attempt-1", b"others") == 409
    assert own.checkpoint("attempt-1") == 200
    assert own.checkpoint("attempt-1", b"others", step=6) == 200
    assert Checkpoint.every.count() == 2


def test_a_run_from_outside_takes_nothing_after_its_own_ending(ada: User, project: Project) -> None:
    run = runs.open_client_run(by=ada, project=project)
    own = Door(run, tokens.issue(ada, "run", scope=f"run:{run.pk}")[1])
    own.sample("20261129T100000-0a1b2c")
    own.ending("20261129T100000-0a1b2c")
    assert own.all("20261129T100000-0a1b2c") == {409}
    assert own.all() == {409}


def test_a_run_from_outside_that_was_only_silent_goes_on(ada: User, project: Project) -> None:
    """It may have been away from its first word on."""
    run = runs.open_client_run(by=ada, project=project)
    own = Door(run, tokens.issue(ada, "run", scope=f"run:{run.pk}")[1])
    runs.close_client_run(run, outcome="silent")
    assert own.all("20261129T100000-0a1b2c") == {200}


def test_a_name_that_is_too_long_is_a_sentence(run: Run, own: Door) -> None:
    assert own.all("a" * 41) == {422}
