"""The pass that sends what waits for webhooks. Rows are the queue.

A delivery is claimed by compare-and-set: its next try moves past the time that a try can take. So
of two workers one sends it, and what a killed one has claimed is tried again later; the receiver
knows a repeated one by its id. A try that fails is followed by others after growing pauses, up to a
day. A webhook that fails for longer than that is switched off, and its owners are told.
"""

import json
import logging
import time
from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from experiments.alerts import keys, messages, outbound
from experiments.inbox import notices
from experiments.models import Level, Membership, Notice, Webhook, WebhookDelivery
from portal import audit

log = logging.getLogger(__name__)

State = WebhookDelivery.State
# Between the tries of one delivery; after the last it is given up. About a day together.
PAUSES = [
    timedelta(seconds=seconds)
    for seconds in (15, 60, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 6 * 3600, 8 * 3600)
]
CLAIM = timedelta(minutes=2)
# A webhook that has answered nothing good for so long is switched off.
FAILING = timedelta(days=1)
GONE = 410
# Of one pass: other work waits for this thread.
PASS_SECONDS = 20.0
# The log of a webhook.
KEPT = timedelta(days=30)


def run_pass(now: datetime | None = None, *, resolver: outbound.Resolver | None = None) -> int:
    """Send what is due, the oldest first; return how many were tried."""
    began, tried = time.monotonic(), 0
    # Each try of one that does not answer takes seconds, which the others would wait for.
    silent: set[int] = set()
    now = now or timezone.now()
    rows = WebhookDelivery.objects.filter(
        state=State.WAITING, next_at__lte=now, webhook__enabled=True
    )
    for pk in list(rows.order_by("next_at").values_list("pk", flat=True)[:100]):
        if time.monotonic() - began > PASS_SECONDS:
            break
        due = rows.select_related("webhook__project").exclude(webhook__in=silent)
        delivery = due.filter(pk=pk).first()
        if delivery is not None and _claim(delivery, now):
            tried += 1
            if send(delivery, now, resolver=resolver) is None:
                silent.add(delivery.webhook_id)
    old = WebhookDelivery.objects.exclude(state=State.WAITING).filter(created_at__lt=now - KEPT)
    if old.exists():
        old.delete()
    return tried


def send(
    delivery: WebhookDelivery, now: datetime, *, resolver: outbound.Resolver | None = None
) -> int | None:
    """Try a claimed delivery once, and store what came of it; return the status that was answered,
    None for no answer."""
    webhook = delivery.webhook
    body = messages.body_of(delivery)
    status: int | None = None
    answer = ""
    try:
        reply = outbound.post(
            keys.unseal(webhook.sealed_url), body, _headers(delivery, body), resolver=resolver
        )
        status, answer = reply.status, reply.text
    except (outbound.Forbidden, outbound.Unreachable, keys.Unreadable) as error:
        answer = str(error)
    except Exception as error:
        # A library's error about what somebody else answers must not stop the other webhooks.
        log.exception("Webhook delivery %s failed in an unforeseen way.", delivery.pk)
        answer = f"It could not be sent: {type(error).__name__}."
    _store(delivery, status, answer, now)
    return status


def _headers(delivery: WebhookDelivery, body: bytes) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Backline-Webhook/1",
        "Backline-Event": delivery.event,
        "Backline-Delivery": str(delivery.pk),
    }
    if delivery.webhook.kind == Webhook.Kind.JSON:
        secret = keys.secret_of(delivery.webhook.nonce)
        headers["Backline-Signature"] = keys.signature(secret, body, at=int(time.time()))
    return headers


def _claim(delivery: WebhookDelivery, now: datetime) -> bool:
    due = WebhookDelivery.objects.filter(
        pk=delivery.pk, state=State.WAITING, next_at=delivery.next_at
    )
    claimed = due.update(next_at=now + CLAIM, tries=delivery.tries + 1, tried_at=now)
    delivery.tries += 1
    return claimed == 1


def _store(delivery: WebhookDelivery, status: int | None, answer: str, now: datetime) -> None:
    """Store the outcome of a try: delivered, tried again later, or given up."""
    delivered = status is not None and 200 <= status < 300
    last = delivery.event == "test" or delivery.tries > len(PAUSES) or status == GONE
    state = State.DELIVERED if delivered else State.FAILED if last else State.WAITING
    next_at = delivery.next_at if last or delivered else now + PAUSES[delivery.tries - 1]
    with transaction.atomic():
        WebhookDelivery.objects.filter(pk=delivery.pk).update(
            state=state, status=status, answer=_storable(answer), next_at=next_at
        )
        webhook = Webhook.objects.filter(pk=delivery.webhook_id, enabled=True)
        if delivered:
            webhook.exclude(failing_since=None).update(failing_since=None)
        elif delivery.event != "test":
            webhook.filter(failing_since=None).update(failing_since=now)
            _switch_off_if_hopeless(delivery.webhook_id, status, now)


def _switch_off_if_hopeless(webhook_id: int, status: int | None, now: datetime) -> None:
    """Switch the webhook off if its host says that it is gone, or after a day without success."""
    rows = Webhook.objects.filter(pk=webhook_id, enabled=True)
    if status == GONE:
        problem = "It answered 410: the address is gone for good."
    else:
        rows = rows.filter(failing_since__lt=now - FAILING)
        problem = "Nothing has been accepted for a day."
    if not rows.update(enabled=False, problem=problem):
        return
    webhook = Webhook.objects.select_related("project").get(pk=webhook_id)
    audit.record(by=None, verb="webhook.switched_off", subject=webhook, status=status)
    webhook.deliveries.filter(state=State.WAITING).update(state=State.FAILED, answer=problem)
    owners = webhook.project.memberships.filter(level=Membership.Level.OWNER)
    news = notices.News(
        kind=Notice.Kind.WEBHOOK,
        project=webhook.project,
        key=f"webhook:{webhook.pk}:{int(now.timestamp())}",
        title=f"The webhook {webhook.name} was switched off",
        text=f"{problem} Its log says what it answered; switch it on again once it works.",
        url=reverse("experiments:webhook", args=[webhook.project.slug, webhook.pk]),
        level=Level.ERROR,
    )
    notices.tell(news, [member.user for member in owners.select_related("user")], at=now)


def _storable(answer: str) -> str:
    """Return the start of an answer as one can read it; it may be anything."""
    shown = json.dumps(answer, ensure_ascii=True)[1:-1] if not answer.isprintable() else answer
    return shown[:1000]
