"""The code and the environment that the programs of runs have reported."""

from django.db import models
from django.utils import timezone

from experiments.models.runs import Run
from experiments.models.sessions import NAME_MAX


class Environment(models.Model):
    """What one program of a run was started from and in: one row for each session that says so.

    The first report of a session stays. `attempt` is 0 where the session's name has none.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="environments")
    session = models.CharField(max_length=NAME_MAX)
    attempt = models.IntegerField(default=0)
    at = models.DateTimeField(default=timezone.now)
    # backline.wire.Environment without what is stored beside it.
    facts = models.JSONField(default=dict)
    packages = models.JSONField(default=dict, help_text="Version by name of the distribution.")
    diff = models.TextField(
        blank=True, help_text="What was not committed, as `git diff` writes it."
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "session"], name="environment_once_a_session")
        ]
