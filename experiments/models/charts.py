"""Layouts of chart pages: which panels, how arranged. Their content is checked by
experiments/charts/panels.py."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from experiments.models.projects import Project
from portal.models import User


class ChartLayoutQuerySet(models.QuerySet["ChartLayout"]):
    def visible_to(self, user: User) -> Self:
        """Keep one's own, and those that somebody has named in a project that one may see."""
        visible = self.filter(project__in=Project.objects.visible_to(user))
        return visible.filter(~Q(name="") | Q(owner=user))


class ChartLayout(models.Model):
    """The panels of a project's charts: without a name as one person last left them, with a name
    saved for everybody in the project."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="chart_layouts")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    name = models.CharField(max_length=80, blank=True)
    content = models.JSONField(default=dict)
    changed_at = models.DateTimeField(default=timezone.now)

    objects = ChartLayoutQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "owner", "name"], name="chart_layout_named_once"
            )
        ]

    def __str__(self) -> str:
        return self.name or "as last left"

    def get_absolute_url(self) -> str:
        return reverse("experiments:chart_layout", args=[self.project.slug, self.pk])
