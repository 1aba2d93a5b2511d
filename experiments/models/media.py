"""What programs log on steps beside numbers (experiments/media)."""

from typing import Any, Self

from django.db import models
from django.utils import timezone

from experiments.models import revocations
from experiments.models.runs import Run, RunQuerySet
from portal.models import Blob, User


class MediaQuerySet(models.QuerySet["Media"]):
    def visible_to(self, user: User) -> Self:
        runs: RunQuerySet = Run.objects.visible_to(user)
        return self.filter(run__in=runs)

    def current(self) -> Self:
        """Return those that no newer attempt has logged again."""
        return self.filter(replaced=False)

    def with_revocations(self) -> Self:
        """Add `hold_reason`: why the first permission behind the run ended, None where none did."""
        return self.annotate(hold_reason=revocations.revocation_reason("run"))


class Media(models.Model):
    """One thing of a run, under a name, at a step. What it is stands in `content` or, for pictures,
    tables and figures, in the bytes of a blob, as backline.media.packs has it."""

    class Kind(models.TextChoices):
        IMAGE = "image", "Image"
        HISTOGRAM = "histogram", "Histogram"
        TABLE = "table", "Table"
        FIGURE = "figure", "Figure"
        TEXT = "text", "Text"
        CONFUSION = "confusion", "Confusion matrix"

    run = models.ForeignKey(Run, models.CASCADE, related_name="media")
    name = models.CharField(max_length=200)
    step = models.BigIntegerField()
    # Which of those that were logged together under the name, from 0.
    index = models.SmallIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    caption = models.CharField(max_length=300, blank=True)
    # Of a histogram, text or confusion matrix what it is; else facts: size, rows, points.
    content = models.JSONField(default=dict)
    blob = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    # A smaller picture, of one that is large.
    thumbnail = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    size = models.BigIntegerField(help_text="Bytes that count against the limits.")
    # The delivery that brought it: a later one of the same name and step replaces it.
    attempt = models.IntegerField(default=0)
    session = models.BigIntegerField(default=0, help_text="The id of the session.")
    number = models.BigIntegerField(default=0)
    # Whether a newer attempt has logged this name again, from this step or an earlier one on.
    replaced = models.BooleanField(default=False)
    logged_at = models.DateTimeField(default=timezone.now)

    objects = MediaQuerySet.as_manager()

    class Meta:
        ordering = ["name", "step", "index"]
        verbose_name_plural = "media"
        constraints = [
            models.UniqueConstraint(
                fields=["run", "name", "step", "attempt", "index"], name="media_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}, step {self.step}"

    @property
    def file(self) -> Blob:
        """Its bytes, which every picture, table and figure has."""
        if self.blob is None:
            raise FileNotFoundError(f"Media {self.pk} have no bytes of their own.")
        return self.blob

    @property
    def facts(self) -> dict[str, Any]:
        return dict(self.content)


class MediaName(models.Model):
    """A name under which a run has logged something, and of which kind first: pages of many runs
    ask for these, and never for all rows."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="media_names")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Media.Kind.choices)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="media_name_once")]

    def __str__(self) -> str:
        return self.name


class MediaUse(models.Model):
    """How much a run has, for its limits and its project's."""

    run = models.OneToOneField(Run, models.CASCADE, primary_key=True, related_name="media_use")
    items = models.IntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    # What was not stored because a limit was reached, and which.
    left_out = models.IntegerField(default=0)
    why = models.CharField(max_length=300, blank=True)
