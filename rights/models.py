"""Whose music, who holds which part of it, and what they allow. See docs/architecture.md."""

from datetime import date, datetime
from typing import Any, Self, TypeVar

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from portal.models import Blob, User

PPM = 1_000_000

M = TypeVar("M", bound=models.Model)


class RightType(models.TextChoices):
    COMPOSITION = "composition", "Composition"
    MASTER = "master", "Master"
    PERSONA = "persona", "Name, image and likeness"


class Use(models.TextChoices):
    """What may be done with a recording; each is granted separately (reference: CAWG 1.1 keys)."""

    EVAL = "eval", "Evaluation and listening tests"
    TRAIN_ANALYSIS = "train.analysis", "Training of classifiers and embeddings"
    TRAIN_GENERATIVE = "train.generative", "Training of generative models"
    FINETUNE = "finetune", "Fine-tuning on a named artist or catalogue"
    CONDITION = "condition", "Reference audio at generation"
    STEMS = "stems", "Separation and reuse of stems"
    DERIVE_REMIX = "derive.remix", "Remixes"
    DERIVE_COVER = "derive.cover", "Covers"
    VOICE = "voice", "Voice models"
    LIKENESS_NAME = "likeness.name", "Use of the artist's name"
    STYLE_NAMED = "style.named", "Named style"
    DISTRIBUTE = "distribute", "Distribution of outputs"


class Purpose(models.TextChoices):
    RESEARCH = "research", "Research"
    INTERNAL = "internal", "Internal products"
    COMMERCIAL = "commercial", "Commercial products"


class PartyQuerySet(models.QuerySet["Party"]):
    def visible_to(self, user: User) -> Self:
        from_roles = {"rights_admin", "researcher", "operator"}
        if from_roles & set(user.roles):
            return self
        return self.filter(people=user)


class Party(models.Model):
    """Someone who can hold or sign for rights: a person, a group, a label, a publisher."""

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        GROUP = "group", "Group"
        LABEL = "label", "Label"
        PUBLISHER = "publisher", "Publisher"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    name = models.CharField(max_length=200, unique=True)
    credited_as = models.CharField(
        max_length=200, blank=True, help_text="Wording on credits, if not the name."
    )
    contact = models.EmailField(blank=True)
    ipi_name = models.CharField("IPI name number", max_length=11, blank=True)
    isni = models.CharField("ISNI", max_length=16, blank=True)
    people = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="parties")
    created_at = models.DateTimeField(default=timezone.now)

    objects = PartyQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "parties"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("rights:party", args=[self.pk])

    @property
    def credit_name(self) -> str:
        return self.credited_as or self.name


class WorkQuerySet(models.QuerySet["Work"]):
    def visible_to(self, user: User) -> Self:
        if {"rights_admin", "researcher", "operator"} & set(user.roles):
            return self
        return self.filter(splits__lines__party__people=user).distinct()


class Work(models.Model):
    """A composition."""

    title = models.CharField(max_length=300)
    iswc = models.CharField(
        "ISWC", max_length=11, blank=True, help_text="Compact: T and ten digits."
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects = WorkQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("rights:work", args=[self.pk])


class RecordingQuerySet(models.QuerySet["Recording"]):
    def visible_to(self, user: User) -> Self:
        if {"rights_admin", "researcher", "operator"} & set(user.roles):
            return self
        return self.filter(
            models.Q(splits__lines__party__people=user)
            | models.Q(works__splits__lines__party__people=user)
        ).distinct()


class Recording(models.Model):
    """A sound recording: its file, its ISRC and what the file measures."""

    title = models.CharField(max_length=300)
    isrc = models.CharField(
        "ISRC", max_length=12, blank=True, help_text="Compact: twelve characters."
    )
    works = models.ManyToManyField(Work, related_name="recordings")
    audio = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    # As delivered: the file is never altered.
    format = models.CharField(max_length=10)
    duration = models.FloatField(help_text="Seconds.")
    sample_rate = models.IntegerField(help_text="Hz.")
    channels = models.IntegerField()
    lufs = models.FloatField(
        null=True,
        blank=True,
        help_text="Integrated loudness (BS.1770), null where silent or too short.",
    )
    warnings = models.JSONField(default=list, blank=True)
    # What a model may be conditioned on: {"genre": "techno", "tempo": 128, "key": "A minor"}.
    tags = models.JSONField(default=dict, blank=True)
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


class Credit(models.Model):
    """A contributor's role on a recording or a work, in DDEX vocabulary."""

    class RoleCode(models.TextChoices):
        MAIN_ARTIST = "MainArtist", "Main artist"
        FEATURED_ARTIST = "FeaturedArtist", "Featured artist"
        COMPOSER = "Composer", "Composer"
        LYRICIST = "Lyricist", "Lyricist"
        ARRANGER = "Arranger", "Arranger"
        PRODUCER = "Producer", "Producer"
        MIXER = "Mixer", "Mixer"
        MASTERING_ENGINEER = "MasteringEngineer", "Mastering engineer"
        STUDIO_MUSICIAN = "StudioMusician", "Studio musician"
        VOCALIST = "Vocalist", "Vocalist"

    recording = models.ForeignKey(
        Recording, models.CASCADE, null=True, blank=True, related_name="credits"
    )
    work = models.ForeignKey(Work, models.CASCADE, null=True, blank=True, related_name="credits")
    party = models.ForeignKey(Party, models.PROTECT, related_name="credits")
    role = models.CharField(max_length=30, choices=RoleCode.choices)
    instrument = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recording__isnull=False, work__isnull=True)
                | models.Q(recording__isnull=True, work__isnull=False),
                name="credit_on_one_subject",
            )
        ]


