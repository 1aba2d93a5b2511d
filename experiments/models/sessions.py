"""The rows of one stream of deliveries: that it is known, and what it could not deliver."""

from django.db import models
from django.utils import timezone

NAME_MAX = 40


class Session(models.Model):
    """What a program delivers in one life, under the name that it gave it.

    Noted when the portal first hears of it, which is while the run goes on: every program asks for
    its run before it does anything else. So a name that nobody has heard of by the end of the run
    is none of its own. `ended_at` is when its last delivery had come: nothing follows that.
    """

    run = models.ForeignKey("experiments.Run", models.CASCADE, related_name="sessions")
    name = models.CharField(max_length=NAME_MAX)
    began_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["began_at", "id"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="session_once")]


class Undelivered(models.Model):
    """What one session has told last; the row goes when everything has been taken after all."""

    run = models.ForeignKey("experiments.Run", models.CASCADE, related_name="undelivered")
    session = models.CharField(max_length=40)
    count = models.BigIntegerField()
    reason = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(default=timezone.now)

    objects: models.Manager["Undelivered"] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "session"], name="undelivered_once_a_session")
        ]
