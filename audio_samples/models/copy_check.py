"""What the copy check stores: indexes, and each sample's results. Prints belong to recordings
(rights/models/sounds.py)."""

from django.db import models
from django.utils import timezone

from experiments.models import Dataset
from portal.models import Blob, User
from rights.models import Recording


class DatasetIndex(models.Model):
    """The index over the included recordings of a frozen dataset, for one version of the method."""

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="+", db_index=False)
    version = models.SmallIntegerField()
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    recordings = models.IntegerField(help_text="That are in it.")
    # Recordings whose file could not be read: nothing is compared with them.
    unread = models.JSONField(default=list, blank=True)
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "version"], name="index_once_per_version")
        ]


class Screening(models.Model):
    """One check of a sample. Rows are append-only, except for a rights admin's answer; the newest
    counts, unless it is of an older version of the method."""

    class Outcome(models.TextChoices):
        PASSED = "passed", "Passed"
        NEAR_COPY = "near_copy", "Near copy"
        NOTHING = "nothing_to_compare", "Nothing to compare with"
        SILENT = "silent", "Silent"
        FAILED = "failed", "Could not be checked"

    class Answer(models.TextChoices):
        CONFIRMED = "confirmed", "A copy: it is withheld"
        DISMISSED = "dismissed", "No copy"

    sample = models.ForeignKey(
        "audio_samples.Sample", models.CASCADE, related_name="screenings", db_index=False
    )
    method = models.CharField(max_length=30, default="landmarks")
    version = models.SmallIntegerField()
    # SHA-256 of the index; of several, over their sorted digests, one per line.
    index_digest = models.CharField(max_length=64, blank=True)
    indexes = models.JSONField(default=list, blank=True, help_text="SHA-256 of each.")
    outcome = models.CharField(max_length=20, choices=Outcome.choices)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it could not be checked.")
    # 0 to 1; null where nothing was compared.
    score = models.FloatField(null=True, blank=True)
    threshold = models.FloatField(null=True, blank=True)
    hashes = models.IntegerField(default=0, help_text="That agree on one distance in time.")
    recording = models.ForeignKey(
        Recording, models.PROTECT, null=True, blank=True, related_name="+"
    )
    clip_at = models.FloatField(null=True, blank=True, help_text="Seconds.")
    recording_at = models.FloatField(null=True, blank=True, help_text="Seconds.")
    length = models.FloatField(null=True, blank=True, help_text="Seconds.")
    at = models.DateTimeField(default=timezone.now)
    answer = models.CharField(max_length=10, choices=Answer.choices, blank=True)
    reviewed_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    reviewed_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(answer="") | models.Q(outcome="near_copy"),
                name="only_near_copies_are_answered",
            ),
            models.CheckConstraint(
                condition=~models.Q(outcome="near_copy") | models.Q(recording__isnull=False),
                name="near_copy_of_something",
            ),
        ]
        indexes = [
            models.Index(fields=["sample", "version", "-id"], name="screening_by_sample"),
            models.Index(fields=["outcome", "answer", "at"], name="screening_by_outcome"),
        ]

    @property
    def in_clip(self) -> str:
        """Where the stretch is in the clip: "0:10 to 0:18"."""
        begin = self.clip_at or 0.0
        return f"{_clock(begin)} to {_clock(begin + (self.length or 0.0))}"

    @property
    def in_recording(self) -> str:
        """Where the stretch begins in the recording: "0:42"."""
        return _clock(self.recording_at or 0.0)

    @property
    def waits(self) -> bool:
        return self.outcome == self.Outcome.NEAR_COPY and not self.answer


def _clock(seconds: float) -> str:
    """Return minutes and whole seconds, as players show them."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