class SplitSheet(models.Model):
    """Who holds which share of one right in one work or recording; shares sum to 1,000,000 ppm."""

    class Status(models.TextChoices):
        CONFIRMING = "confirming", "Waiting for confirmation"
        CONFIRMED = "confirmed", "Confirmed"
        DISPUTED = "disputed", "Disputed"
        SUPERSEDED = "superseded", "Superseded"

    recording = models.ForeignKey(
        Recording, models.CASCADE, null=True, blank=True, related_name="splits"
    )
    work = models.ForeignKey(Work, models.CASCADE, null=True, blank=True, related_name="splits")
    right_type = models.CharField(max_length=20, choices=RightType.choices)
    version = models.IntegerField(default=1)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.CONFIRMING)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recording__isnull=False, work__isnull=True, right_type="master")
                | models.Q(recording__isnull=True, work__isnull=False, right_type="composition"),
                name="split_right_fits_subject",
            ),
            models.UniqueConstraint(
                fields=["recording"],
                condition=~models.Q(status="superseded"),
                name="one_open_master_split",
            ),
            models.UniqueConstraint(
                fields=["work"],
                condition=~models.Q(status="superseded"),
                name="one_open_composition_split",
            ),
        ]


class SplitLine(models.Model):
    sheet = models.ForeignKey(SplitSheet, models.CASCADE, related_name="lines")
    party = models.ForeignKey(Party, models.PROTECT, related_name="split_lines")
    ppm = models.IntegerField(help_text="Parts per million.")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    disputed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sheet", "party"], name="party_once_per_sheet"),
            models.CheckConstraint(
                condition=models.Q(ppm__gt=0, ppm__lte=PPM), name="split_ppm_in_range"
            ),
        ]


class AgreementQuerySet(models.QuerySet["Agreement"]):
    def visible_to(self, user: User) -> Self:
        if {"rights_admin", "operator"} & set(user.roles):
            return self
        return self.filter(counterparty__people=user)


class Agreement(models.Model):
    """The signed paper under which grants are made."""

    title = models.CharField(max_length=200)
    counterparty = models.ForeignKey(Party, models.PROTECT, related_name="agreements")
    document = models.ForeignKey(Blob, models.PROTECT, null=True, blank=True, related_name="+")
    signed_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    terms = models.TextField(blank=True, help_text="What is paid and how it is credited, in words.")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = AgreementQuerySet.as_manager()

    class Meta:
        ordering = ["-signed_on", "id"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("rights:agreement", args=[self.pk])


class GrantQuerySet(models.QuerySet["Grant"]):
    def visible_to(self, user: User) -> Self:
        if {"rights_admin", "operator"} & set(user.roles):
            return self
        return self.filter(grantor__people=user)

    def in_force(self, at: datetime) -> Self:
        return self.filter(status=Grant.Status.ACTIVE, starts_on__lte=at.date()).filter(
            models.Q(ends_on=None) | models.Q(ends_on__gte=at.date())
        )


class Grant(models.Model):
    """One party's permission for one use of one right, in a scope. Ended grants never revive.

    `recording` or `work` narrows it to that subject; with neither it covers the grantor's
    share in their whole catalogue.
    """

    class Status(models.TextChoices):
        OFFERED = "offered", "Offered"
        ACTIVE = "active", "Active"
        WITHDRAWN = "withdrawn", "Withdrawn"
        EXPIRED = "expired", "Expired"
        SUPERSEDED = "superseded", "Superseded"

    agreement = models.ForeignKey(Agreement, models.PROTECT, related_name="grants")
    grantor = models.ForeignKey(Party, models.PROTECT, related_name="grants")
    right_type = models.CharField(max_length=20, choices=RightType.choices)
    use = models.CharField(max_length=30, choices=Use.choices)
    recording = models.ForeignKey(
        Recording, models.PROTECT, null=True, blank=True, related_name="grants"
    )
    work = models.ForeignKey(Work, models.PROTECT, null=True, blank=True, related_name="grants")
    purposes = models.JSONField(default=list, help_text="Purposes allowed; none means none.")
    territories = models.JSONField(default=list, help_text='ISO 3166 codes, or ["world"].')
    model_family = models.CharField(
        max_length=100, blank=True, help_text="Empty: every family of the lab."
    )
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.OFFERED)
    version = models.IntegerField(default=1)
    drafted_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    activated_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=300, blank=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        ordering = ["grantor__name", "use", "right_type", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(recording__isnull=True) | models.Q(work__isnull=True),
                name="grant_on_one_subject",
            ),
        ]
        indexes = [models.Index(fields=["use", "status", "grantor"], name="grant_by_use")]

    def get_absolute_url(self) -> str:
        return reverse("rights:grant", args=[self.pk])

    def covers_day(self, day: date) -> bool:
        return self.starts_on <= day and (self.ends_on is None or day <= self.ends_on)

    @property
    def subject(self) -> "Recording | Work | None":
        """What it is narrowed to; None is the grantor's whole catalogue."""
        return self.recording or self.work


