"""What came out of a run: samples, their analysis, and the credits on each."""

import uuid
import zlib
from collections.abc import Collection
from functools import reduce
from operator import or_
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils import timezone

from experiments.models import Project, Run, revocations
from experiments.models.publishing import ModelPage
from portal.models import Blob, User
from rights.models import Party, Use
from rights.usage import crediting
from rights.usage.crediting import Statement


class CreditStatement(models.Model):
    """Who a sample owes what it learned to, kept by the digest of its canonical form.

    What is counted here is what a list of samples says in a line; the statement itself is read
    where it is shown whole (rights/usage/crediting.py).
    """

    digest = models.CharField(max_length=64, primary_key=True)
    # The canonical form, by zlib: some ten bytes for a recording.
    packed = models.BinaryField()
    # What the ledger held when it was last made (experiments/clearance/attribution.py).
    mark = models.TextField(blank=True)
    learned = models.IntegerField(default=0, help_text="Recordings that the model learned from.")
    heard = models.IntegerField(default=0, help_text="Recordings that were its reference audio.")
    learned_artists = models.IntegerField(default=0)
    heard_artists = models.IntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    def read(self) -> Statement:
        return crediting.read(self.canonical())

    def public_names(self, left: Collection[int]) -> list[str]:
        """Some of the artists by the words of their choice, the greatest shares first; of parties
        that have `left` only those who want to be named all the same."""
        parties = [artist.party for artist in self.named.select_related("party")]
        told = (
            party.public_name for party in parties if party.pk not in left or party.public_after
        )
        return list(dict.fromkeys(filter(None, told)))

    def canonical(self) -> bytes:
        """Its SHA-256 is the digest."""
        return zlib.decompress(self.packed)


class NamedArtist(models.Model):
    """One of the artists that a credit line names, the greatest share first."""

    statement = models.ForeignKey(CreditStatement, models.CASCADE, related_name="named")
    party = models.ForeignKey(Party, models.PROTECT, related_name="+")
    heard = models.BooleanField(help_text="Of the reference audio.")
    place = models.SmallIntegerField()

    class Meta:
        ordering = ["heard", "place"]
        constraints = [
            models.UniqueConstraint(fields=["statement", "heard", "place"], name="one_per_place")
        ]


