"""What people say of runs: the history of it, tags to look for, and acts on many runs at once."""

from django.db import models
from django.utils import timezone

from experiments.models.projects import Project
from experiments.models.runs import Run
from portal.models import User


class RunTag(models.Model):
    """One tag of one run, to look for and to count. `Run.tags` has the same names, to be shown.

    `key` is the name case-folded, as it is looked for. Names that many runs share are no rows of
    their own: then a page of a table would join two tables to show what is in `Run.tags` already.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="tag_rows")
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    name = models.CharField(max_length=60)
    # Case-folded, one letter may become three.
    key = models.CharField(max_length=180)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="run_tag_once")]
        indexes = [models.Index(fields=["project", "key"], name="run_by_tag")]


class RunBatch(models.Model):
    """An act on many runs at once, which is undone at once."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="run_batches")
    act = models.CharField(max_length=20)
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    count = models.IntegerField(default=0)
    undone_at = models.DateTimeField(null=True, blank=True)


class RunEdit(models.Model):
    """One change of what is said of a run, or of where it stands: its fields before and after.

    Fields are name, description, notes, tags, archived, deleted, and project for a move. `version`
    counts within the run: a page that was made for one version knows what has changed since.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="edits")
    version = models.IntegerField()
    at = models.DateTimeField(default=timezone.now)
    # None: the run's own program did it.
    by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    # The delivery of a program, which counts once.
    source = models.CharField(max_length=80, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    undoes = models.ForeignKey("self", models.SET_NULL, null=True, related_name="undone_by")
    batch = models.ForeignKey(RunBatch, models.SET_NULL, null=True, related_name="edits")

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["run", "version"], name="run_edit_version_once"),
            models.UniqueConstraint(
                fields=["run", "source"], condition=~models.Q(source=""), name="run_edit_once"
            ),
        ]
