"""The repertoire: works, recordings, their parts, releases, and who contributed what."""

from typing import Self

from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal.models import Blob, User
from rights.models.parties import SEES_ALL, Party
from rights.models.personal import asked_for_any
from rights.models.vocabulary import RoleCode


class WorkQuerySet(models.QuerySet["Work"]):
    def visible_to(self, user: User) -> Self:
        if SEES_ALL & set(user.roles):
            return self
        return self.filter(splits__superseded_at=None, splits__lines__party__people=user).distinct()


class Work(models.Model):
    """A composition."""

    title = models.CharField(max_length=300)
    iswc = models.CharField(
        "ISWC", max_length=11, blank=True, help_text="Compact: T and ten digits."
    )
    mbid = models.CharField("MusicBrainz work id", max_length=36, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = WorkQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["iswc"], condition=~models.Q(iswc=""), name="work_iswc_once"
            )
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("rights:work", args=[self.pk])


class RecordingQuerySet(models.QuerySet["Recording"]):
    def visible_to(self, user: User) -> Self:
        if SEES_ALL & set(user.roles):
            return self
        # A share on a superseded sheet no longer shows anything.
        credited = Credit.objects.filter(asked_for_any()).filter(
            models.Q(party__people=user) | models.Q(party__members__member__people=user)
        )
        return self.filter(
            models.Q(splits__superseded_at=None, splits__lines__party__people=user)
            | models.Q(works__splits__superseded_at=None, works__splits__lines__party__people=user)
            | models.Q(pk__in=credited.exclude(recording=None).values("recording"))
        ).distinct()


class Recording(models.Model):
    """A sound recording: its file, its ISRC and what the file measures."""

    title = models.CharField(max_length=300)
    isrc = models.CharField(
        "ISRC", max_length=12, blank=True, help_text="Compact: twelve characters."
    )
    mbid = models.CharField("MusicBrainz recording id", max_length=36, blank=True)
    works = models.ManyToManyField(Work, related_name="recordings", through="RecordingWork")
    # Null: known by its metadata alone. Such a recording is never permitted for anything.
    audio = models.ForeignKey(Blob, models.PROTECT, null=True, blank=True, related_name="+")
    audio_at = models.DateTimeField(null=True, blank=True)
    # As delivered: the file is never altered.
    format = models.CharField(max_length=10, blank=True)
    duration = models.FloatField(default=0, help_text="Seconds; 0 without a file.")
    sample_rate = models.IntegerField(default=0, help_text="Hz.")
    channels = models.IntegerField(default=0)
    lufs = models.FloatField(
        null=True,
        blank=True,
        help_text="Integrated loudness (BS.1770), null where silent or too short.",
    )
    warnings = models.JSONField(default=list, blank=True)
    # What a model may be conditioned on: {"genre": "techno", "tempo": 128, "key": "A minor"}.
    tags = models.JSONField(default=dict, blank=True)
    # By what its file will be known, of a recording that was announced (file_batches/).
    expected_file = models.CharField(max_length=300, blank=True, help_text="Its name.")
    expected_hash = models.CharField(
        max_length=80, blank=True, help_text="Such as sha256: and 64 hexadecimal digits."
    )
    added_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = RecordingQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["isrc"], condition=~models.Q(isrc=""), name="recording_isrc_once"
            ),
            models.UniqueConstraint(fields=["audio"], name="recording_audio_once"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("rights:recording", args=[self.pk])


class RecordingWork(models.Model):
    """A work that a recording contains. The row is never removed: to correct a mistake the
    recording is entered anew, so that old decisions keep their basis."""

    recording = models.ForeignKey(Recording, models.CASCADE)
    work = models.ForeignKey(Work, models.CASCADE)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["recording", "work"], name="work_once_in_recording")
        ]


class Preview(models.Model):
    """The marked part of a recording for those who may not have the whole
    (rights/catalogue/audio_previews.py).

    Made once for a file and a version of the method; the recording's own file never changes.
    """

    recording = models.ForeignKey(Recording, models.CASCADE, related_name="previews")
    version = models.PositiveSmallIntegerField(help_text="Of how it is made.")
    audio = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    duration = models.FloatField(help_text="Seconds.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["recording", "version"], name="preview_once")
        ]

    def __str__(self) -> str:
        return f"Preview of {self.recording_id}"


class Stem(models.Model):
    """One part of a recording as its own file: vocals, drums. Used only by the use `stems`."""

    class Part(models.TextChoices):
        VOCALS = "vocals", "Vocals"
        DRUMS = "drums", "Drums"
        BASS = "bass", "Bass"
        GUITAR = "guitar", "Guitar"
        KEYS = "keys", "Keys"
        OTHER = "other", "Other"

    recording = models.ForeignKey(Recording, models.CASCADE, related_name="stems")
    part = models.CharField(max_length=20, choices=Part.choices)
    name = models.CharField(max_length=100, blank=True)
    audio = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    format = models.CharField(max_length=10)
    duration = models.FloatField(help_text="Seconds.")
    sample_rate = models.IntegerField(help_text="Hz.")
    channels = models.IntegerField()
    added_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["part", "name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["recording", "audio"], name="stem_audio_once")
        ]

    def __str__(self) -> str:
        return self.name or str(self.get_part_display())


class Release(models.Model):
    """A product with its tracks; it has the UPC and the GRid."""

    title = models.CharField(max_length=300)
    upc = models.CharField("UPC/EAN", max_length=14, blank=True)
    grid = models.CharField("GRid", max_length=18, blank=True)
    label = models.ForeignKey(Party, models.PROTECT, null=True, blank=True, related_name="releases")
    released_on = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["title", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["upc"], condition=~models.Q(upc=""), name="release_upc_once"
            ),
            models.UniqueConstraint(
                fields=["grid"], condition=~models.Q(grid=""), name="release_grid_once"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("rights:release", args=[self.pk])


class ReleaseTrack(models.Model):
    release = models.ForeignKey(Release, models.CASCADE, related_name="tracks")
    recording = models.ForeignKey(Recording, models.PROTECT, related_name="tracks")
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["release", "position"]
        constraints = [
            models.UniqueConstraint(fields=["release", "position"], name="track_position_once")
        ]


class Credit(models.Model):
    """A contributor's role on a recording or a work, in DDEX vocabulary."""

    RoleCode = RoleCode

    recording = models.ForeignKey(
        Recording, models.CASCADE, null=True, blank=True, related_name="credits"
    )
    work = models.ForeignKey(Work, models.CASCADE, null=True, blank=True, related_name="credits")
    party = models.ForeignKey(Party, models.PROTECT, related_name="credits")
    role = models.CharField(max_length=30, choices=RoleCode.choices)
    avs_version = models.CharField(max_length=10, default="9")
    # The role's name where `role` is UserDefined.
    user_defined = models.CharField(max_length=60, blank=True)
    instrument = models.CharField(max_length=100, blank=True)
    display_text = models.CharField(
        max_length=200, blank=True, help_text="Wording of this credit, where it is not the usual."
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recording__isnull=False, work__isnull=True)
                | models.Q(recording__isnull=True, work__isnull=False),
                name="credit_on_one_subject",
            )
        ]

    @property
    def role_in_words(self) -> str:
        return self.user_defined or str(self.get_role_display())
