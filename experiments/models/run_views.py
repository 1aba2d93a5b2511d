"""Saved views of the run table, and which of them somebody sees first."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from experiments.models.projects import Project
from portal.models import User


class RunViewQuerySet(models.QuerySet["RunView"]):
    def visible_to(self, user: User, project: Project) -> Self:
        """Return one's own and the shared views of a project that the person may see."""
        return self.filter(Q(owner=user) | Q(shared=True), project=project)


class RunView(models.Model):
    """A layout of a project's run table, under a name (experiments/run_table/layout.py)."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="run_views")
    owner = models.ForeignKey(User, models.CASCADE, related_name="run_views")
    name = models.CharField(max_length=80)
    shared = models.BooleanField(default=False)
    layout = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    objects = RunViewQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "owner", "name"], name="run_view_name_once")
        ]

    def __str__(self) -> str:
        return self.name


class FirstView(models.Model):
    """The view in which a person sees a project's runs first; without a person, everybody who has
    not chosen one."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="first_views")
    person = models.ForeignKey(User, models.CASCADE, null=True, blank=True, related_name="+")
    view = models.ForeignKey(RunView, models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "person"], name="first_view_once"),
            models.UniqueConstraint(
                fields=["project"], condition=Q(person=None), name="first_view_of_all_once"
            ),
        ]
