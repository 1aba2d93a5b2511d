"""How a person wants to be told: by mail or not, when, and in which time zone."""

from collections.abc import Iterable
from datetime import time

from django.db import transaction

from experiments.models import Level, NoticeSettings
from portal import audit
from portal.models import User


def change(
    *,
    by: User,
    time_zone: str,
    mails: str,
    mail_level: str,
    mail_comments: bool,
    daily_at: time,
    quiet_from: time | None,
    quiet_to: time | None,
) -> NoticeSettings:
    """Store the person's own settings."""
    fields = {
        "time_zone": time_zone,
        "mails": mails,
        "mail_level": Level(mail_level),
        "mail_comments": mail_comments,
        "daily_at": daily_at,
        "quiet_from": quiet_from,
        "quiet_to": quiet_to,
    }
    with transaction.atomic():
        row, _ = NoticeSettings.objects.update_or_create(user=by, defaults=fields)
        audit.record(by=by, verb="notices.settings", subject=row, mails=mails)
    return row


def settings_of(user: User) -> NoticeSettings:
    """Return the person's settings; an unsaved row with the defaults if they never chose."""
    return NoticeSettings.objects.filter(user=user).first() or NoticeSettings(user=user)


def of_each(users: Iterable[int]) -> dict[int, NoticeSettings]:
    """Return the settings of several people by their ids, in one query."""
    ids = set(users)
    rows = {row.user_id: row for row in NoticeSettings.objects.filter(user__in=ids)}
    return {pk: rows.get(pk) or NoticeSettings(user_id=pk) for pk in ids}
