"""A rule's condition that comes true is told once: whoever evaluates, and however often."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from experiments.alerts import rules, watching
from experiments.models import (
    Alert,
    AlertRule,
    Attempt,
    Membership,
    Notice,
    Project,
    RuleWatch,
    Run,
)
from portal.models import User
from tests.experiments.alerts.cast import end, log, rule, running

pytestmark = pytest.mark.django_db

NAN = float("nan")
State = Run.State


def said() -> list[str]:
    return [alert.text for alert in Alert.objects.order_by("pk")]


def test_a_metric_above_its_limit_is_told_once(ada: User, project: Project) -> None:
    rule(ada, project)
    run = running(ada, project)
    log(run, [1.0, 2.0])
    assert watching.run_pass() == 0
    log(run, [11.0], first=2)
    assert [watching.run_pass() for _ in range(3)] == [1, 0, 0]
    assert said() == ["loss is 11, above 10, at step 2."]
    notice = Notice.objects.get()
    assert (notice.user, notice.level) == (ada, "warn")
    assert notice.title == "loss: the last value above 10: Probe (run 1)"
    assert notice.url == run.get_absolute_url()


def test_a_metric_that_comes_back_and_passes_its_limit_again_is_told_again(
    ada: User, project: Project
) -> None:
    rule(ada, project)
    run = running(ada, project)
    raised = []
    for first, value in enumerate([11.0, 9.0, 12.0, 13.0]):
        log(run, [value], first=first)
        raised.append(watching.run_pass())
    assert raised == [1, 0, 1, 0]


def test_within_the_cooldown_nothing_is_told_and_after_it_what_still_holds_is(
    ada: User, project: Project
) -> None:
    rule(ada, project, cooldown_minutes=10)
    run = running(ada, project)
    now = timezone.now()
    raised = []
    for minute, value in ((0, 11.0), (1, 9.0), (2, 12.0), (5, 12.0), (11, 12.0), (12, 12.0)):
        log(run, [value], first=minute)
        raised.append(watching.run_pass(now + timedelta(minutes=minute)))
    assert raised == [1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("fields", "values", "found"),
    [
        ({"comparison": "lt", "value": 0.1}, [0.5, 0.05], True),
        ({"comparison": "lt", "value": 0.1}, [0.05, 0.5], False),
        ({"comparison": "lt", "value": 0.1, "summary": "minimum"}, [0.05, 0.5], True),
        ({"comparison": "gte", "value": 7.0, "summary": "maximum"}, [7.0, 0.5], True),
        ({"comparison": "gt", "value": 7.0, "summary": "maximum"}, [7.0, 0.5], False),
        ({"comparison": "lte", "value": 0.5}, [7.0, 0.5], True),
        # What is not finite is neither above nor under anything.
        ({"comparison": "gt", "value": -1e9}, [NAN], False),
        ({"comparison": "gt", "value": 1.0, "metric": "other"}, [5.0], False),
    ],
)
def test_which_value_is_compared_and_how(
    ada: User, project: Project, fields: dict[str, Any], values: list[float], found: bool
) -> None:
    rule(ada, project, **fields)
    log(running(ada, project), values)
    assert watching.run_pass() == found


def test_nan_from_the_first_step_on_is_found_by_its_own_rule_and_told_once(
    ada: User, project: Project
) -> None:
    rule(ada, project, "not_finite", metric="loss")
    rule(ada, project)
    run = running(ada, project)
    log(run, [NAN, NAN])
    assert [watching.run_pass(), watching.run_pass()] == [1, 0]
    log(run, [NAN, 1.0, NAN], first=2)
    assert watching.run_pass() == 0
    assert said() == ["loss is NaN or infinite in 2 of the 2 points up to step 1."]


def test_one_nan_between_two_passes_is_found(ada: User, project: Project) -> None:
    rule(ada, project, "not_finite", metric="loss")
    log(running(ada, project), [1.0, float("inf"), 1.0])
    assert watching.run_pass() == 1


def test_a_metric_that_no_longer_improves(ada: User, project: Project) -> None:
    rule(ada, project, "stalled", metric="loss", better="lower", value=3)
    run = running(ada, project)
    log(run, [3.0, 1.0, 2.0, 2.0])
    assert watching.run_pass() == 0
    log(run, [2.0], first=4)
    assert [watching.run_pass(), watching.run_pass()] == [1, 0]
    # Better once more, and then another wait: another time.
    log(run, [0.5, 1.0, 1.0, 1.0], first=5)
    assert watching.run_pass() == 1
    assert said()[0] == ("loss was best (1) at step 1 and has not improved in the 3 steps since.")


def test_a_metric_that_was_only_ever_nan_has_no_best_value_to_wait_for(
    ada: User, project: Project
) -> None:
    rule(ada, project, "stalled", metric="loss", better="higher", value=2)
    log(running(ada, project), [NAN] * 10)
    assert watching.run_pass() == 0


def test_what_holds_when_the_rule_is_made_is_told_and_what_is_over_is_not(
    ada: User, project: Project
) -> None:
    over, going = running(ada, project), running(ada, project)
    log(over, [99.0])
    log(going, [99.0])
    end(over, State.FAILED)
    rule(ada, project)
    rule(ada, project, "state", states=["failed"])
    assert watching.run_pass() == 1
    assert Alert.objects.get().run == going


def test_a_run_that_ends_between_two_passes_is_still_looked_at(ada: User, project: Project) -> None:
    rule(ada, project)
    rule(ada, project, "state", states=["failed"])
    run = running(ada, project)
    watching.run_pass()
    log(run, [99.0])
    end(run, State.FAILED, "CUDA out of memory.")
    assert [watching.run_pass(), watching.run_pass()] == [2, 0]
    assert "Failed. CUDA out of memory." in said()


def test_a_portal_that_was_down_for_days_tells_of_what_ended_meanwhile(
    ada: User, project: Project
) -> None:
    rule(ada, project, "state", states=["finished"])
    run = running(ada, project)
    now = timezone.now()
    watching.run_pass(now)
    end(run, State.FINISHED)
    assert watching.run_pass(now + timedelta(days=3)) == 1
    assert [watching.run_pass(now + timedelta(days=3, minutes=n)) for n in (1, 20)] == [0, 0]


def test_a_run_that_fails_again_is_told_again(ada: User, project: Project) -> None:
    rule(ada, project, "state", states=["failed", "cancelled"])
    run = running(ada, project)
    for reason in ("First.", "Second."):
        end(run, State.FAILED, reason)
        assert watching.run_pass() == 1
    assert said() == ["Failed. First.", "Failed. Second."]


def test_lost_attempts_silence_waiting_idleness_and_ended_permissions(
    ada: User, project: Project
) -> None:
    now = timezone.now()
    for kind, fields in (
        ("lost", {}), ("silent", {"value": 5.0}), ("waiting", {"value": 30.0}), ("idle", {}),
        ("permission", {}),
    ):  # fmt: skip
        rule(ada, project, kind, **fields)
    lost = running(ada, project, "lost")
    Attempt.objects.create(
        run=lost, number=1, job_name="j", state=Attempt.State.LOST, reason="Node gone.",
        ended_at=timezone.now(),
    )  # fmt: skip
    silent = running(ada, project, "silent")
    quiet_for = {"heartbeat_at": now - timedelta(minutes=6), "started_at": now - timedelta(hours=1)}
    Run.objects.filter(pk=silent.pk).update(**quiet_for)
    # Its last attempt was heard of long ago; this one has just begun.
    retried = running(ada, project, "retried")
    Run.objects.filter(pk=retried.pk).update(heartbeat_at=now - timedelta(hours=1))
    running(
        ada, project, "waits", state=State.QUEUED, queued_at=now - timedelta(minutes=31),
        state_reason="No room.",
    )  # fmt: skip
    running(ada, project, "idle", warning="Its GPUs were busy under 5 %.", warned_at=now)
    held = running(ada, project, "held", state=State.STOPPING, stop_as="withheld")
    assert watching.run_pass(now) == 5
    assert sorted(Alert.objects.values_list("run__name", flat=True)) == [
        "held", "idle", "lost", "silent", "waits",
    ]  # fmt: skip
    assert "Attempt 1 was lost. Node gone." in said()
    assert "It has waited for 31 min. No room." in said()
    # It is stopping first, and stopped then: that is one ending of a permission.
    end(held, State.WITHHELD)
    assert watching.run_pass(now) == 0


def test_a_run_that_costs_more_than_it_may(
    ada: User, project: Project, settings: LazySettings
) -> None:
    rule(ada, project, "cost", value=2.0)
    run = running(ada, project, resources={"gpus": 1, "cpus": 1, "memory_gb": 1, "max_hours": 9})
    started = timezone.now() - timedelta(hours=3)
    Attempt.objects.create(run=run, number=1, job_name="j", state="running", started_at=started)
    assert watching.run_pass() == 0, "This portal has no prices."
    settings.GPU_PRICES = {"any": 1}
    assert [watching.run_pass(), watching.run_pass()] == [1, 0]
    assert said() == ["It has cost 3.00 EUR, more than 2.00 EUR."]


def test_whose_runs_a_rule_speaks_of(ada: User, ben: User, project: Project) -> None:
    Membership.objects.create(project=project, user=ben)
    hers, his = running(ada, project, "hers", tags=["base"]), running(ben, project, "his")
    for run in (hers, his):
        log(run, [99.0])
    rule(ada, project, scope="mine", name="mine")
    rule(ada, project, scope="query", query="name:his", name="query")
    rule(ben, project, audience="me", name="ben's own")
    watching.run_pass()
    told = sorted(Notice.objects.values_list("user__username", "title"))
    assert told == [
        ("ada", "mine: hers (run 1)"),
        ("ben", "ben's own: hers (run 1)"),
        ("ben", "ben's own: his (run 2)"),
        ("ben", "query: his (run 2)"),
    ]
    # What a person watches for themselves is nobody else's to read.
    assert Alert.objects.visible_to(ada).count() == 2
    assert Alert.objects.visible_to(ben).count() == 4


def test_a_member_who_left_is_told_nothing_more(ada: User, ben: User, project: Project) -> None:
    member = Membership.objects.create(project=project, user=ben)
    rule(ben, project, audience="me")
    rule(ada, project, audience="members")
    run = running(ben, project)
    log(run, [99.0])
    watching.run_pass()
    assert Notice.objects.filter(user=ben).count() == 2
    member.delete()
    assert not Notice.objects.visible_to(ben).exists()
    log(run, [1.0], first=1)
    watching.run_pass()
    log(run, [99.0], first=2)
    watching.run_pass()
    assert Notice.objects.filter(user=ben).count() == 2
    assert Notice.objects.filter(user=ada).count() == 2


def test_a_query_that_cannot_be_read_any_more_is_said_on_the_rule_and_stops_no_other(
    ada: User, project: Project
) -> None:
    broken = rule(ada, project, scope="query", query="name:x")
    AlertRule.objects.filter(pk=broken.pk).update(query="colour=blue")
    rule(ada, project)
    log(running(ada, project), [99.0])
    assert watching.run_pass() == 1
    broken.refresh_from_db()
    assert broken.problem.startswith("Its query cannot be read: ")
    AlertRule.objects.filter(pk=broken.pk).update(query="name:x")
    watching.run_pass()
    broken.refresh_from_db()
    assert broken.problem == ""


def test_a_rule_that_is_switched_off_and_on_begins_anew(ada: User, project: Project) -> None:
    made = rule(ada, project)
    log(running(ada, project), [99.0])
    assert watching.run_pass() == 1
    rules.switch(by=ada, rule=made, on=False)
    assert watching.run_pass() == 0
    made.refresh_from_db()
    rules.switch(by=ada, rule=made, on=True)
    assert [watching.run_pass(), watching.run_pass()] == [1, 0]
    assert RuleWatch.objects.get().crossings == 2


def test_what_a_deleted_rule_said_stays(ada: User, project: Project) -> None:
    made = rule(ada, project)
    log(running(ada, project), [99.0])
    watching.run_pass()
    rules.delete(by=ada, rule=made)
    assert Alert.objects.get().rule is None


def test_hundreds_that_fail_together_are_hundreds_of_alerts_and_a_handful_of_lines(
    ada: User, project: Project
) -> None:
    rule(ada, project, "state", states=["failed"])
    Run.objects.bulk_create(
        Run(
            project=project, number=n, name="sweep", submitted_by=ada, state=State.FAILED,
            ended_at=timezone.now(),
        )
        for n in range(1, 61)
    )  # fmt: skip
    assert watching.run_pass() == 60
    lines = list(Notice.objects.filter(user=ada).order_by("pk"))
    assert [line.kind for line in lines] == ["alert"] * 5 + ["many"]
    assert sum(line.count for line in lines) == 60
    assert lines[-1].url.endswith("/alerts/")


def test_a_quiet_pass_writes_nothing(
    ada: User, project: Project, django_assert_num_queries: Any
) -> None:
    rule(ada, project)
    log(running(ada, project), [99.0])
    watching.run_pass()
    with django_assert_num_queries(5) as asked:
        watching.run_pass()
    assert all(one["sql"].startswith("SELECT") for one in asked.captured_queries)
