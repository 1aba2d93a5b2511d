"""What a line of research is for, and who works on it."""

from typing import Self

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal.models import Role, User
from rights.models import Purpose


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: User) -> Self:
        if user.has_role(Role.OPERATOR):
            return self
        return self.filter(memberships__user=user)


class Project(models.Model):
    """A line of research, with the scope that consent is asked for."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    purpose = models.CharField(max_length=20, choices=Purpose.choices, default=Purpose.RESEARCH)
    territory = models.CharField(
        max_length=5, default="world", help_text="ISO 3166 code, or world."
    )
    model_family = models.CharField(max_length=100, default="backline")
    model_version = models.PositiveIntegerField(
        default=1, help_text="Of the family; permissions may be for certain versions only."
    )
    product = models.CharField(max_length=100, blank=True, help_text="What it is for, if named.")
    # Empty: no limit. How they are counted is in quotas.py.
    gpu_quota = models.PositiveIntegerField(
        "GPUs at once", null=True, blank=True, help_text="Runs beyond it wait. Empty: no limit."
    )
    gpu_hour_quota = models.PositiveIntegerField(
        "GPU-hours",
        null=True,
        blank=True,
        help_text="What runs and waits together may take at most. Empty: no limit.",
    )
    # Its runs take what is left over; how, is in quotas.py.
    background = models.BooleanField(
        "In the background",
        default=False,
        help_text="Its runs start one at a time, and only while no other run waits or works.",
    )
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Membership", related_name="projects"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("experiments:runs", args=[self.slug])

    def is_open_to(self, user: User) -> bool:
        """Return whether the person may change things in it: its members and owners, and operators;
        viewers not."""
        return self._has(user, Membership.Level.MEMBER, Membership.Level.OWNER)

    def is_owned_by(self, user: User) -> bool:
        """Return whether the person decides for it: its owners, and operators."""
        return self._has(user, Membership.Level.OWNER)

    def _has(self, user: User, *levels: str) -> bool:
        if user.has_role(Role.OPERATOR):
            return True
        return self.memberships.filter(user=user, level__in=levels).exists()


class Membership(models.Model):
    class Level(models.TextChoices):
        VIEWER = "viewer", "May look and listen"
        MEMBER = "member", "May run"
        OWNER = "owner", "May run and invite"

    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.MEMBER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="member_once")]
