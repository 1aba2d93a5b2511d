"""The row of one stream of deliveries."""

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
