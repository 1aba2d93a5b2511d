"""Batches of files that were sent for announced recordings, and what each file was found to be."""

from typing import Self

from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal.models import Blob, User
from rights.models.repertoire import Recording


class FileBatchQuerySet(models.QuerySet["FileBatch"]):
    def visible_to(self, user: User) -> Self:
        return self if "rights_admin" in user.roles else self.none()


class FileBatch(models.Model):
    """Files that were sent at once. Nothing of it is a recording's before a person has said so."""

    class State(models.TextChoices):
        RECEIVING = "receiving", "Being received"
        LOOKING = "looking", "Being looked at"
        READY = "ready", "Looked at"
        ATTACHING = "attaching", "Being attached"
        DISCARDED = "discarded", "Discarded"

    name = models.CharField(max_length=200)
    state = models.CharField(max_length=20, choices=State.choices, default=State.RECEIVING)
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    # The last sign of life of the worker that has the batch.
    beat_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = FileBatchQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("rights:file_batch", args=[self.pk])


class BatchFile(models.Model):
    """One file of a batch, sent by itself or in an archive, and which recording it belongs to."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        LOOKED_AT = "looked_at", "Looked at"
        UNPACKED = "unpacked", "Unpacked"
        MATCHED = "matched", "Matched"
        AMBIGUOUS = "ambiguous", "Not certain"
        UNMATCHED = "unmatched", "Not matched"
        HAS_FILE = "has_file", "Recording has its file"
        LEFT_OUT = "left_out", "Left out"
        HERE = "here", "Here already"
        TWICE = "twice", "Same file twice"
        PASSED_OVER = "passed_over", "Passed over"
        ATTACHING = "attaching", "Being attached"
        ATTACHED = "attached", "Attached"
        REFUSED = "refused", "Refused"

    class How(models.TextChoices):
        HASH = "hash", "the hash it was announced with"
        ISRC_IN_TAGS = "isrc_in_tags", "the ISRC in its tags"
        ISRC_IN_NAME = "isrc_in_name", "the ISRC in its name"
        EXPECTED_NAME = "expected_name", "the file name it was announced with"
        TITLE = "title", "its title"
        CHOSEN = "chosen", "choice of a person"

    # What a person decides about.
    UNDECIDED = (State.MATCHED, State.AMBIGUOUS, State.UNMATCHED, State.HAS_FILE, State.LEFT_OUT)
    # What the next match of the batch decides anew.
    MATCHED_ANEW = (State.MATCHED, State.AMBIGUOUS, State.UNMATCHED, State.HAS_FILE)
    # What needs its bytes no longer: they are somebody's recording, or nobody's.
    DONE = (State.UNPACKED, State.HERE, State.TWICE, State.PASSED_OVER, State.ATTACHED,
            State.REFUSED)  # fmt: skip
    # Files that came to nothing, for the list of what did not match.
    LEFT_OVER = (State.UNMATCHED, State.AMBIGUOUS, State.HAS_FILE, State.LEFT_OUT, State.REFUSED)

    batch = models.ForeignKey(FileBatch, models.CASCADE, related_name="files")
    archive = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="+")
    number = models.PositiveIntegerField(help_text="In the upload, or in the archive, from 1.")
    path = models.CharField(max_length=500, help_text="Its name, after those of its folders.")
    size = models.BigIntegerField(default=0)
    # Null once the bytes are not needed here.
    blob = models.ForeignKey(Blob, models.PROTECT, null=True, blank=True, related_name="+")
    sha256 = models.CharField(max_length=64, blank=True)
    sha1 = models.CharField(max_length=40, blank=True)
    md5 = models.CharField(max_length=32, blank=True)
    # What its tags say: {"isrcs": [...], "title": "", "artist": "", "album": ""}.
    tags = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=20, choices=State.choices, default=State.WAITING)
    how = models.CharField(max_length=20, choices=How.choices, blank=True)
    sentence = models.CharField(max_length=500, blank=True)
    # The recording that it is to be attached to, was attached to, or is already.
    recording = models.ForeignKey(
        Recording, models.PROTECT, null=True, blank=True, related_name="+"
    )
    # Ids of recordings that it may belong to, where none is certain.
    candidates = models.JSONField(default=list, blank=True)
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    # How often a worker has begun with it: a file that ends its worker is not begun for ever.
    tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["path", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["archive", "number"],
                condition=models.Q(archive__isnull=False),
                name="batch_file_unpacked_once",
            ),
            models.UniqueConstraint(
                fields=["batch", "recording"],
                condition=models.Q(state__in=["matched", "attaching"]),
                name="batch_file_one_for_recording",
            ),
        ]
        indexes = [models.Index(fields=["batch", "state"], name="batch_file_by_state")]

    def __str__(self) -> str:
        return self.path
