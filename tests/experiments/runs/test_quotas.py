"""What a project may take, and that projects take turns."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from experiments.clearance.permission import NotPermitted
from experiments.models import Attempt, Membership, Project, Run
from experiments.runs import quotas, runs
from experiments.runs.quotas import Waiting, fair_order, with_background
from portal import audit
from portal.models import User

START = datetime(2026, 11, 21, tzinfo=UTC)


def waiting(number: int, project: int, gpus: int = 1, quota: int | None = None) -> Waiting:
    since = START + timedelta(minutes=number)
    return Waiting(run=UUID(int=number), project=project, gpus=gpus, quota=quota, since=since)


def numbers(line: list[Waiting]) -> list[int]:
    return [one.run.int for one in line]


def submit(by: User, project: Project, **resources: object) -> Run:
    return runs.submit(by=by, project=project, recipe="tone_check", config={}, resources=resources)


def test_without_gpus_the_first_to_come_is_the_first_to_start() -> None:
    line = fair_order([waiting(3, 1, 0), waiting(1, 2, 0), waiting(2, 1, 0)], {})
    assert numbers(line.ready) == [1, 2, 3]


def test_projects_take_turns_however_many_runs_one_of_them_queues() -> None:
    many = [waiting(n, 1) for n in range(1, 5)]
    line = fair_order([*many, waiting(9, 2)], {})
    assert numbers(line.ready) == [1, 9, 2, 3, 4]


def test_the_project_with_the_least_gpus_per_quota_is_next() -> None:
    # 4 of 8 is more than 5 of 16.
    line = fair_order([waiting(1, 1, quota=8), waiting(2, 2, quota=16)], {1: 4, 2: 5})
    assert numbers(line.ready) == [2, 1]


def test_a_project_without_a_quota_is_not_always_first() -> None:
    line = fair_order([waiting(1, 1), waiting(2, 2, quota=8)], {1: 6, 2: 4})
    assert numbers(line.ready) == [2, 1]


def test_a_run_beyond_its_projects_gpus_is_held_and_small_ones_do_not_pass_it() -> None:
    line = fair_order(
        [
            waiting(1, 1, gpus=4, quota=4),
            waiting(2, 1, gpus=1, quota=4),
            waiting(3, 1, gpus=0, quota=4),
            waiting(4, 2, gpus=1),
        ],
        {1: 2},
    )
    assert sorted(numbers(line.ready)) == [3, 4]
    assert numbers(line.blocked) == [1, 2]


def test_the_place_in_the_queue_is_the_place_in_that_order(
    ada: User, ben: User, project: Project
) -> None:
    other = Project.objects.create(slug="other", name="Other")
    Membership.objects.create(project=other, user=ben)
    first, second, third = (submit(ada, project, gpus=1) for _ in range(3))
    theirs = submit(ben, other, gpus=1)
    assert [quotas.position(run) for run in (first, theirs, second, third)] == [1, 2, 3, 4]
    assert [run.pk for run in quotas.next_in_line()] == [
        run.pk for run in (first, theirs, second, third)
    ]
    runs.claim(first)
    assert runs.queue_position(first) == 0
    assert runs.queue_position(theirs) == 1


def test_a_project_never_has_more_gpus_at_work_than_its_quota(ada: User, project: Project) -> None:
    Project.objects.update(gpu_quota=2)
    first, second, third = (
        submit(ada, project, gpus=2),
        submit(ada, project, gpus=1),
        submit(ada, project),
    )
    assert runs.claim(first) is not None
    assert [run.pk for run in quotas.next_in_line()] == [third.pk]
    # Also where somebody claims it without having asked whose turn it is.
    assert runs.claim(Run.objects.get(pk=second.pk)) is None
    second.refresh_from_db()
    assert second.state == Run.State.QUEUED
    assert not second.attempts.exists()
    assert quotas.why_blocked(Run.objects.get(pk=second.pk)) == (
        "First light has 2 of its 2 GPUs at work and waits for its own runs."
    )


def test_the_background_takes_what_is_left_over_and_one_at_a_time() -> None:
    behind = [replace(waiting(n, 1, 0), background=True) for n in (1, 2)]
    alone = with_background(behind, {}, at_work=False)
    assert (numbers(alone.ready), numbers(alone.blocked)) == ([1], [2])
    beside = with_background(behind, {}, at_work=True)
    assert (numbers(beside.ready), numbers(beside.blocked)) == ([], [1, 2])
    # Others go first, however late they came, also those that wait for GPUs of their own project.
    late = with_background([*behind, waiting(8, 2), waiting(9, 3, 4, 2)], {}, at_work=False)
    assert (numbers(late.ready), numbers(late.blocked)) == ([8], [9, 1, 2])


def test_no_run_in_the_background_starts_while_another_waits_or_works(
    ada: User, project: Project
) -> None:
    night = Project.objects.create(slug="night", name="Night shift", background=True)
    Membership.objects.create(project=night, user=ada)
    first, second = submit(ada, night), submit(ada, night)
    assert [run.pk for run in quotas.next_in_line()] == [first.pk]
    mine = submit(ada, project)
    assert [run.pk for run in quotas.next_in_line()] == [mine.pk]
    assert [quotas.position(run) for run in (mine, first, second)] == [1, 2, 3]
    # Also where somebody claims it without having asked whose turn it is.
    assert runs.claim(Run.objects.get(pk=first.pk)) is None
    assert runs.claim(mine) is not None
    assert runs.claim(Run.objects.get(pk=first.pk)) is None
    assert quotas.why_blocked(Run.objects.get(pk=first.pk)) == (
        "Night shift is in the background: one starts while no other waits or works."
    )
    runs.move(mine, (Run.State.STARTING,), Run.State.FINISHED)
    assert quotas.why_blocked(Run.objects.get(pk=first.pk)) == ""
    assert runs.claim(Run.objects.get(pk=first.pk)) is not None
    assert runs.claim(Run.objects.get(pk=second.pk)) is None


def test_an_owner_sends_a_project_into_the_background(
    client: Client, ada: User, project: Project
) -> None:
    client.force_login(ada)
    address = reverse("experiments:project_quotas", args=[project.slug])
    assert client.post(address, {"background": "on"}).status_code == 302
    project.refresh_from_db()
    assert project.background
    line = audit.history(project).filter(verb="project.quota")[0]
    assert (line.body["was"]["background"], line.body["now"]["background"]) == (False, True)
    page = client.get(reverse("experiments:project_settings", args=[project.slug]))
    assert "no → yes" in page.content.decode()
    assert 'name="background" type="checkbox" checked' in page.content.decode()


def test_a_run_that_could_never_start_is_not_queued(ada: User, project: Project) -> None:
    Project.objects.update(gpu_quota=2)
    with pytest.raises(runs.OverQuota, match="2 GPUs at work at once; this run asks for 4"):
        submit(ada, project, gpus=4)
    assert not Run.objects.exists()


def test_gpu_hours_running_and_waiting_are_limited_with_a_sentence_and_numbers(
    ada: User, project: Project
) -> None:
    Project.objects.update(gpu_hour_quota=20)
    submit(ada, project, gpus=2, max_hours=8)
    with pytest.raises(runs.OverQuota) as refusal:
        submit(ada, project, gpus=1, max_hours=5)
    assert (refusal.value.limit, refusal.value.taken, refusal.value.asked) == (20, 16, 5)
    assert "16.0 are taken, so 4.0 are left, and this run asks for 5.0" in str(refusal.value)
    submit(ada, project, gpus=1, max_hours=4)
    submit(ada, project, max_hours=700)


def test_of_a_running_run_only_the_hours_that_are_left_count(ada: User, project: Project) -> None:
    run = submit(ada, project, gpus=2, max_hours=8)
    attempt = runs.claim(run)
    assert attempt is not None
    runs.mark_started(attempt)
    Attempt.objects.update(started_at=timezone.now() - timedelta(hours=3))
    assert quotas.hours_taken(project) == pytest.approx(10, abs=0.01)


def test_trying_again_asks_the_quota_too(ada: User, project: Project) -> None:
    run = submit(ada, project, gpus=1, max_hours=8)
    runs.cancel(run=run, by=ada)
    Project.objects.update(gpu_hour_quota=4)
    with pytest.raises(runs.OverQuota):
        runs.retry(run=run, by=ada)


def test_owners_and_operators_set_quotas_and_it_is_written_down(
    ada: User, ben: User, olga: User, project: Project
) -> None:
    Membership.objects.create(project=project, user=ben)
    with pytest.raises(NotPermitted):
        quotas.change(by=ben, project=project, gpu_quota=8, gpu_hour_quota=None)
    quotas.change(by=olga, project=project, gpu_quota=8, gpu_hour_quota=None)
    quotas.change(by=ada, project=project, gpu_quota=8, gpu_hour_quota=100)
    quotas.change(by=ada, project=project, gpu_quota=8, gpu_hour_quota=100)
    lines = list(audit.history(project))
    assert [line.actor for line in lines] == [ada, olga]
    assert lines[0].verb == "project.quota"
    assert lines[0].body == {
        "was": {"gpu_quota": 8, "gpu_hour_quota": None},
        "now": {"gpu_quota": 8, "gpu_hour_quota": 100},
    }
