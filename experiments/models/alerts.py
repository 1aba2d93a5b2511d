"""Rules that watch runs, alerts that they and programs raise, and webhooks that pass them on."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from experiments.models.inbox import Level
from experiments.models.projects import Project
from experiments.models.runs import Run
from portal.models import User


class AlertRuleQuerySet(models.QuerySet["AlertRule"]):
    def visible_to(self, user: User) -> Self:
        """Return the rules of the user's projects, and of personal ones their own."""
        rules = self.filter(project__in=Project.objects.visible_to(user))
        return rules.filter(~Q(audience=AlertRule.Audience.ME) | Q(created_by=user))


class AlertRule(models.Model):
    """When to say something about a run, and to whom."""

    class Kind(models.TextChoices):
        METRIC = "metric", "A metric passes a value"
        NOT_FINITE = "not_finite", "A metric is NaN or infinite"
        STALLED = "stalled", "A metric no longer improves"
        STATE = "state", "A run ends in a state"
        LOST = "lost", "An attempt is lost"
        SILENT = "silent", "A program falls silent"
        WAITING = "waiting", "A run waits too long"
        COST = "cost", "A run costs too much"
        IDLE = "idle", "A run is idle"
        PERMISSION = "permission", "A permission behind a run ends"

    # In which a run ends.
    END_STATES = (Run.State.FINISHED, Run.State.FAILED, Run.State.CANCELLED, Run.State.WITHHELD)

    class Summary(models.TextChoices):
        LAST = "last", "the last value"
        MINIMUM = "minimum", "the smallest value"
        MAXIMUM = "maximum", "the largest value"

    class Comparison(models.TextChoices):
        GT = "gt", "above"
        GTE = "gte", "at or above"
        LT = "lt", "under"
        LTE = "lte", "at or under"

    class Better(models.TextChoices):
        LOWER = "lower", "lower is better"
        HIGHER = "higher", "higher is better"

    class Scope(models.TextChoices):
        ALL = "all", "All runs of the project"
        MINE = "mine", "Runs that I submit"
        QUERY = "query", "Runs that match a query"

    class Audience(models.TextChoices):
        ME = "me", "Me alone"
        OWNER = "owner", "Whoever submitted the run"
        MEMBERS = "members", "Everybody in the project"

    project = models.ForeignKey(Project, models.CASCADE, related_name="alert_rules")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    metric = models.CharField(max_length=200, blank=True)
    summary = models.CharField(max_length=7, choices=Summary.choices, default=Summary.LAST)
    comparison = models.CharField(max_length=3, choices=Comparison.choices, default=Comparison.GT)
    better = models.CharField(max_length=6, choices=Better.choices, default=Better.LOWER)
    # A value of the metric, a number of steps, minutes, or an amount of money: as its kind says.
    value = models.FloatField(null=True, blank=True)
    states = models.JSONField(default=list, blank=True)
    scope = models.CharField(max_length=5, choices=Scope.choices, default=Scope.ALL)
    query = models.CharField(max_length=500, blank=True)
    audience = models.CharField(max_length=7, choices=Audience.choices, default=Audience.OWNER)
    level = models.CharField(max_length=5, choices=Level.choices, default=Level.WARN)
    cooldown_minutes = models.PositiveIntegerField(default=10)
    enabled = models.BooleanField(default=True)
    # Why it cannot be evaluated; empty while it can.
    problem = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    # It speaks of nothing that ended before: since it was made, changed or switched on.
    since = models.DateTimeField(default=timezone.now)
    # Everything that had ended before has been looked at.
    checked_at = models.DateTimeField(null=True, blank=True)

    objects = AlertRuleQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class RuleWatch(models.Model):
    """What a rule last found about a run. Written when its condition comes true or ends, so that a
    crossing is told once, whoever evaluates and however often."""

    rule = models.ForeignKey(AlertRule, models.CASCADE, related_name="watches")
    run = models.ForeignKey(Run, models.CASCADE, related_name="+")
    holds = models.BooleanField(default=False)
    # What sets this time apart from the last one: when the run ended, which attempt.
    episode = models.CharField(max_length=60, blank=True)
    crossings = models.IntegerField(default=0)
    told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "run"], name="rule_watch_once")]
        indexes = [models.Index(fields=["rule"], condition=Q(holds=True), name="rule_watch_holds")]


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, user: User) -> Self:
        """Return alerts on runs that the user sees; those of a personal rule are its owner's."""
        alerts = self.filter(run__in=Run.objects.visible_to(user))
        return alerts.filter(Q(only_for=None) | Q(only_for=user))


class Alert(models.Model):
    """One thing that was worth saying about a run."""

    class Source(models.TextChoices):
        RULE = "rule", "A rule"
        PROGRAM = "program", "The program"

    project = models.ForeignKey(Project, models.CASCADE, related_name="alerts")
    run = models.ForeignKey(Run, models.CASCADE, related_name="alerts")
    # The rule may be deleted; what it said stays.
    rule = models.ForeignKey(
        AlertRule, models.SET_NULL, null=True, blank=True, related_name="alerts"
    )
    source = models.CharField(max_length=7, choices=Source.choices)
    only_for = models.ForeignKey(User, models.CASCADE, null=True, blank=True, related_name="+")
    level = models.CharField(max_length=5, choices=Level.choices)
    title = models.CharField(max_length=200)
    text = models.CharField(max_length=2000, blank=True)
    # Of a rule its crossing, of a program its delivery: the same one is stored once.
    key = models.CharField(max_length=120)
    at = models.DateTimeField(default=timezone.now)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["run", "key"], name="alert_once")]
        indexes = [models.Index(fields=["project", "-at"], name="alert_newest")]


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def visible_to(self, user: User) -> Self:
        return self.filter(project__in=Project.objects.visible_to(user))


class Webhook(models.Model):
    """An address outside that is told what happens in a project."""

    class Kind(models.TextChoices):
        JSON = "json", "JSON, signed"
        SLACK = "slack", "Slack and what reads the same (Mattermost, Rocket.Chat)"

    project = models.ForeignKey(Project, models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.JSON)
    # Encrypted: whoever has the address of a Slack webhook may post there.
    sealed_url = models.TextField()
    host = models.CharField(max_length=255)
    # Its secret is derived from the portal's key and this.
    nonce = models.CharField(max_length=43)
    least_level = models.CharField(max_length=5, choices=Level.choices, default=Level.INFO)
    comments = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    # Why it was switched off by the portal.
    problem = models.CharField(max_length=300, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(models.Model):
    """One message for a webhook, until it is delivered or given up; then a line of its log."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waits"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=20)
    # What is said, before it takes the form that the webhook's kind asks for.
    payload = models.JSONField()
    # Alerts that came together, which wait a moment for more.
    grouped = models.BooleanField(default=False)
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    tries = models.IntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    status = models.IntegerField(null=True, blank=True)
    # The start of what it answered, or why there was no answer.
    answer = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    tried_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["webhook", "-created_at"], name="webhook_log"),
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="webhook_to_send"),
        ]
