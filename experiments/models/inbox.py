"""What a person is told: notices, how they want them sent, and what they have seen of a project."""

from datetime import time
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from experiments.models.projects import Project
from portal.models import User


class Level(models.TextChoices):
    INFO = "info", "Info"
    WARN = "warn", "Warning"
    ERROR = "error", "Error"


# In order, for "at least".
LEVELS = [Level.INFO, Level.WARN, Level.ERROR]


class NoticeQuerySet(models.QuerySet["Notice"]):
    def visible_to(self, user: User) -> Self:
        """Return the user's own, of projects that they still may see."""
        return self.filter(user=user, project__in=Project.objects.visible_to(user))

    def unread(self) -> Self:
        return self.filter(read_at=None)


class Notice(models.Model):
    """One line of a person's inbox."""

    class Kind(models.TextChoices):
        ALERT = "alert", "Alert"
        MANY = "many", "Many alerts"
        COMMENT = "comment", "Comment"
        MENTION = "mention", "Mention"
        WEBHOOK = "webhook", "Webhook"

    class Mail(models.TextChoices):
        NONE = "none", "Not by mail"
        WAITING = "waiting", "Waits"
        SENDING = "sending", "Is being sent"
        SENT = "sent", "Sent"

    user = models.ForeignKey(User, models.CASCADE, related_name="notices")
    project = models.ForeignKey(Project, models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    level = models.CharField(max_length=5, choices=Level.choices, default=Level.INFO)
    title = models.CharField(max_length=200)
    text = models.CharField(max_length=500, blank=True)
    url = models.CharField(max_length=300)
    # What makes it the same notice when somebody tells it again: alert:12, comment:7.
    key = models.CharField(max_length=120)
    # Of a notice that stands for many: how many.
    count = models.IntegerField(default=1)
    at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)
    mail = models.CharField(max_length=8, choices=Mail.choices, default=Mail.NONE)
    mailed_at = models.DateTimeField(null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="notice_once")]
        indexes = [
            models.Index(fields=["user", "-at"], name="notice_newest"),
            models.Index(fields=["user"], condition=Q(read_at=None), name="notice_unread"),
            models.Index(
                fields=["mail"],
                condition=Q(mail__in=["waiting", "sending"]),
                name="notice_to_mail",
            ),
        ]


class NoticeSettings(models.Model):
    """How a person wants to be told. Without a row, the defaults count."""

    class Mails(models.TextChoices):
        OFF = "off", "No mail"
        SOON = "soon", "At once"
        DAILY = "daily", "Once a day, together"

    user = models.OneToOneField(User, models.CASCADE, related_name="notice_settings")
    time_zone = models.CharField(max_length=60, default="UTC")
    mails = models.CharField("By mail", max_length=5, choices=Mails.choices, default=Mails.SOON)
    # Of alerts; comments and mentions have no level.
    mail_level = models.CharField(
        "Alerts by mail", max_length=5, choices=Level.choices, default=Level.WARN
    )
    mail_comments = models.BooleanField("Comments by mail", default=True)
    daily_at = models.TimeField("The daily mail comes at", default=time(8))
    quiet_from = models.TimeField("Quiet from", null=True, blank=True)
    quiet_to = models.TimeField("Quiet until", null=True, blank=True)
    last_mail_at = models.DateTimeField(null=True, blank=True)


class ProjectSeen(models.Model):
    """Up to when a person has seen what happened in a project; they say so themselves."""

    user = models.ForeignKey(User, models.CASCADE, related_name="projects_seen")
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "project"], name="project_seen_once")
        ]
