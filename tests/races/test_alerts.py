"""Two workers at the same moment, on PostgreSQL: each crossing is told once, each message sent
once, each mail written once."""

from functools import partial

import pytest
from django.conf import LazySettings
from django.core import mail
from django.utils import timezone

from experiments.alerts import sending, watching
from experiments.alerts import webhooks as hooks
from experiments.inbox import mails
from experiments.models import Alert, Notice, Project, RuleWatch, Run, WebhookDelivery
from portal.models import User
from tests.experiments.alerts.cast import end, log, rule, running
from tests.experiments.alerts.receiver import receiving
from tests.races.together import together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = 6


def test_two_workers_that_evaluate_at_once_tell_of_each_crossing_once(
    ada: User, project: Project, settings: LazySettings
) -> None:
    settings.WEBHOOK_HOSTS = {"127.0.0.1"}
    settings.EMAIL_URL = "smtp://mail.example"
    hooks.create(by=ada, project=project, name="x", kind="json", url="http://127.0.0.1:9/")
    rule(ada, project)
    rule(ada, project, "state", states=["failed"])
    for number in range(ROUNDS):
        group = [running(ada, project, f"{number}-{n}") for n in range(4)]
        for run in group:
            log(run, [99.0])
        for run in group[:2]:
            end(run, Run.State.FAILED)
        now = timezone.now()
        told = together(*[partial(watching.run_pass, now)] * 3, refusals=())
        assert sum(int(str(count)) for count in told) == 6
    assert Alert.objects.count() == 6 * ROUNDS
    assert RuleWatch.objects.filter(crossings=1).count() == RuleWatch.objects.count()
    assert sum(notice.count for notice in Notice.objects.all()) == 6 * ROUNDS
    sent = WebhookDelivery.objects.all()
    assert sum(one.payload.get("count", 1) for one in sent) == 6 * ROUNDS
    written = together(*[mails.send_due] * 3, refusals=())
    assert sorted(map(str, written)) == ["0", "0", "1"]
    assert len(mail.outbox) == 1


def test_two_workers_send_each_message_once(
    ada: User, project: Project, settings: LazySettings
) -> None:
    settings.WEBHOOK_HOSTS = {"127.0.0.1"}
    with receiving() as receiver:
        webhook, _ = hooks.create(by=ada, project=project, name="x", kind="json", url=receiver.url)
        for _ in range(10):
            hooks.send_test(by=ada, webhook=webhook)
        together(*[sending.run_pass] * 3, refusals=())
        assert len(receiver.got) == 10
        assert len({got.headers["Backline-Delivery"] for got in receiver.got}) == 10
