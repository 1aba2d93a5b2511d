"""The rows of a delivery session: that it is known, and what it could not deliver."""

import re

from django.db import models
from django.utils import timezone

NAME_MAX = 40


def attempt_and_rank(session: str) -> tuple[int, int]:
    """Return attempt and rank from a session's name: (2, 3) for "attempt-2-rank-3", else (0, 0).

    A program inside `backline exec` adds six hex digits at each start: "attempt-2-1f0c9a".
    """
    match = re.fullmatch(r"attempt-(\d{1,6})(?:-rank-(\d{1,6}))?(?:-[0-9a-f]{6})?", session)
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)


class Session(models.Model):
    """The deliveries of a program from its start to its end, under a name that it chose.

    Stored when the portal first receives the name, which is while the run is open: every program
    fetches its spec before it does anything else. So a name that is unknown at the end of the run
    is not one of its own. `ended_at` is when its last delivery had arrived: nothing follows that.
    """

    run = models.ForeignKey("experiments.Run", models.CASCADE, related_name="sessions")
    name = models.CharField(max_length=NAME_MAX)
    began_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["began_at", "id"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="session_once")]


class Undelivered(models.Model):
    """What one session last reported; the row is deleted once everything has been accepted."""

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
