"""Notices by mail: one mail for all that waits for a person, when they want it.

A mail's subject says how many and nothing else: mailboxes show it on locked screens. What somebody
has read in the portal meanwhile, or may not see any more, is not sent. The rows are the queue: they
are claimed before the mail is sent and marked after it, so a worker that dies between leaves them
to the next, and at worst a mail comes twice.
"""

import logging
import smtplib
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils import timezone

from experiments.inbox import hours, preferences
from experiments.models import Notice, NoticeSettings
from portal.database import long_work
from portal.models import User

log = logging.getLogger(__name__)

Mail = Notice.Mail
# Two mails to one person are at least so far apart; what comes between waits and comes as one.
PAUSE = timedelta(minutes=2)
# A claim that is older belongs to a worker that died.
CLAIM = timedelta(minutes=10)
# Of one mail; the others are counted in it.
LISTED = 50
# People in one pass.
PEOPLE = 100


def send_due(now: datetime | None = None) -> int:
    """Send each person what is due for them; return how many mails were sent."""
    long_work.forbid_in_transaction("Sending mail")
    now = now or timezone.now()
    Notice.objects.filter(mail=Mail.SENDING, mailed_at__lt=now - CLAIM).update(mail=Mail.WAITING)
    waiting = Notice.objects.filter(mail=Mail.WAITING).order_by().values_list("user", flat=True)
    users = list(User.objects.filter(pk__in=waiting.distinct())[:PEOPLE])
    chosen = preferences.of_each(user.pk for user in users)
    return sum(_send_to(user, chosen[user.pk], now) for user in users)


def is_due(chosen: NoticeSettings, now: datetime) -> bool:
    """Whether the person may be sent a mail now."""
    if hours.is_quiet(chosen, now):
        return False
    last = chosen.last_mail_at
    if chosen.mails == NoticeSettings.Mails.DAILY:
        return last is None or last < hours.last_daily(chosen, now)
    return last is None or last <= now - PAUSE


def _send_to(user: User, chosen: NoticeSettings, now: datetime) -> bool:
    own = Notice.objects.filter(user=user, mail=Mail.WAITING)
    wanted = user.is_active and user.email and chosen.mails != NoticeSettings.Mails.OFF
    still = Notice.objects.visible_to(user).unread() if wanted else Notice.objects.none()
    own.exclude(pk__in=still.values("pk")).update(mail=Mail.NONE)
    if not wanted or not is_due(chosen, now) or not own.exists():
        return False
    if not _claim_turn(user, now):
        return False
    own.update(mail=Mail.SENDING, mailed_at=now)
    claimed = Notice.objects.filter(user=user, mail=Mail.SENDING, mailed_at=now)
    rows = list(claimed.select_related("project").order_by("project__name", "-at"))
    if not rows:
        return False
    try:
        compose(user, chosen, rows).send()
    except (OSError, smtplib.SMTPException) as error:
        log.warning("A mail to user %s was not sent and is tried again: %s", user.pk, error)
        claimed.update(mail=Mail.WAITING)
        return False
    except ValueError:
        # An address that is none: the next try would fail alike. The portal still shows them.
        log.exception("A mail to user %s cannot be written.", user.pk)
        claimed.update(mail=Mail.NONE)
        return False
    claimed.update(mail=Mail.SENT)
    return True


def _claim_turn(user: User, now: datetime) -> bool:
    """Take the turn to mail this person; false if another worker has just taken it."""
    row, _ = NoticeSettings.objects.get_or_create(user=user)
    if not is_due(row, now):
        return False
    turn = NoticeSettings.objects.filter(pk=row.pk, last_mail_at=row.last_mail_at)
    return turn.update(last_mail_at=now) == 1


def compose(user: User, chosen: NoticeSettings, rows: Sequence[Notice]) -> EmailMessage:
    """Return the mail about these notices, which are sorted by project."""
    count = sum(row.count for row in rows)
    parts = [f"Since the last mail to you, {_number(count)} came in.", ""]
    zone = hours.zone_of(chosen)
    for project, group in groupby(rows[:LISTED], key=lambda row: row.project.name):
        parts += [project, "-" * len(project)]
        for row in group:
            at = row.at.astimezone(zone)
            more = f" ({row.count:,} of them)" if row.count > 1 else ""
            parts.append(f"{at:%d %b %H:%M}  {_word(row)}: {row.title}{more}")
            parts += [f"    {line}" for line in row.text.splitlines()[:5]]
            parts += [f"    {settings.PORTAL_URL}{row.url}", ""]
    if len(rows) > LISTED:
        parts += [f"And {len(rows) - LISTED:,} more.", ""]
    where = settings.PORTAL_URL + reverse("inbox_settings")
    parts += [
        f"All of them: {settings.PORTAL_URL}{reverse('inbox')}",
        f"Fewer mails, none, or other hours: {where}",
        f"Times are of {chosen.time_zone}.",
    ]
    return EmailMessage(
        subject=f"Backline: {_number(count)}",
        body="\n".join(parts),
        to=[user.email],
        headers={"List-Unsubscribe": f"<{where}>", "Auto-Submitted": "auto-generated"},
    )


def _number(count: int) -> str:
    return f"{count:,} notice" + ("" if count == 1 else "s")


def _word(row: Notice) -> str:
    if row.kind in {Notice.Kind.ALERT, Notice.Kind.MANY}:
        return row.get_level_display()
    return row.get_kind_display()
