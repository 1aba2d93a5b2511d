"""Comments on whatever in a project has an address: runs, samples, sweeps, reports.

A comment carries its project and two words for its subject: a kind and a key. Who may see it
follows from the project alone, so no table here needs to know the tables of its subjects.
"""

from typing import Self

from django.db import models
from django.utils import timezone

from experiments.models.projects import Project
from portal.models import User


class CommentQuerySet(models.QuerySet["Comment"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(project__in=Project.objects.visible_to(user))

    def about(self, kind: str, key: str) -> Self:
        return self.filter(kind=kind, key=key)


class Comment(models.Model):
    """What a person wrote about something; an answer has the comment that begins its thread."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="comments")
    kind = models.CharField(max_length=10)
    key = models.CharField(max_length=40)
    parent = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True, related_name="answers"
    )
    author = models.ForeignKey(User, models.PROTECT, related_name="+")
    # Empty once it was deleted; the row stays, so that answers to it keep their place.
    text = models.TextField()
    at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = CommentQuerySet.as_manager()

    class Meta:
        ordering = ["at", "id"]
        indexes = [
            models.Index(fields=["kind", "key", "at"], name="comment_by_subject"),
            models.Index(fields=["project", "-at"], name="comment_newest"),
        ]


class CommentEdit(models.Model):
    """What a comment said before it was changed."""

    comment = models.ForeignKey(Comment, models.CASCADE, related_name="edits")
    text = models.TextField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]


class Muted(models.Model):
    """A person hears nothing of this discussion any more, unless somebody names them."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    kind = models.CharField(max_length=10)
    key = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "kind", "key"], name="muted_once")]
