"""Webhooks: signed, tried again, given up with notice, and quiet about what is secret."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from experiments.alerts import keys, outbound, sending, watching, webhooks
from experiments.clearance.permission import NotPermitted
from experiments.models import Alert, Membership, Notice, Project, Run, Webhook, WebhookDelivery
from portal import audit
from portal.models import User
from tests.experiments.alerts.cast import end, log, rule, running
from tests.experiments.alerts.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db

State = WebhookDelivery.State


@pytest.fixture(autouse=True)
def _loopback(settings: LazySettings) -> None:
    settings.WEBHOOK_HOSTS = {"127.0.0.1"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def enter(by: User, project: Project, url: str, kind: str = "json", **fields: object) -> Webhook:
    made, _ = webhooks.create(
        by=by,
        project=project,
        name="pager",
        kind=kind,
        url=url,
        **fields,  # type: ignore[arg-type]
    )
    return made


def diverge(by: User, project: Project, name: str = "Probe") -> Run:
    """A run of which one alert is raised."""
    rule(by, project, name="Diverged")
    run = running(by, project, name)
    log(run, [99.0])
    watching.run_pass()
    return run


def test_an_alert_arrives_signed_and_says_what_happened_where(
    ada: User, project: Project, receiver: Receiver
) -> None:
    webhook, secret = webhooks.create(
        by=ada, project=project, name="pager", kind="json", url=receiver.url
    )
    run = diverge(ada, project)
    assert sending.run_pass() == 1
    (got,) = receiver.got
    stamp, signed = got.headers["Backline-Signature"].split(",")
    at = stamp.removeprefix("t=")
    expected = hmac.new(secret.encode(), f"{at}.".encode() + got.body, hashlib.sha256).hexdigest()
    assert signed == f"v1={expected}"
    assert abs(int(at) - timezone.now().timestamp()) < 60
    content = json.loads(got.body)
    delivery = webhook.deliveries.get()
    assert content["id"] == got.headers["Backline-Delivery"] == str(delivery.pk)
    assert (content["type"], content["project"]["slug"]) == ("alert", "first-light")
    assert content["alert"]["title"] == "Diverged"
    assert content["alert"]["run"]["number"] == run.number
    assert content["alert"]["run"]["url"].endswith(run.get_absolute_url())
    assert (delivery.state, delivery.status, delivery.answer) == ("delivered", 200, "All right.")
    assert sending.run_pass() == 0


def test_slack_gets_its_own_json_and_text_in_it_pings_nobody(
    ada: User, project: Project, receiver: Receiver
) -> None:
    enter(ada, project, receiver.url, "slack")
    diverge(ada, project, "<!channel> & <http://evil|x> a|b")
    sending.run_pass()
    content = json.loads(receiver.got[0].body)
    assert list(content) == ["text"]
    assert "&lt;!channel&gt; &amp; &lt;http://evil/x&gt; a/b>" in content["text"]
    assert "*Diverged*" in content["text"]
    assert "Backline-Signature" not in receiver.got[0].headers


def test_what_fails_is_tried_again_after_growing_pauses_for_a_day_and_given_up(
    ada: User, project: Project, receiver: Receiver
) -> None:
    webhook = enter(ada, project, receiver.url)
    diverge(ada, project)
    receiver.answers = [500] * 20
    began = now = timezone.now()
    pauses = []
    while (delivery := webhook.deliveries.get()).state == State.WAITING:
        pauses.append((delivery.next_at - now).total_seconds())
        now = max(now, delivery.next_at)
        assert sending.run_pass(now) == 1
    assert delivery.state == State.FAILED
    assert delivery.tries == len(receiver.got) == len(sending.PAUSES) + 1
    assert pauses[1:] == sorted(pauses[1:])
    assert timedelta(hours=20) < now - began < timedelta(hours=26)
    # Each try has the same id: the receiver knows that it is the same.
    assert len({got.headers["Backline-Delivery"] for got in receiver.got}) == 1


def test_a_webhook_that_fails_for_long_is_switched_off_and_its_owners_are_told(
    ada: User, project: Project, receiver: Receiver
) -> None:
    webhook = enter(ada, project, receiver.url)
    diverge(ada, project)
    receiver.answers = [404] * 20
    now = timezone.now()
    sending.run_pass(now)
    end(Run.objects.get(), Run.State.FAILED)
    sending.run_pass(now + timedelta(days=1, minutes=5))
    webhook.refresh_from_db()
    assert (webhook.enabled, webhook.problem) == (False, "Nothing has been accepted for a day.")
    notice = Notice.objects.get(kind="webhook")
    assert (notice.user, notice.level) == (ada, "error")
    assert audit.history(webhook).first().verb == "webhook.switched_off"
    assert not webhook.deliveries.filter(state=State.WAITING).exists()
    # Nothing is queued for it until somebody switches it on.
    before = webhook.deliveries.count()
    log(running(ada, project, "second"), [99.0])
    watching.run_pass()
    assert webhook.deliveries.count() == before
    webhooks.switch(by=ada, webhook=webhook, on=True)
    log(running(ada, project, "third"), [99.0])
    watching.run_pass()
    assert webhook.deliveries.count() == before + 1


def test_an_address_that_is_gone_is_switched_off_at_once(
    ada: User, project: Project, receiver: Receiver
) -> None:
    webhook = enter(ada, project, receiver.url)
    diverge(ada, project)
    receiver.answers = [410]
    sending.run_pass()
    webhook.refresh_from_db()
    assert not webhook.enabled


def test_a_test_is_sent_once_and_its_failure_is_in_the_log(
    ada: User, project: Project, receiver: Receiver
) -> None:
    webhook = enter(ada, project, receiver.url)
    receiver.answers = [403]
    webhooks.send_test(by=ada, webhook=webhook)
    assert [sending.run_pass(), sending.run_pass(timezone.now() + timedelta(hours=1))] == [1, 0]
    assert json.loads(receiver.got[0].body)["text"].startswith("This is a test")
    delivery = webhook.deliveries.get()
    assert (delivery.state, delivery.status) == (State.FAILED, 403)
    webhook.refresh_from_db()
    assert webhook.failing_since is None


def test_a_flood_is_five_messages_and_one_that_counts_the_rest(
    ada: User, project: Project, receiver: Receiver
) -> None:
    enter(ada, project, receiver.url)
    rule(ada, project, "state", states=["failed"])
    for number in range(40):
        end(running(ada, project, f"trial {number}"), Run.State.FAILED)
    now = timezone.now()
    watching.run_pass(now)
    assert sending.run_pass(now) == 5
    assert sending.run_pass(now + timedelta(minutes=2)) == 1
    last = json.loads(receiver.got[-1].body)
    assert (last["type"], last["count"], len(last["alerts"])) == ("alerts", 35, 20)


def test_a_name_that_comes_to_lead_to_a_private_address_is_not_sent_to(
    ada: User, project: Project
) -> None:
    webhook = enter(ada, project, "https://hooks.example.com/x")
    diverge(ada, project)
    resolver = outbound.FixedResolver({"hooks.example.com": ["10.0.0.1"]})
    sending.run_pass(resolver=resolver)
    delivery = webhook.deliveries.get()
    assert delivery.state == State.WAITING
    assert "private network" in delivery.answer
    # Its log is no way to learn the addresses of the portal's network.
    assert "10.0.0.1" not in delivery.answer


def test_a_webhook_that_does_not_answer_holds_up_no_other(
    ada: User, project: Project, receiver: Receiver
) -> None:
    dead, alive = enter(ada, project, "http://127.0.0.1:9/"), enter(ada, project, receiver.url)
    rule(ada, project)
    for number in range(3):
        log(running(ada, project, f"No. {number}"), [99.0])
    watching.run_pass()
    # One try of the dead one, and all three of the other.
    assert sending.run_pass() == 4
    assert dead.deliveries.filter(tries=1).count() == 1
    assert alive.deliveries.filter(state=State.DELIVERED).count() == 3


def test_an_answer_of_control_characters_is_stored_as_what_one_can_read(
    ada: User, project: Project
) -> None:
    assert sending._storable("fine") == "fine"
    assert sending._storable("a\0b\x1b[31m\ud800") == "a\\u0000b\\u001b[31m\\ud800"
    assert len(sending._storable("\0" * 4_096)) == 1000


def test_levels_and_personal_rules_decide_what_is_sent(
    ada: User, project: Project, receiver: Receiver
) -> None:
    webhook = enter(ada, project, receiver.url, least_level="error")
    rule(ada, project, level="warn")
    rule(ada, project, level="error", audience="me", name="own")
    log(running(ada, project), [99.0])
    assert watching.run_pass() == 2
    assert not webhook.deliveries.exists()
    rule(ada, project, level="error", name="loud")
    watching.run_pass()
    assert webhook.deliveries.get().payload["alert"]["title"] == "loud"


def test_the_address_and_the_secret_are_nowhere_in_the_rows_or_the_log(
    ada: User, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    url = "https://hooks.example.com/services/T0/B0/verysecretpart"
    webhook, secret = webhooks.create(by=ada, project=project, name="x", kind="slack", url=url)
    diverge(ada, project)
    sending.run_pass(resolver=outbound.FixedResolver({}))
    rows = [str(Webhook.objects.values().get()), str(list(WebhookDelivery.objects.values()))]
    rows += [caplog.text, str(list(audit.history(webhook).values()))]
    assert not any("verysecret" in text or secret in text for text in rows)
    assert keys.unseal(webhook.sealed_url) == url
    assert webhooks.address_of(webhook) == "https://hooks.example.com/…part"


def test_another_key_of_the_portal_reads_no_address_and_says_so(
    ada: User, project: Project, settings: LazySettings
) -> None:
    webhook = enter(ada, project, "https://hooks.example.com/x")
    diverge(ada, project)
    settings.SECRET_KEY = "another"
    sending.run_pass()
    assert "Enter it again" in webhook.deliveries.get().answer
    assert "Enter it again" in webhooks.address_of(webhook)


def test_a_new_secret_signs_otherwise(ada: User, project: Project) -> None:
    webhook, secret = webhooks.create(
        by=ada, project=project, name="x", kind="json", url="https://hooks.example.com/"
    )
    assert secret == keys.secret_of(webhook.nonce)
    assert webhooks.renew_secret(by=ada, webhook=webhook) != secret


def test_owners_set_up_webhooks_and_nobody_else(
    ada: User, ben: User, olga: User, project: Project
) -> None:
    Membership.objects.create(project=project, user=ben, level=Membership.Level.MEMBER)
    with pytest.raises(NotPermitted):
        enter(ben, project, "https://hooks.example.com/")
    made = enter(olga, project, "https://hooks.example.com/")
    for act in (webhooks.send_test, webhooks.renew_secret, webhooks.delete):
        with pytest.raises(NotPermitted):
            act(by=ben, webhook=made)
    webhooks.delete(by=ada, webhook=made)
    assert not Webhook.objects.exists()


def test_old_lines_of_the_log_go(ada: User, project: Project, receiver: Receiver) -> None:
    webhook = enter(ada, project, receiver.url)
    diverge(ada, project)
    sending.run_pass()
    sending.run_pass(timezone.now() + timedelta(days=29))
    assert webhook.deliveries.exists()
    sending.run_pass(timezone.now() + timedelta(days=31))
    assert not webhook.deliveries.exists()
    assert Alert.objects.exists()
