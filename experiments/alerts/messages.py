"""What a webhook is sent: the payload as JSON, or the text that Slack shows."""

import json
from typing import Any

from experiments.models import Webhook, WebhookDelivery

MARKS = {"info": "\N{INFORMATION SOURCE}", "warn": "\N{WARNING SIGN}", "error": "\N{CROSS MARK}"}
LONGEST = 3_000


def body_of(delivery: WebhookDelivery) -> bytes:
    """Return the body in the form that the webhook's kind asks for."""
    if delivery.webhook.kind == Webhook.Kind.SLACK:
        return json.dumps({"text": slack_text(delivery.payload)[:LONGEST]}).encode()
    content = {"id": str(delivery.pk), **delivery.payload}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def slack_text(payload: dict[str, Any]) -> str:
    """Return the payload in Slack's markup."""
    project = escape(payload["project"]["name"])
    match payload["type"]:
        case "alert":
            return f"{project}: {_alert(payload['alert'], text=True)}"
        case "alerts":
            lines = [_alert(alert, text=False) for alert in payload["alerts"]]
            more = payload["count"] - len(lines)
            lines += [f"and {more:,} more"] if more > 0 else []
            heading = link(payload["url"], f"{payload['count']:,} more alerts")
            return "\n".join([f"{project}: {heading}", *lines])
        case "comment":
            where = link(payload["url"], payload["about"])
            return f"{project}: {escape(payload['author'])} commented on {where}"
        case _:
            return f"{project}: {escape(payload['text'])}"


def escape(text: str) -> str:
    """Return the text so that it pings nobody and links nowhere: `<!channel>` is text."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(plain.split())


def link(url: str, text: str) -> str:
    return f"<{url}|{escape(text).replace('|', '/')}>"


def _alert(alert: dict[str, Any], *, text: bool) -> str:
    run = alert["run"]
    where = link(run["url"], f"{run['number']} {run['name']}")
    line = f"{MARKS[alert['level']]} *{escape(alert['title'])}* {where}"
    return f"{line}\n{escape(alert['text'])}" if text and alert["text"] else line
