"""The webhooks of a project: entered by its owners, and what waits to be sent to each.

A delivery is a row with what is to be said; `sending` sends it. Where alerts come in a flood, the
first GROUP_AFTER of a minute are deliveries of their own, and the others gather in one that waits
for the minute's end.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from experiments.alerts import keys, outbound
from experiments.clearance.permission import NotPermitted
from experiments.models import Alert, Comment, Level, Project, Webhook, WebhookDelivery
from experiments.models.inbox import LEVELS
from portal import audit, celery
from portal.models import User

# Of one project.
MOST = 20
GROUP_AFTER = 5
GROUP_FOR = timedelta(minutes=1)
# Alerts that a gathered delivery lists; it counts all.
LISTED = 20
SEND = "experiments.send_notices"


class TooMany(ValueError):
    """The project has as many webhooks as it may have."""

    code = "too_many_webhooks"


def create(
    *,
    by: User,
    project: Project,
    name: str,
    kind: str,
    url: str,
    least_level: str = Level.INFO,
    comments: bool = False,
) -> tuple[Webhook, str]:
    """Enter a webhook; return it and its secret, which is shown this once.

    Raises outbound.Forbidden for an address that is never sent to.
    """
    require_owner(by, project)
    url, host = outbound.check_url(url)
    if project.webhooks.count() >= MOST:
        raise TooMany(f"This project has {MOST} webhooks already. Delete one that nobody needs.")
    with transaction.atomic():
        webhook = Webhook.objects.create(
            project=project,
            name=name,
            kind=Webhook.Kind(kind),
            sealed_url=keys.seal(url),
            host=host[:255],
            nonce=keys.new_nonce(),
            least_level=Level(least_level),
            comments=comments,
            created_by=by,
        )
        audit.record(
            by=by, verb="webhook.created", subject=webhook, project=project.pk,
            private={"host": host},
        )  # fmt: skip
    return webhook, keys.secret_of(webhook.nonce)


def change(
    *, by: User, webhook: Webhook, name: str, url: str, least_level: str, comments: bool
) -> None:
    """Change a webhook; an empty `url` leaves its address."""
    require_owner(by, webhook.project)
    webhook.name, webhook.least_level, webhook.comments = name, Level(least_level), comments
    if url:
        url, host = outbound.check_url(url)
        webhook.sealed_url, webhook.host = keys.seal(url), host[:255]
    with transaction.atomic():
        webhook.save(update_fields=["name", "least_level", "comments", "sealed_url", "host"])
        audit.record(by=by, verb="webhook.changed", subject=webhook, private={"host": webhook.host})


def renew_secret(*, by: User, webhook: Webhook) -> str:
    """Make a new secret and return it; the old one no longer signs."""
    require_owner(by, webhook.project)
    with transaction.atomic():
        webhook.nonce = keys.new_nonce()
        webhook.save(update_fields=["nonce"])
        audit.record(by=by, verb="webhook.secret_renewed", subject=webhook)
    return keys.secret_of(webhook.nonce)


def switch(*, by: User, webhook: Webhook, on: bool) -> None:
    """Switch a webhook on or off. What waits for one that is off is not sent."""
    require_owner(by, webhook.project)
    with transaction.atomic():
        if Webhook.objects.filter(pk=webhook.pk, enabled=not on).update(
            enabled=on, problem="", failing_since=None
        ):
            audit.record(by=by, verb="webhook.switched", subject=webhook, on=on)
            if not on:
                give_up_waiting(webhook, "The webhook was switched off.")


def delete(*, by: User, webhook: Webhook) -> None:
    """Delete a webhook with its log."""
    require_owner(by, webhook.project)
    with transaction.atomic():
        audit.record(by=by, verb="webhook.deleted", subject=webhook, private={"host": webhook.host})
        webhook.delete()


def send_test(*, by: User, webhook: Webhook) -> WebhookDelivery:
    """Queue a message that says it is a test; it is tried once."""
    require_owner(by, webhook.project)
    payload = {
        "type": "test",
        "project": _project(webhook.project),
        "sent_by": by.username,
        "text": "This is a test of the webhook. Nothing has happened.",
        "url": _absolute(webhook.project.get_absolute_url()),
    }
    with transaction.atomic():
        celery.wake(SEND)
        return WebhookDelivery.objects.create(webhook=webhook, event="test", payload=payload)


def enqueue_alert(alert: Alert) -> None:
    """Queue the alert for the project's webhooks. Call it in the transaction that raises it."""
    for webhook in Webhook.objects.filter(project=alert.project, enabled=True).order_by("pk"):
        if LEVELS.index(Level(alert.level)) >= LEVELS.index(Level(webhook.least_level)):
            _enqueue(webhook, _alert_payload(alert), at=alert.at)


