"""What was tried and how it went. The state machine of a run is in docs/architecture.md."""

import uuid
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from experiments import held, uses
from experiments.clearing import ClearedScope  # noqa: F401 - a table of this room.
from experiments.publishing import models as _publishing  # noqa: F401 - Django looks for them here.
from experiments.sessions import Session  # noqa: F401 - a table of this room.
from portal.models import ApiToken, Blob, Role, User
from rights.models import Decision, Hold, Purpose, Recording, Use, WithdrawalCase

# Five signs of life of a program that have not come.
SILENCE = timedelta(seconds=15)


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: User) -> Self:
        if user.has_role(Role.OPERATOR):
            return self
        return self.filter(memberships__user=user)


class Project(models.Model):
    """A line of research, with the scope that consent is asked for."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    purpose = models.CharField(max_length=20, choices=Purpose.choices, default=Purpose.RESEARCH)
    territory = models.CharField(
        max_length=5, default="world", help_text="ISO 3166 code, or world."
    )
    model_family = models.CharField(max_length=100, default="backline")
    model_version = models.PositiveIntegerField(
        default=1, help_text="Of the family; permissions may be for certain versions only."
    )
    product = models.CharField(max_length=100, blank=True, help_text="What it is for, if named.")
    # Empty: no limit. How they are counted is in quotas.py.
    gpu_quota = models.PositiveIntegerField(
        "GPUs at once", null=True, blank=True, help_text="Runs beyond it wait. Empty: no limit."
    )
    gpu_hour_quota = models.PositiveIntegerField(
        "GPU-hours",
        null=True,
        blank=True,
        help_text="What runs and waits together may take at most. Empty: no limit.",
    )
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Membership", related_name="projects"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("experiments:runs", args=[self.slug])


class Membership(models.Model):
    class Level(models.TextChoices):
        VIEWER = "viewer", "May look and listen"
        MEMBER = "member", "May run"
        OWNER = "owner", "May run and invite"

    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.MEMBER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="member_once")]


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(project__in=Project.objects.visible_to(user))

    def retired(self) -> Self:
        return self.filter(status=Dataset.Status.RETIRED)

    def usable(self) -> Self:
        """Those that a new run may be given: consent is asked of each when it is."""
        return self.exclude(status=Dataset.Status.RETIRED)


class Dataset(models.Model):
    """A frozen choice of recordings for one use. Never changes after it is frozen."""

    class Status(models.TextChoices):
        FROZEN = "frozen", "Frozen"
        TAINTED = "tainted", "Tainted: a permission in it has ended"
        RETIRED = "retired", "Retired: never to be used again"

    project = models.ForeignKey(Project, models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=100)
    version = models.IntegerField(default=1)
    use = models.CharField(max_length=30, choices=Use.choices)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.FROZEN)
    # SHA-256 over the sorted (recording id, audio digest) pairs of the included items.
    digest = models.CharField(max_length=64)
    decision = models.ForeignKey(Decision, models.PROTECT, related_name="+")
    frozen_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    frozen_at = models.DateTimeField(default=timezone.now)

    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name", "version"], name="dataset_version_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}"

    def get_absolute_url(self) -> str:
        return reverse("experiments:dataset", args=[self.project.slug, self.pk])


class DatasetItem(models.Model):
    """One recording that was asked for: included, or left out with the reasons."""

    # Written with its dataset or not at all, a hundred thousand at once: a freeze need not wait
    # until the database has checked each row, and the unique constraint is the index.
    dataset = models.ForeignKey(
        Dataset, models.CASCADE, related_name="items", db_constraint=False, db_index=False
    )
    recording = models.ForeignKey(Recording, models.PROTECT, related_name="+")
    included = models.BooleanField()
    # Null only for one that was left out: it may have no file yet.
    audio = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+", db_index=False)
    reasons = models.JSONField(default=list)

    class Meta:
        # Not the field's own: of a text that makes two.
        indexes = [models.Index(fields=["audio"], name="dataset_item_by_audio")]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "recording"], name="dataset_recording_once"),
            models.CheckConstraint(
                condition=models.Q(included=False) | models.Q(audio__isnull=False),
                name="included_has_audio",
            ),
        ]


class DatasetHoldQuerySet(models.QuerySet["DatasetHold"]):
    def withholding(self) -> Self:
        return self.exclude(hold=None)


class DatasetHold(models.Model):
    """That a case is about a frozen dataset in one use: what was made of it so is withheld from the
    moment of the hold on; without a hold it goes on as agreed.

    Written in the transaction that ends the permission (experiments/lineage.py). So whether a run
    or a sample is touched is one look here, and not one at each recording it learned from.
    """

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="held")
    use = models.CharField(max_length=30, choices=Use.choices)
    # Null for the marks of before cases had to be named.
    case = models.ForeignKey(WithdrawalCase, models.CASCADE, null=True, related_name="+")
    # The first of the case in this dataset.
    hold = models.ForeignKey(Hold, models.PROTECT, null=True, related_name="+")

    objects = DatasetHoldQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "use", "case"], name="dataset_once_per_case_and_use"
            )
        ]
        indexes = [models.Index(fields=["dataset", "use"], name="hold_by_dataset_and_use")]


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(project__in=Project.objects.visible_to(user))


class Run(models.Model):
    """One program with one config, tried in one or more attempts."""

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        STARTING = "starting", "Starting"
        RUNNING = "running", "Running"
        STOPPING = "stopping", "Stopping"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        WITHHELD = "withheld", "Stopped: a permission ended"

    OPEN_STATES = (State.QUEUED, State.STARTING, State.RUNNING, State.STOPPING)

    class Origin(models.TextChoices):
        PORTAL = "portal", "Queued in the portal"
        CLIENT = "client", "Started outside, logged by the client"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="runs")
    number = models.IntegerField(help_text="Counts within the project: run 12.")
    name = models.CharField(max_length=150)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.PORTAL)
    recipe = models.CharField(max_length=50, blank=True)
    config = models.JSONField(default=dict)
    resources = models.JSONField(default=dict)
    # What its program computes in (backline.wire.Arithmetic), once it was chosen.
    arithmetic = models.JSONField(null=True, blank=True)
    use = models.CharField(max_length=30, choices=Use.choices, blank=True)
    dataset = models.ForeignKey(Dataset, models.PROTECT, null=True, blank=True, related_name="runs")
    dataset_digest = models.CharField(max_length=64, blank=True)
    decision = models.ForeignKey(Decision, models.PROTECT, null=True, blank=True, related_name="+")
    code_version = models.CharField(max_length=60, blank=True)
    # The weights it begins with, of another run: fine-tuning, or generation alone.
    start_from = models.ForeignKey(
        "Checkpoint", models.PROTECT, null=True, blank=True, related_name="continued_by"
    )
    copied_from = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="copies"
    )
    submitted_by = models.ForeignKey(User, models.PROTECT, related_name="runs")
    tags = models.JSONField(default=list, blank=True)
    notes = models.TextField(blank=True)

    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    # A sentence: why it waits, failed or was stopped.
    state_reason = models.CharField(max_length=500, blank=True)
    # What its people should know while it runs: that it is idle and will be stopped.
    warning = models.CharField(max_length=500, blank=True)
    warned_at = models.DateTimeField(null=True, blank=True)
    # The state it was asked to end in: "cancelled", "withheld", or "failed" for what took too long.
    stop_as = models.CharField(max_length=12, blank=True)
    # How often it may be lost; making room for others does not count.
    max_attempts = models.IntegerField(default=5)
    stage = models.CharField(
        max_length=100, blank=True, help_text="What the program says it is doing."
    )
    progress = models.FloatField(default=0, help_text="0 to 1.")
    progress_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-queued_at"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="run_number_once")
        ]
        indexes = [
            models.Index(fields=["state", "queued_at"], name="run_by_state"),
            models.Index(fields=["project", "-queued_at"], name="run_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.name} (run {self.number})"

    def get_absolute_url(self) -> str:
        return reverse("experiments:run", args=[self.project.slug, self.number])

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN_STATES

    @property
    def silent_since(self) -> datetime | None:
        """When its program was last heard of, if that is longer ago than a program that lives and
        reaches the portal is ever silent; else None."""
        if self.state not in (self.State.RUNNING, self.State.STOPPING):
            return None
        heard = max(filter(None, (self.heartbeat_at, self.started_at)), default=None)
        return heard if heard and timezone.now() - heard > SILENCE else None


class Attempt(models.Model):
    """One try of a run on the cluster. `job_name` is derived from run and number."""

    class State(models.TextChoices):
        CLAIMED = "claimed", "Claimed"
        CREATED = "created", "Created"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        LOST = "lost", "Lost"
        PREEMPTED = "preempted", "Made room"
        STOPPED = "stopped", "Stopped"

    OPEN_STATES = (State.CLAIMED, State.CREATED, State.RUNNING)

    run = models.ForeignKey(Run, models.CASCADE, related_name="attempts")
    number = models.IntegerField()
    job_name = models.CharField(max_length=63, unique=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.CLAIMED)
    reason = models.CharField(max_length=500, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    node = models.CharField(max_length=100, blank=True)
    look = models.CharField(
        max_length=300, blank=True, help_text="The command that shows more of it on the cluster."
    )
    # Written at its end, at the prices of that day: a later price list does not change it.
    cost = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    token = models.ForeignKey(ApiToken, models.SET_NULL, null=True, blank=True, related_name="+")
    claimed_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="attempt_once")]


class ClusterEvent(models.Model):
    """What the cluster said of an attempt. One that it repeats is one row with a count."""

    attempt = models.ForeignKey(Attempt, models.CASCADE, related_name="events")
    uid = models.CharField(max_length=100)
    at = models.DateTimeField()
    kind = models.CharField(max_length=10, help_text="Normal or Warning.")
    reason = models.CharField(max_length=100)
    message = models.CharField(max_length=1000, blank=True)
    count = models.IntegerField(default=1)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["attempt", "uid"], name="cluster_event_once")
        ]


class Batch(models.Model):
    """One numbered delivery of the client, as it came, until compaction folds its points away.

    The row stays (with an empty payload) so that the same number is never counted twice.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="batches")
    # Each client process has its own numbering: attempt number for portal runs, 0 outside.
    session = models.CharField(max_length=40)
    number = models.BigIntegerField()
    payload = models.BinaryField(default=bytes)
    # SHA-256 of the payload as it came: the same number with other content is refused.
    digest = models.CharField(max_length=64, default="")
    points = models.IntegerField(default=0)
    folded = models.BooleanField(default=False)
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "session", "number"], name="batch_counted_once")
        ]
        indexes = [
            models.Index(
                fields=["run"], condition=models.Q(folded=False), name="batch_not_yet_folded"
            )
        ]


