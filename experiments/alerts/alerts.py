"""Alerts: raised once, and told in the same transaction to people's inboxes and to webhooks."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from backline import wire
from experiments.alerts import webhooks
from experiments.inbox import notices
from experiments.models import Alert, AlertRule, Level, Notice, Run
from portal.inputs.text import clean_line, clean_prose
from portal.models import User

Audience = AlertRule.Audience
# Of one run, by its program: a loop that alerts in every step ends here.
MOST_OF_PROGRAM = 1_000


class TooMany(ValueError):
    """The program has raised as many alerts as are stored of one run."""

    code = "too_many_alerts"


def raise_by_rule(
    rule: AlertRule, run: Run, *, crossing: int, text: str, at: datetime
) -> Alert | None:
    """Raise the alert of one crossing; None if it was raised before."""
    return _raise(
        run,
        key=f"rule:{rule.pk}:{crossing}",
        at=at,
        users=recipients(rule, run),
        rule=rule,
        only_for=rule.created_by if rule.audience == Audience.ME else None,
        source=Alert.Source.RULE,
        level=rule.level,
        title=rule.name,
        text=text,
    )


def raise_by_program(run: Run, message: wire.Alert, *, session: str, number: int) -> bool:
    """Store what the run's program says; false if this delivery was stored before. Raises
    TooMany."""
    key = f"program:{session}:{number}"
    if run.alerts.filter(key=key).exists():
        return False
    if run.alerts.filter(source=Alert.Source.PROGRAM).count() >= MOST_OF_PROGRAM:
        raise TooMany(
            f"Run {run.number} has raised {MOST_OF_PROGRAM:,} alerts; more are not stored. "
            "Alert when something happens, not in every step."
        )
    raised = _raise(
        run,
        key=key,
        at=timezone.now(),
        users=[run.submitted_by],
        rule=None,
        only_for=None,
        source=Alert.Source.PROGRAM,
        level=Level(message.level),
        title=clean_line(message.title)[:200] or "Alert",
        text=clean_prose(message.text)[:2000],
    )
    return raised is not None


def recipients(rule: AlertRule, run: Run) -> list[User]:
    """Return whom the rule tells; who may not see the project any more is left out by the inbox."""
    match rule.audience:
        case Audience.ME:
            return [rule.created_by]
        case Audience.OWNER:
            return [run.submitted_by]
    return [member.user for member in rule.project.memberships.select_related("user")]


def _raise(
    run: Run, *, key: str, at: datetime, users: list[User], **fields: object
) -> Alert | None:
    with transaction.atomic():
        alert, new = Alert.objects.get_or_create(
            run=run, key=key, defaults={"project": run.project, "at": at, **fields}
        )
        if not new:
            return None
        news = notices.News(
            kind=Notice.Kind.ALERT,
            project=run.project,
            key=f"alert:{alert.pk}",
            title=f"{alert.title}: {run}"[:200],
            text=alert.text,
            url=run.get_absolute_url(),
            level=Level(alert.level),
        )
        notices.tell(news, users, at=at)
        # What one person watches for themselves is nobody else's.
        if alert.only_for_id is None:
            webhooks.enqueue_alert(alert)
    return alert