def enqueue_comment(comment: Comment, *, title: str, url: str) -> None:
    """Queue a comment for the webhooks that want comments. Its text is not in it: who reads a chat
    channel may not be of the project."""
    payload = {
        "type": "comment",
        "project": _project(comment.project),
        "author": comment.author.username,
        "about": title,
        "url": _absolute(url),
        "at": comment.at.isoformat(),
    }
    wanting = Webhook.objects.filter(project=comment.project, enabled=True, comments=True)
    for webhook in wanting.order_by("pk"):
        WebhookDelivery.objects.create(webhook=webhook, event="comment", payload=payload)
        celery.wake(SEND)


def give_up_waiting(webhook: Webhook, why: str) -> None:
    webhook.deliveries.filter(state=WebhookDelivery.State.WAITING).update(
        state=WebhookDelivery.State.FAILED, answer=why
    )


def require_owner(by: User, project: Project) -> None:
    if not may_change(by, project):
        raise NotPermitted("An owner of the project, or an operator, sets up its webhooks.")


# --- Reads ----------------------------------------------------------------------------------


def may_change(user: User, project: Project) -> bool:
    return project.is_owned_by(user)


def address_of(webhook: Webhook) -> str:
    """Return the address as its owners see it: the host, and the last characters."""
    try:
        url = keys.unseal(webhook.sealed_url)
    except keys.Unreadable as error:
        return str(error)
    rest = url.partition(webhook.host)[2]
    return f"{url.partition('://')[0]}://{webhook.host}/…{rest[-4:] if len(rest) > 12 else ''}"


def _enqueue(webhook: Webhook, payload: dict[str, Any], *, at: datetime) -> None:
    # One at a time for each webhook: two that gather at once would lose one of them.
    Webhook.objects.select_for_update(no_key=True).only("pk").get(pk=webhook.pk)
    recent = webhook.deliveries.filter(event="alert", created_at__gt=at - GROUP_FOR)
    if recent.count() < GROUP_AFTER:
        WebhookDelivery.objects.create(
            webhook=webhook, event="alert", payload=payload, created_at=at, next_at=at
        )
        celery.wake(SEND)
        return
    gathered = webhook.deliveries.filter(
        grouped=True, state=WebhookDelivery.State.WAITING, tries=0
    ).first()
    if gathered is None:
        gathered = WebhookDelivery(
            webhook=webhook,
            event="alerts",
            grouped=True,
            created_at=at,
            next_at=at + GROUP_FOR,
            payload={
                "type": "alerts",
                "project": payload["project"],
                "count": 0,
                "alerts": [],
                "url": _absolute(webhook.project.get_absolute_url() + "alerts/"),
            },
        )
    gathered.payload["count"] += 1
    if len(gathered.payload["alerts"]) < LISTED:
        gathered.payload["alerts"].append(payload["alert"])
    gathered.save()


def _alert_payload(alert: Alert) -> dict[str, Any]:
    return {
        "type": "alert",
        "project": _project(alert.project),
        "alert": {
            "id": alert.pk,
            "level": alert.level,
            "title": alert.title,
            "text": alert.text,
            "source": alert.source,
            "rule": alert.rule_id,
            "at": alert.at.isoformat(),
            "run": {
                "id": str(alert.run.pk),
                "number": alert.run.number,
                "name": alert.run.name,
                "url": _absolute(alert.run.get_absolute_url()),
            },
        },
    }


def _project(project: Project) -> dict[str, str]:
    return {"slug": project.slug, "name": project.name}


def _absolute(path: str) -> str:
    return f"{settings.PORTAL_URL}{path}"
