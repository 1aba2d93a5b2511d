"""In what a run computes is kept with it, for its later attempts and for whoever repeats it."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from backline.wire import Arithmetic
from experiments.models import Project, Run
from experiments.runs import arithmetic, run_spec, runs
from portal import tokens
from portal.models import User

CHOSEN = Arithmetic(precision="fp32", threads=2, reason="This processor has no bf16.")
LATER = Arithmetic(precision="bf16", threads=1, reason="Another machine.")


def queue(ada: User, project: Project, **changes: Any) -> Run:
    """Any recipe will do: what is copied is the row."""
    return runs.submit(by=ada, project=project, recipe="tone_check", config={}, **changes)


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return queue(ada, project)


def post(client: Client, run: Run, body: object, token: str = "") -> Any:
    return client.post(
        f"/api/v1/runs/{run.pk}/arithmetic",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


def test_the_programs_word_is_kept_and_told_to_the_next_attempt(
    client: Client, ada: User, run: Run
) -> None:
    _, token = tokens.issue(ada, "run", scope=f"run:{run.pk}", by=ada)
    assert run_spec.spec_of(run).arithmetic is None
    answer = post(client, run, CHOSEN.model_dump(), token)
    assert (answer.status_code, answer.json()["duplicate"]) == (200, False)
    run.refresh_from_db()
    assert run_spec.spec_of(run).arithmetic == CHOSEN


def test_of_two_answers_the_first_one_stays(client: Client, ada: User, run: Run) -> None:
    _, token = tokens.issue(ada, "run", scope=f"run:{run.pk}", by=ada)
    post(client, run, CHOSEN.model_dump(), token)
    answer = post(client, run, LATER.model_dump(), token)
    assert (answer.status_code, answer.json()["duplicate"]) == (200, True)
    run.refresh_from_db()
    assert arithmetic.arithmetic_of(run) == CHOSEN


@pytest.mark.parametrize(
    "body",
    [
        {"precision": "fp8", "threads": 2},
        {"precision": "auto", "threads": 2},
        {"precision": "fp32", "threads": 0},
        {"precision": "fp32", "threads": 2**63},
        {"precision": "fp32", "threads": 2, "reason": "x" * 501},
        {},
    ],
)
def test_what_is_no_arithmetic_is_refused(client: Client, ada: User, run: Run, body: Any) -> None:
    _, token = tokens.issue(ada, "run", scope=f"run:{run.pk}", by=ada)
    assert post(client, run, body, token).status_code == 422
    run.refresh_from_db()
    assert run.arithmetic is None


def test_another_runs_program_and_a_stranger_may_not_say_it(
    client: Client, ada: User, ben: User, project: Project, run: Run
) -> None:
    _, token = tokens.issue(ada, "run", scope=f"run:{queue(ada, project).pk}", by=ada)
    assert post(client, run, CHOSEN.model_dump(), token).status_code == 403
    client.force_login(ben)
    assert post(client, run, CHOSEN.model_dump()).status_code == 404
    run.refresh_from_db()
    assert run.arithmetic is None


def test_of_a_run_that_has_ended_only_its_own_program_may_still_say_it(
    client: Client, ada: User, run: Run
) -> None:
    _, token = tokens.issue(ada, "run", scope=f"run:{run.pk}", by=ada)
    runs.cancel(run=run, by=ada)
    client.force_login(ada)
    answer = post(client, run, CHOSEN.model_dump())
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        f"Run {run.number} has ended; it takes nothing new.",
    )
    client.logout()
    assert post(client, run, CHOSEN.model_dump(), token).status_code == 200


def test_a_rerun_computes_as_the_first_did_also_if_it_was_queued_before(
    ada: User, run: Run
) -> None:
    early = runs.rerun(run=run, by=ada)
    later_of_early = runs.rerun(run=early, by=ada)
    arithmetic.store_choice(run, CHOSEN)
    late = runs.rerun(run=Run.objects.get(pk=run.pk), by=ada)
    for again in (early, late, later_of_early):
        assert run_spec.spec_of(Run.objects.get(pk=again.pk)).arithmetic == CHOSEN


def test_a_copy_with_changes_chooses_anew(ada: User, project: Project, run: Run) -> None:
    arithmetic.store_choice(run, CHOSEN)
    run.refresh_from_db()
    named = queue(ada, project, copied_from=run, name="the same, by another name")
    assert run_spec.spec_of(named).arithmetic == CHOSEN
    seeded = runs.submit(
        by=ada, project=project, recipe="tone_check", config={"seed": 9}, copied_from=run
    )
    larger = queue(ada, project, copied_from=run, resources={"cpus": 4})
    for changed in (seeded, larger):
        assert run_spec.spec_of(changed).arithmetic is None


def test_the_runs_page_and_the_api_say_it(client: Client, ada: User, run: Run) -> None:
    client.force_login(ada)
    page = reverse("experiments:run_config", args=[run.project.slug, run.number])
    assert "2 threads" not in client.get(page).content.decode()
    arithmetic.store_choice(run, CHOSEN)
    shown = client.get(page).content.decode()
    assert "fp32 on 2 threads" in shown
    assert CHOSEN.reason in shown
    said = client.get(f"/api/v1/runs/{run.pk}").json()
    assert said["arithmetic"] == CHOSEN.model_dump()


def test_compare_shows_that_two_runs_computed_otherwise(
    client: Client, ada: User, run: Run
) -> None:
    other = runs.rerun(run=run, by=ada)
    arithmetic.store_choice(run, CHOSEN)
    arithmetic.store_choice(other, LATER)
    client.force_login(ada)
    page = reverse("experiments:compare", args=[run.project.slug])
    shown = client.get(page, {"runs": f"{run.number},{other.number}"}).content.decode()
    assert "arithmetic.precision" in shown
    assert "arithmetic.threads" in shown
    # How many milliseconds were measured differs always.
    assert "arithmetic.reason" not in shown
