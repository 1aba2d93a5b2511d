"""Sweeps: what is tried, by which method, within which budget; and each trial with its run."""

from typing import Self

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from experiments.models.checkpoints import Checkpoint
from experiments.models.datasets import Dataset
from experiments.models.projects import Project
from experiments.models.runs import Run
from portal.models import User
from rights.models import Decision


class SweepQuerySet(models.QuerySet["Sweep"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(project__in=Project.objects.visible_to(user))

    def to_advance(self) -> Self:
        """Return those that a reconcile pass has something to do for."""
        # Somebody may try the run of a trial again that has ended.
        open_trials = SweepTrial.objects.filter(
            models.Q(state__in=SweepTrial.OPEN_STATES) | models.Q(run__state__in=Run.OPEN_STATES)
        )
        return self.filter(
            models.Q(state__in=(Sweep.State.RUNNING, Sweep.State.PAUSED))
            | models.Q(pk__in=open_trials.values("sweep"))
        )


class Sweep(models.Model):
    """Trials of one recipe. What is tried next follows from these rows alone."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        FINISHED = "finished", "Finished"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Stopped after failures"
        WITHHELD = "withheld", "Stopped: a permission ended"

    class Method(models.TextChoices):
        GRID = "grid", "Grid: every combination"
        RANDOM = "random", "Random"
        TPE = "tpe", "TPE: learns from the trials before"
        CMAES = "cmaes", "CMA-ES: a cloud that moves to better numbers"

    project = models.ForeignKey(Project, models.CASCADE, related_name="sweeps")
    number = models.IntegerField(help_text="Counts within the project: sweep 2.")
    name = models.CharField(max_length=120)
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="sweeps"
    )
    recipe = models.CharField(max_length=50)
    # What all trials have in common, resolved; each trial's parameters are put in.
    config = models.JSONField(default=dict)
    resources = models.JSONField(default=dict)
    dataset = models.ForeignKey(Dataset, models.PROTECT, null=True, blank=True, related_name="+")
    start_from = models.ForeignKey(
        Checkpoint, models.PROTECT, null=True, blank=True, related_name="+"
    )
    # Consent for all of it, asked at its start; each trial asks again.
    decision = models.ForeignKey(Decision, models.PROTECT, null=True, blank=True, related_name="+")
    # As experiments/sweeps/space.py, objectives.py and pruning.py write them.
    space = models.JSONField(default=dict)
    objectives = models.JSONField(default=list)
    pruning = models.JSONField(default=dict, blank=True)
    method = models.CharField(max_length=10, choices=Method.choices)
    seed = models.IntegerField(default=1)
    max_trials = models.IntegerField()
    parallel = models.IntegerField(default=2)
    # Hours of GPUs, or of machines where a trial has no GPU. Empty: no limit.
    max_hours = models.FloatField(null=True, blank=True)
    max_cost = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    # So many failed trials in a row stop the sweep.
    max_failures = models.IntegerField(default=3)

    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    # A sentence: what it waits for, or why it ended.
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    # Failures before this moment are forgiven: somebody has continued the sweep.
    resumed_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = SweepQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="sweep_number_once")
        ]
        indexes = [models.Index(fields=["state"], name="sweep_by_state")]

    def __str__(self) -> str:
        return f"{self.name} (sweep {self.number})"

    def get_absolute_url(self) -> str:
        return reverse("experiments:sweep", args=[self.project.slug, self.number])

    @property
    def is_active(self) -> bool:
        """Whether it may still start trials, now or after a pause."""
        return self.state in {self.State.RUNNING, self.State.PAUSED}


class SweepTrial(models.Model):
    """One try: its parameters, the run that tries them, and what came of it."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for its run"
        RUNNING = "running", "Running"
        COMPLETE = "complete", "Complete"
        PRUNED = "pruned", "Pruned"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    OPEN_STATES = (State.WAITING, State.RUNNING)

    sweep = models.ForeignKey(Sweep, models.CASCADE, related_name="trials")
    number = models.IntegerField()
    params = models.JSONField()
    run = models.OneToOneField(
        Run, models.SET_NULL, null=True, blank=True, related_name="sweep_trial"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    # One value for each objective, once it is complete.
    values = models.JSONField(default=list, blank=True)
    # The objective at each step at which a pruning rule looks at it, as JSON: null is not finite.
    rungs = models.JSONField(default=dict, blank=True)
    pruned_at = models.BigIntegerField(null=True, blank=True, help_text="The step.")
    reason = models.CharField(max_length=500, blank=True)
    asked_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["sweep", "number"], name="sweep_trial_once")]
        indexes = [models.Index(fields=["state"], name="sweep_trial_by_state")]

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN_STATES
