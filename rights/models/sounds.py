"""Prints of the sound of files, and questions about recordings that sound alike."""

from django.db import models
from django.utils import timezone

from portal.models import Blob, User
from rights.models.repertoire import Recording


class SoundPrint(models.Model):
    """The landmarks of one file and the digest of its samples, made once: the copy check, the
    datasets and the questions about a recording share them.

    A file that could not be read has a problem here, and is not tried again until somebody asks.
    """

    audio = models.ForeignKey(Blob, models.PROTECT, related_name="+", db_index=False)
    version = models.SmallIntegerField(help_text="Of the method (audio/prints.py).")
    sound = models.CharField(max_length=64, blank=True, help_text="audio/sound_digest.py")
    packed = models.BinaryField(null=True)
    problem = models.CharField(max_length=300, blank=True)
    # Whether it was compared with all prints that were there before it.
    compared = models.BooleanField(default=False)
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["audio", "version"], name="sound_print_once"),
            models.CheckConstraint(
                condition=models.Q(packed__isnull=False) ^ ~models.Q(problem=""),
                name="sound_print_or_problem",
            ),
        ]
        indexes = [models.Index(fields=["sound"], name="sound_print_by_sound")]


class Landmark(models.Model):
    """One of the few hashes of a print by which it is found among all others. They are rows, so
    that one more recording is some more rows and never a new index."""

    print = models.ForeignKey(SoundPrint, models.CASCADE, related_name="landmarks")
    hash = models.BigIntegerField()
    frame = models.IntegerField()

    class Meta:
        indexes = [models.Index(fields=["hash"], name="landmark_by_hash")]


class SoundQuestion(models.Model):
    """A recording sounds like another that had the sound earlier, as its file or as a part. It is
    used for nothing until a rights admin has answered how they relate; the answer may create a
    relation between them."""

    class Answer(models.TextChoices):
        CONTAINS = "contains", "It contains a part of the earlier one"
        DERIVED = "derived", "It was made from the earlier one"
        # The recording that was entered first need not be the original.
        CONTAINED = "contained", "The earlier one contains a part of it"
        ORIGIN = "origin", "The earlier one was made from it"
        SAME_SOUND = "same_sound", "It is the same sound"
        NOT_THE_SAME = "not_the_same", "They have nothing to do with each other"

    recording = models.ForeignKey(Recording, models.PROTECT, related_name="sound_questions")
    other = models.ForeignKey(Recording, models.PROTECT, related_name="+")
    # Whether the samples are the same; else how alike the best stretch is, 0 to 1, and where it is.
    same_samples = models.BooleanField(default=False)
    score = models.FloatField(null=True, blank=True)
    at = models.FloatField(null=True, blank=True, help_text="Seconds, in the recording.")
    other_at = models.FloatField(null=True, blank=True, help_text="Seconds, in the other one.")
    length = models.FloatField(null=True, blank=True, help_text="Seconds.")
    created_at = models.DateTimeField(default=timezone.now)
    answer = models.CharField(max_length=20, choices=Answer.choices, blank=True)
    note = models.CharField(max_length=300, blank=True)
    answered_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["recording", "other"],
                condition=models.Q(answered_at=None),
                name="sound_asked_once",
            ),
            models.CheckConstraint(
                condition=~models.Q(recording=models.F("other")), name="sound_of_two_recordings"
            ),
            models.CheckConstraint(
                condition=models.Q(answer="", answered_at=None)
                | (~models.Q(answer="") & models.Q(answered_at__isnull=False)),
                name="sound_answered_whole",
            ),
        ]
        indexes = [models.Index(fields=["recording", "answered_at"], name="sound_questions_open")]

    def __str__(self) -> str:
        return f"{self.recording} sounds like {self.other}"