class GrantExclusion(models.Model):
    """A recording that a grant of a whole catalogue or work leaves out: its holder opted out."""

    grant = models.ForeignKey(Grant, models.PROTECT, related_name="exclusions")
    recording = models.ForeignKey(Recording, models.PROTECT, related_name="exclusions")
    reason = models.CharField(max_length=300)
    made_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["grant", "recording"], name="excluded_once")]


class Immutable(RuntimeError):
    """A record that is kept for good was about to be changed or deleted."""


class KeptQuerySet(models.QuerySet[M]):
    def update(self, **kwargs: Any) -> int:  # noqa: ARG002
        raise Immutable(f"A {self.model._meta.verbose_name} is never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise Immutable(f"A {self.model._meta.verbose_name} is never deleted.")


class Kept(models.Model):
    """A row that is written once: decisions and the ledger."""

    class Meta:
        abstract = True

    def save(self, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Immutable(f"A {self._meta.verbose_name} is never changed.")
        super().save(**kwargs)

    def delete(
        self,
        using: Any = None,  # noqa: ARG002
        keep_parents: bool = False,  # noqa: ARG002
    ) -> tuple[int, dict[str, int]]:
        raise Immutable(f"A {self._meta.verbose_name} is never deleted.")


class Decision(Kept):
    """What consent.check answered, for good: one set of recordings, one use, one moment."""

    use = models.CharField(max_length=30, choices=Use.choices)
    context = models.JSONField()
    as_of = models.DateTimeField()
    allowed = models.BooleanField()
    policy_version = models.CharField(max_length=20)
    input_digest = models.CharField(max_length=64)
    made_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = KeptQuerySet.as_manager()


class DecisionLine(Kept):
    """One recording's part of a decision. `reasons` are {code, sentence, party, right}."""

    decision = models.ForeignKey(Decision, models.CASCADE, related_name="lines")
    recording = models.ForeignKey(Recording, models.PROTECT, related_name="+")
    allowed = models.BooleanField()
    reasons = models.JSONField(default=list)
    grants = models.JSONField(default=list)

    objects = KeptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["decision", "recording"], name="one_line_per_recording")
        ]


class UsageEvent(Kept):
    """The ledger: how much of a recording was used, by what. Append-only."""

    recording = models.ForeignKey(Recording, models.PROTECT, related_name="usage")
    use = models.CharField(max_length=30, choices=Use.choices)
    # `run:<id>`; the ledger lies below runs, so it names them instead of pointing to them.
    source = models.CharField(max_length=80)
    # Cumulative position in the source (training step), so that a repeated report counts once.
    step = models.BigIntegerField()
    examples = models.BigIntegerField(
        help_text="Training crops or conditioned samples since the last event."
    )
    seconds = models.FloatField(help_text="Seconds of audio in them.")
    at = models.DateTimeField(default=timezone.now)

    objects = KeptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["recording", "source", "step"], name="usage_counted_once"
            )
        ]
        indexes = [models.Index(fields=["source"], name="usage_by_source")]


class Hold(models.Model):
    """The mark of a permission that ended: this recording, for this use, from this moment.

    Written in the transaction that ends the permission (withdrawal, expiry, dispute). Rooms
    above look here: whatever was frozen, trained or made before `at` with the recording for
    that use is stopped or withheld. A hold is never lifted; a new agreement permits new use.
    """

    recording = models.ForeignKey(Recording, models.PROTECT, related_name="holds")
    use = models.CharField(max_length=30, choices=Use.choices)
    party = models.ForeignKey(Party, models.PROTECT, related_name="+")
    grant = models.ForeignKey(Grant, models.PROTECT, null=True, blank=True, related_name="holds")
    reason = models.CharField(max_length=300)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["recording", "use", "at"], name="hold_by_recording")]
