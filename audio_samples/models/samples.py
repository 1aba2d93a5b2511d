"""The samples of a run, their credits, downloads, releases and flags."""

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
    """The credits of a sample: whose music its model learned from, by the digest of the canonical
    form.

    The counts here are for the line in a list of samples; the whole statement is read where it is
    shown (rights/usage/crediting.py).
    """

    digest = models.CharField(max_length=64, primary_key=True)
    # The canonical form, compressed by zlib: about ten bytes for each recording.
    packed = models.BinaryField()
    # The state of the ledger when it was last made (experiments/clearance/attribution.py).
    mark = models.TextField(blank=True)
    learned = models.IntegerField(default=0, help_text="Recordings that the model learned from.")
    heard = models.IntegerField(default=0, help_text="Recordings that were its reference audio.")
    learned_artists = models.IntegerField(default=0)
    heard_artists = models.IntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    def read(self) -> Statement:
        return crediting.parse_statement(self.canonical())

    def public_names(self, left: Collection[int]) -> list[str]:
        """Return some of the artists by the names they chose, greatest shares first. Parties that
        have `left` are named only if they still want that."""
        parties = [artist.party for artist in self.named.select_related("party")]
        names = (
            party.public_name for party in parties if party.pk not in left or party.public_after
        )
        return list(dict.fromkeys(filter(None, names)))

    def canonical(self) -> bytes:
        """Its SHA-256 is the digest."""
        return zlib.decompress(self.packed)


class NamedArtist(models.Model):
    """An artist that a credit line names, in the order of shares."""

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
        return self.filter(run__project__in=Project.objects.visible_to(user), run__deleted_at=None)

    def of_project(self, project: Project) -> Self:
        """Return the samples of a project that somebody may see, without those of deleted runs."""
        return self.filter(run__project=project, run__deleted_at=None)

    def audible(self) -> Self:
        """Return the samples that may be heard now. A permission that has just ended counts, and
        whatever silences a clip silences the same sound under every other name."""
        return self.filter(*(~reason for reason in reasons_for_silence()))

    def still_for(self, use: Use) -> Self:
        """Return those behind which no permission for this use has ended, under any name."""
        return self.filter(~Exists(same_sound().filter(revocations.is_revoked_for("run", use))))

    def withheld(self) -> Self:
        return self.filter(reduce(or_, reasons_for_silence()))

    def with_holds(self) -> Self:
        """Add `hold_reason` (None where no permission behind the sample has ended), `flag_state`
        (None where no flag silences it) and `is_copy`: whether the same sound is silenced under
        another name."""
        # An upheld flag comes before an open one: it is the one that stays.
        first = _silencing_flags().order_by("-state", "pk")
        return self.annotate(
            hold_reason=revocations.revocation_reason("run"),
            flag_state=Subquery(first.values("state")[:1]),
            is_copy=Exists(silent_twins()),
        )


class Sample(models.Model):
    """A generated clip. The file is stored as it came; loudness matching is a stored gain."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="samples")
    # The name that the program gave: "final/techno/0". Several clips may have it.
    name = models.CharField(max_length=200)
    step = models.BigIntegerField(default=0)
    final = models.BooleanField(default=False, help_text="Made after training, not during.")
    prompt = models.TextField(blank=True)
    seed = models.BigIntegerField(null=True, blank=True)
    # Which of the clips of one session with this name, step, prompt and seed, from 0.
    take = models.BigIntegerField(default=0)
    # SHA-256 of all that makes it another clip of its run than others (audio_samples/samples.py).
    identity = models.CharField(max_length=64, editable=False)
    # None once its run was deleted and the bytes with it; the row stays, so that its sound is known
    # if it is delivered again: what silences it silences that too.
    audio = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    # SHA-256 of the decoded sound, whatever the file format (audio_samples/analysis.py); empty for
    # an older clip until it is computed.
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
        constraints = [models.UniqueConstraint(fields=["run", "identity"], name="sample_once")]
        indexes = [models.Index(fields=["run", "step"], name="sample_by_step")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("audio_samples:sample", args=[self.pk])

    @property
    def file(self) -> Blob:
        """Its bytes, which every sample has that may be heard."""
        if self.audio is None:
            raise FileNotFoundError(f"The bytes of sample {self.pk} were deleted with its run.")
        return self.audio

    @property
    def stage(self) -> str:
        """When it was made: "after training", or "step 1,000"."""
        return "after training" if self.final else f"step {self.step:,}"

    @property
    def variant(self) -> str:
        """What tells it from others of its run with the same prompt or name, in a line."""
        seed = [] if self.seed is None else [f"seed {self.seed}"]
        # The first take is counted as 0, and people count from 1.
        take = [f"take {self.take + 1}"] if self.take else []
        return ", ".join([self.stage, *seed, *take])


class Credential(models.Model):
    """A sample that somebody downloaded: what was signed into the file, and for whom.

    A file that has lost its manifest is recognised by its sound (audio_samples/credentials/
    checking.py), and its manifest is stored here.
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
        """Return those proposed or released, and neither refused nor recalled."""
        return self.filter(refused_at=None, recalled_at=None)

    def waiting(self) -> Self:
        return self.live().filter(released_at=None)


class ClipRelease(models.Model):
    """A sample that is released on its model's public page, or proposed for release."""

    sample = models.ForeignKey(Sample, models.PROTECT, related_name="releases")
    page = models.ForeignKey(ModelPage, models.PROTECT, related_name="clips")
    title = models.CharField(max_length=120)
    # The file that is served, as it was signed at the approval.
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


class SampleFlagQuerySet(models.QuerySet["SampleFlag"]):
    def silencing(self) -> Self:
        """Return the flags that keep their sample silent."""
        return self.filter(state__in=(SampleFlag.State.OPEN, SampleFlag.State.UPHELD))


class SampleFlag(models.Model):
    """A rightsholder's objection to a sample. It silences the sample until a rights admin has
    answered it, and for good where they agree."""

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

    objects = SampleFlagQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["sample", "party"], name="flagged_once_by_party")
        ]
        indexes = [
            models.Index(fields=["sample", "state"], name="flag_by_sample"),
            models.Index(fields=["state", "created_at"], name="flag_by_state"),
        ]


def _silencing_flags() -> SampleFlagQuerySet:
    """Return the flags that silence a sample in an outer query."""
    return SampleFlag.objects.silencing().filter(sample=OuterRef("pk"))


def same_sound(of: str = "") -> SampleQuerySet:
    """Return, for a sample in an outer query or a row that refers to one by `of`, the sample itself
    and every clip of the same bytes or sound."""
    before = f"{of}__" if of else ""
    return Sample.objects.filter(
        Q(audio=OuterRef(f"{before}audio")) | (Q(sound=OuterRef(f"{before}sound")) & ~Q(sound=""))
    ).order_by()


def reasons_for_silence() -> list[Q]:
    """Return, for a sample in an outer query, every condition that silences it for everybody."""
    return [
        Q(audio=None),
        Q(withheld_at__isnull=False),
        Q(revocations.is_revoked("run")),
        Q(Exists(_silencing_flags())),
        Q(Exists(silent_twins())),
    ]


def silent_twins() -> SampleQuerySet:
    """Return, for a sample in an outer query, other clips of the same sound that are silenced."""
    others = same_sound().exclude(pk=OuterRef("pk"))
    # Clips of its own run have the sample's own permissions, which are checked anyway.
    ended = ~Q(run=OuterRef("run")) & Q(revocations.is_revoked("run"))
    return others.filter(Q(withheld_at__isnull=False) | Exists(_silencing_flags()) | ended)
