"""Bulk imports: a file, how its columns are read, how far it has come, and what was wrong."""

from typing import Self

from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal.models import Blob, User


class ImportJobQuerySet(models.QuerySet["ImportJob"]):
    def visible_to(self, user: User) -> Self:
        return self if "rights_admin" in user.roles else self.none()


class ImportJob(models.Model):
    """One file that is imported into the catalogue in parts; each part is one transaction."""

    class Format(models.TextChoices):
        CSV = "csv", "CSV or Excel"
        ERN = "ern", "DDEX ERN"
        JSON = "json", "JSON"
        PARTICIPATION = "participation", "Participation by ISRC"

    class State(models.TextChoices):
        UPLOADED = "uploaded", "Uploaded"
        CHECKING = "checking", "Being checked"
        CHECKED = "checked", "Checked"
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Running"
        CANCELLED = "cancelled", "Stopped"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"

    name = models.CharField(max_length=200)
    file = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    format = models.CharField(max_length=20, choices=Format.choices)
    # For a CSV: our field to its column.
    columns = models.JSONField(default=dict, blank=True)
    options = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=20, choices=State.choices, default=State.UPLOADED)
    rows = models.PositiveIntegerField(default=0)
    # Rows that were imported, or were in the catalogue already: a resumed import goes on here.
    done = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    beat_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = ImportJobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("rights:import", args=[self.pk])


class ImportProblem(models.Model):
    """What is wrong with one row, in a sentence. A warning does not keep the row out."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="problems")
    row = models.PositiveIntegerField(help_text="As in the file; the first data row is 1.")
    field = models.CharField(max_length=60, blank=True)
    sentence = models.CharField(max_length=400)
    warning = models.BooleanField(default=False)

    class Meta:
        ordering = ["job", "row", "id"]


class NewParty(models.Model):
    """A party that entering a checked file would add, with the names that are like its own."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="new_parties")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20)
    row = models.PositiveIntegerField(help_text="The first row that names it.")
    # Of each like name: "name", and the "party" that has it or the "row" of this file.
    similar = models.JSONField(default=list)
    # 0 with like names, 1 without: those to be looked at come first.
    similar_first = models.SmallIntegerField(default=1)

    class Meta:
        ordering = ["job", "row", "id"]


class ImportedKey(models.Model):
    """A source's own key for something that has no public identifier.

    A second import of the same source finds it again by that. `key` is a digest
    (importing/rows.py).
    """

    class Kind(models.TextChoices):
        RECORDING = "recording", "Recording"
        WORK = "work", "Work"
        RELEASE = "release", "Release"

    source = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    key = models.CharField(max_length=64)
    # Not a foreign key: it refers to one of three tables, none of which loses rows.
    object_pk = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "kind", "source"], name="imported_key_once")
        ]
