"""Runs, their attempts on the cluster, their console. The state machine is in docs/flow.md."""

import uuid
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import models
from django.urls import reverse
from django.utils import timezone

from experiments.models.datasets import Dataset
from experiments.models.projects import Project
from portal.models import ApiToken, User
from rights.models import Decision
from rights.models.vocabulary import use_choices

# The time of five heartbeats of a program.
SILENCE = timedelta(seconds=15)


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: User) -> Self:
        """Return the runs of the person's projects, without those that were deleted."""
        return self.filter(project__in=Project.objects.visible_to(user), deleted_at=None)

    def listed(self) -> Self:
        """Return those that a table shows unless it is asked for archived runs."""
        return self.filter(archived_at=None, deleted_at=None)


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
    # Names in the config of a run of the portal that its program has added.
    added = models.JSONField(default=list, blank=True)
    resources = models.JSONField(default=dict)
    # The precision and threads of its program (backline.wire.Arithmetic), once it has chosen.
    arithmetic = models.JSONField(null=True, blank=True)
    use = models.CharField(max_length=30, choices=use_choices, blank=True)
    dataset = models.ForeignKey(Dataset, models.PROTECT, null=True, blank=True, related_name="runs")
    dataset_digest = models.CharField(max_length=64, blank=True)
    decision = models.ForeignKey(Decision, models.PROTECT, null=True, blank=True, related_name="+")
    code_version = models.CharField(max_length=60, blank=True)
    # The weights of another run that it starts from: for fine-tuning, or generation alone.
    start_from = models.ForeignKey(
        "Checkpoint", models.PROTECT, null=True, blank=True, related_name="continued_by"
    )
    copied_from = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="copies"
    )
    # The run whose curves are its own up to `fork_step`: a reference, no point is copied.
    forked_from = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="forks"
    )
    fork_step = models.BigIntegerField(null=True, blank=True)
    submitted_by = models.ForeignKey(User, models.PROTECT, related_name="runs")
    # What the processes of one launch outside the portal have in common, and its restart.
    group = models.CharField(max_length=120, blank=True)
    # What people and programs say of it, changed by runs/describing.py alone, which counts the
    # changes in `described` (RunEdit.version) and keeps the rows of RunTag the same as `tags`.
    description = models.CharField(max_length=300, blank=True)
    tags = models.JSONField(default=list, blank=True)
    notes = models.TextField(blank=True)
    described = models.IntegerField(default=0)
    # Archived: in no list unless asked for. Deleted: gone for people, and a week later its points,
    # log, weights and clips are gone too (runs/shelving.py). Its row stays for the ledger, for
    # decisions and credits, and for the permissions that are walked through it.
    archived_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    purged_at = models.DateTimeField(null=True, blank=True)

    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    # A sentence: why it waits, failed or was stopped.
    state_reason = models.CharField(max_length=500, blank=True)
    # Shown to its people while it runs: that it is idle and will be stopped.
    warning = models.CharField(max_length=500, blank=True)
    warned_at = models.DateTimeField(null=True, blank=True)
    # The state it was asked to end in: "cancelled", "withheld", or "failed" for what took too long.
    stop_as = models.CharField(max_length=12, blank=True)
    # After this many attempts a lost run has failed; preempted attempts do not count.
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
            # What the run table needs of a run that it only counts, joins and orders: read from
            # here, and not from rows that carry their configs.
            models.Index(
                fields=[
                    "project",
                    "id",
                    "number",
                    "queued_at",
                    "state",
                    "archived_at",
                    "deleted_at",
                ],
                name="run_narrow",
            ),
            models.Index(
                fields=["project", "group"], condition=~models.Q(group=""), name="run_of_launch"
            ),
            models.Index(
                fields=["deleted_at"],
                condition=models.Q(deleted_at__isnull=False, purged_at=None),
                name="run_to_purge",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (run {self.number})"

    def get_absolute_url(self) -> str:
        return reverse("experiments:run", args=[self.project.slug, self.number])

    @property
    def submitted_config(self) -> dict[str, Any]:
        """What it was submitted with, and what a repeat of it gets."""
        return {name: value for name, value in self.config.items() if name not in self.added}

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN_STATES

    @property
    def silent_since(self) -> datetime | None:
        """When its program last sent a sign of life, if that is longer ago than a program that runs
        and reaches the portal is ever silent; else None."""
        if self.state not in (self.State.RUNNING, self.State.STOPPING):
            return None
        last_seen = max(filter(None, (self.heartbeat_at, self.started_at)), default=None)
        return last_seen if last_seen and timezone.now() - last_seen > SILENCE else None


class ConfigChange(models.Model):
    """What a program has changed in the config of its run: values of the first level by name."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="config_changes")
    at = models.DateTimeField(default=timezone.now)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    class Meta:
        ordering = ["at", "id"]


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
    image = models.CharField(
        max_length=300, blank=True, help_text="The image that the cluster runs, with its digest."
    )
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
    """An event that the cluster reported for an attempt; a repeated one is one row with a count."""

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


class LogChunk(models.Model):
    """A piece of a run's console, by byte offset within its stream and session."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="logs")
    session = models.CharField(max_length=40)
    stream = models.CharField(max_length=10)
    offset = models.BigIntegerField()
    text = models.TextField()
    # Its line breaks, and whether it is ASCII without escapes, so that lines are counted and
    # searched without reading all texts. None: stored before that was noted.
    breaks = models.IntegerField(null=True)
    plain = models.BooleanField(null=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "session", "stream", "offset"], name="log_chunk_once"
            )
        ]
        # A log of a million lines is counted from the index, without its texts.
        indexes = [models.Index(fields=["run", "id", "breaks"], name="log_chunk_breaks")]
