"""The tasks of the clock: from a metric to a mail and a webhook, and again without harm."""

import pytest
from django.conf import LazySettings
from django.core import mail
from django.core.cache import cache

from experiments import tasks
from experiments.alerts import webhooks
from experiments.models import Project, WebhookDelivery
from portal.models import User
from tests.experiments.alerts.cast import log, rule, running
from tests.experiments.alerts.receiver import receiving

pytestmark = pytest.mark.django_db


def test_what_the_clock_wakes_tells_of_a_metric_once(
    ada: User, project: Project, settings: LazySettings
) -> None:
    settings.EMAIL_URL, settings.WEBHOOK_HOSTS = "smtp://mail.example", {"127.0.0.1"}
    cache.clear()
    rule(ada, project)
    log(running(ada, project), [99.0])
    with receiving() as receiver:
        webhooks.create(by=ada, project=project, name="x", kind="json", url=receiver.url)
        for _ in range(2):
            tasks.watch_runs()
            tasks.send_notices()
        assert len(receiver.got) == len(mail.outbox) == 1
    assert WebhookDelivery.objects.get().state == "delivered"
