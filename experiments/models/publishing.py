"""The public page of a model and its texts. Foreign keys name models by string, because
experiments.models imports this module."""

from typing import Self

from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal.models import Role, User


class ModelPageQuerySet(models.QuerySet["ModelPage"]):
    def visible_to(self, user: User) -> Self:
        """Return those shown to the user behind the log-in; a published page is for everybody."""
        if user.has_role(Role.OPERATOR, Role.RIGHTS_ADMIN):
            return self
        return self.filter(project__memberships__user=user)

    def public(self) -> Self:
        """Return those published, also if withdrawn since: the page stays, and says so."""
        return self.exclude(published_at=None)


class ModelPage(models.Model):
    """A model that a project makes public. Never deleted once it was published."""

    project = models.ForeignKey("experiments.Project", models.PROTECT, related_name="model_pages")
    run = models.ForeignKey("experiments.Run", models.PROTECT, related_name="model_pages")
    # None: the run as a whole, where its program stores its weights elsewhere.
    checkpoint = models.ForeignKey(
        "experiments.Checkpoint",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="model_pages",
    )
    slug = models.SlugField(unique=True, max_length=80)
    title = models.CharField(max_length=120)
    version = models.CharField(max_length=40)
    created_at = models.DateTimeField(default=timezone.now)
    # Who asked for it, and the rights admin who approved it: two people.
    published_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    approved_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    published_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")

    objects = ModelPageQuerySet.as_manager()

    class Meta:
        ordering = ["title", "version", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(approved_by=None)
                | ~models.Q(approved_by=models.F("published_by")),
                name="model_page_four_eyes",
            ),
            models.CheckConstraint(
                condition=models.Q(published_at=None) | models.Q(approved_by__isnull=False),
                name="model_page_approved",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title}, version {self.version}"

    def get_absolute_url(self) -> str:
        return reverse("models:model", args=[self.slug])


class ModelPageText(models.Model):
    """One version of a page's free texts. The public reads the newest approved one."""

    page = models.ForeignKey(ModelPage, models.CASCADE, related_name="texts")
    number = models.PositiveIntegerField()
    # By the keys of texts.PARTS; empty ones are left out.
    parts = models.JSONField(default=dict)
    written_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    answered_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)
    refusal = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["page", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["page", "number"], name="model_page_text_once"),
            models.CheckConstraint(
                condition=models.Q(answered_by=None)
                | ~models.Q(answered_by=models.F("written_by")),
                name="model_page_text_four_eyes",
            ),
            models.CheckConstraint(
                condition=models.Q(approved_at=None) | models.Q(refused_at=None),
                name="model_page_text_one_answer",
            ),
        ]

    @property
    def waits(self) -> bool:
        return self.approved_at is None and self.refused_at is None
