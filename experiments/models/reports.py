"""Reports: text with charts, tables and players in it, every version of it, and what is frozen."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from experiments.models.projects import Project
from experiments.models.runs import Run
from portal.models import Blob, User


class ReportQuerySet(models.QuerySet["Report"]):
    def visible_to(self, user: User) -> Self:
        """Keep those of the person's projects that are published, and one's own drafts; none that
        was deleted."""
        shown = Q(published_at__isnull=False) | Q(author=user)
        return self.filter(shown, project__in=Project.objects.visible_to(user), deleted_at=None)

    def listed(self) -> Self:
        """Keep those that a list shows unless it is asked for archived ones."""
        return self.filter(archived_at=None, deleted_at=None)


class Report(models.Model):
    """What people found out, in Markdown with blocks (experiments/reports/blocks.py)."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="reports")
    title = models.CharField(max_length=150)
    text = models.TextField(blank=True)
    # Counts the changes of title and text: a page that was made for one knows what came since.
    version = models.IntegerField(default=1)
    author = models.ForeignKey(User, models.PROTECT, related_name="reports")
    changed_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    # None: a draft, which its author alone sees.
    published_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    # Those that its text names by number, for their own pages.
    runs = models.ManyToManyField(Run, related_name="reports")

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering = ["-changed_at", "-pk"]
        indexes = [
            models.Index(fields=["project", "-changed_at"], name="report_newest"),
            models.Index(
                fields=["deleted_at"], condition=~Q(deleted_at=None), name="report_to_purge"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("report", args=[self.pk])

    @property
    def is_draft(self) -> bool:
        return self.published_at is None


class FrozenBlock(models.Model):
    """What a block of a report showed when it was frozen (experiments/reports/pieces.py), by the
    digest of what the block says."""

    report = models.ForeignKey(Report, models.CASCADE, related_name="frozen_blocks")
    key = models.CharField(max_length=64)
    data = models.JSONField()
    at = models.DateTimeField(default=timezone.now)
    # Whose figures are in it: they go when the run is purged.
    runs = models.ManyToManyField(Run, related_name="+")


class ReportVersion(models.Model):
    """The report as somebody saved it."""

    report = models.ForeignKey(Report, models.CASCADE, related_name="versions")
    version = models.IntegerField()
    title = models.CharField(max_length=150)
    text = models.TextField(blank=True)
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    frozen = models.ManyToManyField(FrozenBlock, related_name="versions")
    # What was done, if not an edit: a version that was restored, or blocks that were frozen anew.
    restores = models.IntegerField(null=True, blank=True)
    refroze = models.BooleanField(default=False)

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["report", "version"], name="report_version_once")
        ]


class ReportExport(models.Model):
    """A file that somebody asked for. The row is the order; a task makes the file, which is kept
    for an hour."""

    class Format(models.TextChoices):
        HTML = "html", "HTML"
        PDF = "pdf", "PDF"

    class State(models.TextChoices):
        WAITING = "waiting", "Is being made"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    report = models.ForeignKey(Report, models.CASCADE, related_name="exports")
    version = models.IntegerField()
    format = models.CharField(max_length=4, choices=Format.choices)
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    # When a worker began: one that was killed leaves it to the next after a while.
    begun_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    file = models.ForeignKey(Blob, models.PROTECT, null=True, blank=True, related_name="+")
    # The released clips whose sound is in the file.
    clips = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["state", "at"], name="report_export_due")]