class Series(models.Model):
    """One metric of one run, with the summary that tables sort by."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="series")
    name = models.CharField(max_length=200)
    count = models.BigIntegerField(default=0)
    last = models.FloatField(null=True)
    last_step = models.BigIntegerField(default=0)
    # Over finite values only; `nonfinite` counts the others.
    minimum = models.FloatField(null=True)
    minimum_step = models.BigIntegerField(null=True)
    maximum = models.FloatField(null=True)
    maximum_step = models.BigIntegerField(null=True)
    nonfinite = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="series_once")]
        indexes = [models.Index(fields=["name", "last"], name="series_by_last")]
        verbose_name_plural = "series"


class Chunk(models.Model):
    """Points of one series in columns; level 0 raw, above it min/mean/max buckets."""

    series = models.ForeignKey(Series, models.CASCADE, related_name="chunks")
    level = models.SmallIntegerField(default=0)
    index = models.IntegerField()
    first_step = models.BigIntegerField()
    last_step = models.BigIntegerField()
    count = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["series", "level", "index"], name="chunk_once")
        ]


class LogChunk(models.Model):
    """A piece of a run's console, by byte offset within its stream and session."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="logs")
    session = models.CharField(max_length=40)
    stream = models.CharField(max_length=10)
    offset = models.BigIntegerField()
    text = models.TextField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "session", "stream", "offset"], name="log_chunk_once"
            )
        ]


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    def usable(self) -> Self:
        """Those that may be loaded: neither retired nor of a permission that has ended, and the
        very bytes neither, whichever run delivered them too."""
        same = Checkpoint.every.filter(digest=models.OuterRef("digest"))
        retired = same.filter(retired_at__isnull=False)
        return self.filter(~held.weights_held("digest"), ~models.Exists(retired))

    def beginnable(self) -> Self:
        """Those that a run of another kind may begin with: what a run may deliver follows from
        its use, of every run that delivered these bytes."""
        same = Checkpoint.every.filter(digest=models.OuterRef("digest"))
        return self.usable().exclude(models.Exists(same.exclude(run__use__in=uses.MODELS)))


