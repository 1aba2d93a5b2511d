"""Recordings that come from recordings: who entered that, when, and until when it counts."""

from django.db import models
from django.utils import timezone

from portal.models import User
from rights.models.repertoire import Recording


class RecordingRelation(models.Model):
    """One recording contains another, or was made from it: whoever is asked for the source is asked
    for what was made of it (rights/consent/relations.py). It counts from when it was entered. Its
    two recordings and its kind never change; somebody else ends a mistake."""

    class Kind(models.TextChoices):
        CONTAINS = "contains", "Contains a part of it (sample, vocal)"
        DERIVED = "derived", "Was made from it (remix, edit, remaster, stem)"
        SAME_SOUND = "same_sound", "Is the same sound"

    recording = models.ForeignKey(Recording, models.PROTECT, related_name="sources")
    source = models.ForeignKey(Recording, models.PROTECT, related_name="made_of_it")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    note = models.CharField(max_length=300, blank=True)
    said_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    confirmed_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(recording=models.F("source")), name="relation_of_two_recordings"
            ),
            models.UniqueConstraint(
                fields=["recording", "source", "kind"],
                condition=models.Q(ended_at=None),
                name="relation_said_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.recording} {self.in_words} {self.source}"

    @property
    def in_words(self) -> str:
        return {
            self.Kind.CONTAINS: "contains a part of",
            self.Kind.DERIVED: "was made from",
        }.get(self.Kind(self.kind), "is the same sound as")
