"""Lines of people's inboxes: who is told what, once, and when it is read.

Where many alerts come at once a person gets the first GROUP_AFTER of them, and then one line that
counts the others: hundreds of runs that fail together are one thing to look at.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q
from django.urls import reverse
from django.utils import timezone

from experiments.inbox import preferences
from experiments.models import Level, Notice, NoticeQuerySet, NoticeSettings, Project, ProjectSeen
from experiments.models.inbox import LEVELS
from portal.database.bulk import parts
from portal.models import Role, User

Kind = Notice.Kind
# Alerts of one project within GROUP_SECONDS that a person gets one by one.
GROUP_AFTER = 5
GROUP_SECONDS = 60
KEPT = timedelta(days=90)
REMOVED_AT_ONCE = 500
# A line that counts goes on counting for so long.
MANY_SECONDS = 3600


@dataclass(frozen=True)
class News:
    """What is to be told. `key` makes it the same when it is told again."""

    kind: Notice.Kind
    project: Project
    key: str
    title: str
    url: str
    text: str = ""
    level: Level = Level.INFO


def tell(news: News, users: Iterable[User], *, at: datetime | None = None) -> int:
    """Enter the news into the inbox of each of the users who may see the project, once. Returns how
    many were told. Call it in the transaction of what it tells of."""
    at = at or timezone.now()
    told = [user for user in who_may_see(news.project, users) if user.is_active]
    if not told:
        return 0
    chosen = preferences.of_each(user.pk for user in told)
    flooded = _flooded(news, told, at)
    rows = [
        Notice(
            user=user,
            project=news.project,
            kind=news.kind,
            level=news.level,
            title=news.title[:200],
            text=news.text[:500],
            url=news.url,
            key=news.key,
            at=at,
            mail=Notice.Mail.WAITING if _by_mail(news, user, chosen[user.pk]) else Notice.Mail.NONE,
        )
        for user in told
        if user.pk not in flooded
    ]
    Notice.objects.bulk_create(rows, ignore_conflicts=True)
    for user in told:
        if user.pk in flooded:
            _count_more(news, user, at, by_mail=_by_mail(news, user, chosen[user.pk]))
    return len(told)


def who_may_see(project: Project, users: Iterable[User]) -> list[User]:
    """Return those of the users who may see the project now, each once."""
    members = set(project.memberships.values_list("user", flat=True))
    seen: dict[int, User] = {}
    for user in users:
        if user.pk in members or user.has_role(Role.OPERATOR):
            seen.setdefault(user.pk, user)
    return list(seen.values())


def mark_read(*, by: User, notice: Notice) -> None:
    """Mark one of the person's own as read; what is read is not mailed any more."""
    _read(Notice.objects.filter(user=by, pk=notice.pk))


def mark_unread(*, by: User, notice: Notice) -> None:
    Notice.objects.filter(user=by, pk=notice.pk).update(read_at=None)


def mark_all_read(*, by: User, project: Project | None = None, until: datetime) -> int:
    """Mark what came until then as read, of one project or of all: what comes while a page is
    looked at was not on it."""
    rows = Notice.objects.filter(user=by, at__lte=until)
    return _read(rows.filter(project=project) if project else rows)


def mark_seen(*, by: User, project: Project, until: datetime) -> None:
    """Note up to when the person has seen what happened in the project; never back in time."""
    until = min(until, timezone.now())
    with transaction.atomic():
        row, new = ProjectSeen.objects.get_or_create(
            user=by, project=project, defaults={"at": until}
        )
        if not new:
            ProjectSeen.objects.filter(pk=row.pk, at__lt=until).update(at=until)


def forget(keys: Iterable[str]) -> None:
    """Delete the notices of these keys, of everybody, also those that wait to be mailed."""
    for part in parts(list(keys), REMOVED_AT_ONCE):
        Notice.objects.filter(key__in=part).delete()


def remove_old(now: datetime) -> None:
    """Remove what was read long ago, and what nobody has read for a year; alerts and comments
    themselves stay."""
    old = Q(read_at__lt=now - KEPT) | Q(at__lt=now - 4 * KEPT)
    ids = list(Notice.objects.filter(old).values_list("pk", flat=True)[:REMOVED_AT_ONCE])
    if ids:
        Notice.objects.filter(pk__in=ids).delete()


def _read(rows: NoticeQuerySet) -> int:
    return rows.unread().update(read_at=timezone.now())


# --- Reads ----------------------------------------------------------------------------------


def unread_count(user: User) -> int:
    return Notice.objects.visible_to(user).unread().count()


def _flooded(news: News, users: Collection[User], at: datetime) -> set[int]:
    """Return the ids of users who got so many alerts of the project just now that this one is only
    counted."""
    if news.kind is not Kind.ALERT:
        return set()
    recent = Notice.objects.filter(
        user__in=users,
        project=news.project,
        kind=Kind.ALERT,
        at__gt=at - timedelta(seconds=GROUP_SECONDS),
    ).exclude(key=news.key)
    counts = recent.order_by().values_list("user").annotate(n=Count("pk"))
    return {user for user, count in counts if count >= GROUP_AFTER}


def _count_more(news: News, user: User, at: datetime, *, by_mail: bool) -> None:
    """Count the alert in the line that stands for many; make the line if there is none yet."""
    key = f"many:{news.project.pk}:{int(at.timestamp() // MANY_SECONDS)}"
    row, new = Notice.objects.get_or_create(
        user=user,
        key=key,
        defaults={
            "project": news.project,
            "kind": Kind.MANY,
            "level": news.level,
            "title": "More alerts came together",
            "text": f"The newest: {news.title}"[:500],
            "url": reverse("experiments:alerts", args=[news.project.slug]),
            "at": at,
            "mail": Notice.Mail.WAITING if by_mail else Notice.Mail.NONE,
        },
    )
    if not new:
        Notice.objects.filter(pk=row.pk).update(
            count=F("count") + 1,
            at=at,
            read_at=None,
            text=f"The newest: {news.title}"[:500],
            level=max(Level(row.level), news.level, key=LEVELS.index),
        )


def _by_mail(news: News, user: User, chosen: NoticeSettings) -> bool:
    if not settings.EMAIL_URL or not user.email or chosen.mails == NoticeSettings.Mails.OFF:
        return False
    if news.kind in {Kind.COMMENT, Kind.MENTION}:
        return chosen.mail_comments
    return LEVELS.index(news.level) >= LEVELS.index(Level(chosen.mail_level))