class Listed(models.Manager["Checkpoint"]):
    """Without those that were replaced or cleaned up."""

    def get_queryset(self) -> CheckpointQuerySet:
        return CheckpointQuerySet(self.model, using=self._db).filter(removed_at=None)


class Checkpoint(models.Model):
    """Weights plus the JSON that says what they are. Retired for good: nobody loads it again.

    The bytes of a row never change. A row that is replaced or cleaned up is listed no longer and
    stays, so that its bytes are known when they come again under another name.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="checkpoints")
    step = models.BigIntegerField()
    # None once they were cleaned up; `former` is then what they were.
    blob = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    former = models.CharField(max_length=64, blank=True, default="")
    digest = models.GeneratedField(
        expression=Coalesce("blob_id", "former"),
        output_field=models.CharField(max_length=64),
        db_persist=True,
    )
    meta = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)
    retired_reason = models.CharField(max_length=300, blank=True)

    objects = Listed.from_queryset(CheckpointQuerySet)()
    every = CheckpointQuerySet.as_manager()

    class Meta:
        ordering = ["-step"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "step"], condition=models.Q(removed_at=None), name="checkpoint_once"
            )
        ]
        indexes = [models.Index(fields=["digest"], name="checkpoint_by_digest")]

    @property
    def file(self) -> Blob:
        """Its bytes, which every checkpoint has that is listed or begun with."""
        if self.blob is None:
            raise LookupError(f"The bytes of checkpoint {self.pk} were cleaned up.")
        return self.blob