class SampleQuerySet(models.QuerySet["Sample"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(run__project__in=Project.objects.visible_to(user))

    def audible(self) -> Self:
        """Those that may be heard now: a permission that ends in this second counts, and what
        silences a clip silences the same sound under every other name."""
        return self.filter(*(~reason for reason in reasons_for_silence()))

    def still_for(self, use: Use) -> Self:
        """Those of which no permission for this use has ended, under whichever name."""
        return self.filter(~Exists(same_sound().filter(revocations.is_revoked_for("run", use))))

    def withheld(self) -> Self:
        return self.filter(reduce(or_, reasons_for_silence()))

    def with_holds(self) -> Self:
        """Adds `hold_reason`, None where no permission behind the sample has ended, `flag_state`,
        None where no flag keeps it silent, and `is_copy`: whether the same sound is silenced
        under another name."""
        # An upheld flag is told before an open one: it is the one that stays.
        first = standing_flags().order_by("-state", "pk")
        return self.annotate(
            hold_reason=revocations.reason("run"),
            flag_state=Subquery(first.values("state")[:1]),
            is_copy=Exists(silent_twins()),
        )


class Sample(models.Model):
    """One generated clip. The file is kept as it came; loudness matching is a stored gain."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="samples")
    # What the program calls it: "final/techno/0". The same name, step and run is the same sample.
    name = models.CharField(max_length=200)
    step = models.BigIntegerField(default=0)
    final = models.BooleanField(default=False, help_text="Made after training, not during.")
    prompt = models.TextField(blank=True)
    seed = models.BigIntegerField(null=True, blank=True)
    audio = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    # SHA-256 of the decoded sound, whatever the file is (audio_samples/analysis.py); empty until it
    # is known of a clip from before this was kept.
    sound = models.CharField(max_length=64, blank=True, default="", db_index=True)
    duration = models.FloatField(help_text="Seconds.")
    sample_rate = models.IntegerField(help_text="Hz.")
    channels = models.IntegerField()
    lufs = models.FloatField(
        null=True, help_text="Integrated loudness, null where silent or under 0.4 s."
    )
    true_peak = models.FloatField(null=True, help_text="dBTP, 4x oversampled.")
    gain_db = models.FloatField(default=0, help_text="To -23 LUFS with peaks under -1 dBTP.")
    # [[min, max], ...] per bucket over all channels, in 1/127ths of full scale.
    peaks = models.JSONField(default=list)
    measures = models.JSONField(default=dict)
    # The recordings that were its reference audio, as its program declared.
    references = models.JSONField(default=list, blank=True)
    credit = models.ForeignKey(CreditStatement, models.PROTECT, null=True, related_name="samples")
    withheld_at = models.DateTimeField(null=True, blank=True)
    withheld_reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = SampleQuerySet.as_manager()

    class Meta:
        ordering = ["-final", "step", "name"]
        constraints = [models.UniqueConstraint(fields=["run", "name", "step"], name="sample_once")]
        indexes = [models.Index(fields=["run", "step"], name="sample_by_step")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("audio_samples:sample", args=[self.pk])


class Credential(models.Model):
    """A sample that somebody took out of the portal: what was signed into the file, and for whom.

    A file that has lost its manifest is found again by what is heard in it (audio_samples/
    credentials/checking.py), and its manifest is here.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sample = models.ForeignKey(Sample, models.PROTECT, related_name="credentials")
    # None where the run used no music.
    statement = models.ForeignKey(CreditStatement, models.PROTECT, null=True, related_name="+")
    sound = models.CharField(max_length=64, db_index=True, help_text="audio_samples/analysis.py")
    manifest = models.BinaryField(help_text="As it stands in the file (JUMBF).")
    serial = models.CharField(max_length=60, help_text="Of the certificate, in decimal digits.")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "id"]

    def get_absolute_url(self) -> str:
        return reverse("audio_samples:credential", args=[self.pk])


class ClipReleaseQuerySet(models.QuerySet["ClipRelease"]):
    def live(self) -> Self:
        """Asked for or released, and neither refused nor taken back."""
        return self.filter(refused_at=None, recalled_at=None)

    def waiting(self) -> Self:
        return self.live().filter(released_at=None)


class ClipRelease(models.Model):
    """A sample that everybody may hear on its model's public page, or that is to be one."""

    sample = models.ForeignKey(Sample, models.PROTECT, related_name="releases")
    page = models.ForeignKey(ModelPage, models.PROTECT, related_name="clips")
    title = models.CharField(max_length=120)
    # The file that is heard, as it was signed when it was approved.
    credential = models.OneToOneField(Credential, models.PROTECT, null=True, related_name="release")
    file = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    asked_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    answered_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    released_at = models.DateTimeField(null=True)
    refused_at = models.DateTimeField(null=True)
    recalled_at = models.DateTimeField(null=True)
    recalled_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=300, blank=True, help_text="Of a refusal or a recall.")

    objects = ClipReleaseQuerySet.as_manager()

    class Meta:
        ordering = ["-asked_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["sample"],
                condition=models.Q(refused_at=None, recalled_at=None),
                name="released_once_at_a_time",
            ),
            models.CheckConstraint(
                condition=models.Q(answered_by=None) | ~models.Q(answered_by=models.F("asked_by")),
                name="clip_four_eyes",
            ),
            models.CheckConstraint(
                condition=models.Q(released_at=None)
                | models.Q(answered_by__isnull=False, credential__isnull=False, file__isnull=False),
                name="clip_released_signed",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def waits(self) -> bool:
        return self.released_at is self.refused_at is self.recalled_at is None

    @property
    def state(self) -> str:
        if self.recalled_at:
            return "taken back"
        if self.refused_at:
            return "refused"
        return "released" if self.released_at else "waits for a rights admin"


class SampleFlag(models.Model):
    """A rightsholder's objection to a sample. It silences the sample until a rights admin has
    looked, and for good where they agree."""

    class State(models.TextChoices):
        OPEN = "open", "Waiting to be looked at"
        UPHELD = "upheld", "Upheld: it stays silent"
        DISMISSED = "dismissed", "Dismissed"

    sample = models.ForeignKey(Sample, models.CASCADE, related_name="flags")
    party = models.ForeignKey(Party, models.PROTECT, related_name="sample_flags")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=1000)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    reviewed_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    reviewed_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=1000, blank=True, help_text="The answer to the party.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["sample", "party"], name="flagged_once_by_party")
        ]
        indexes = [
            models.Index(fields=["sample", "state"], name="flag_by_sample"),
            models.Index(fields=["state", "created_at"], name="flag_by_state"),
        ]


def standing_flags() -> models.QuerySet[SampleFlag]:
    """For a sample in an outer query: the flags that keep it silent."""
    return SampleFlag.objects.filter(
        sample=OuterRef("pk"), state__in=(SampleFlag.State.OPEN, SampleFlag.State.UPHELD)
    )


def same_sound(of: str = "") -> SampleQuerySet:
    """For a sample in an outer query, or what refers to one by `of`: itself, and every clip of
    the same bytes or sound."""
    before = f"{of}__" if of else ""
    return Sample.objects.filter(
        Q(audio=OuterRef(f"{before}audio")) | (Q(sound=OuterRef(f"{before}sound")) & ~Q(sound=""))
    ).order_by()


def reasons_for_silence() -> list[Q]:
    """For a sample in an outer query: all that keeps it from being heard by anybody."""
    return [
        Q(withheld_at__isnull=False),
        Q(revocations.is_revoked("run")),
        Q(Exists(standing_flags())),
        Q(Exists(silent_twins())),
    ]


def silent_twins() -> SampleQuerySet:
    """For a sample in an outer query: the others of the same sound that may not be heard."""
    others = same_sound().exclude(pk=OuterRef("pk"))
    # Of its own run the permissions are those of the sample itself, which are asked anyway.
    ended = ~Q(run=OuterRef("run")) & Q(revocations.is_revoked("run"))
    return others.filter(Q(withheld_at__isnull=False) | Exists(standing_flags()) | ended)
