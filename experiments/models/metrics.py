"""The metric store: batches as received, series with their summaries, chunks of points."""

from django.db import models

from experiments.models.runs import Run


class Batch(models.Model):
    """One numbered delivery of the client, as received, until compaction folds it into chunks.

    A pack of media has a number of the same line; its row has no payload and no points.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="batches")
    # Each client process has its own numbering: attempt number for portal runs, 0 outside.
    session = models.CharField(max_length=40)
    number = models.BigIntegerField()
    payload = models.BinaryField(default=bytes)
    # SHA-256 of the payload as received: the same number with other content is refused.
    digest = models.CharField(max_length=64, default="")
    points = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "session", "number"], name="batch_counted_once")
        ]


class FoldedBatches(models.Model):
    """Numbers and digests of folded deliveries of one session, packed: the same number is never
    counted twice (experiments/metrics/delivered.py)."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="folded_batches")
    session = models.CharField(max_length=40)
    index = models.IntegerField()
    lowest = models.BigIntegerField()
    highest = models.BigIntegerField()
    count = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "session", "index"], name="folded_batches_once")
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
    # The newest attempt that has logged it, and the first step of each attempt after the first
    # (experiments/metrics/replaced.py).
    attempt = models.IntegerField(default=0)
    starts = models.JSONField(default=dict)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="series_once")]
        # All that the run table orders, filters and groups by: it reads the entries of a name one
        # after the other, without the rows.
        indexes = [
            models.Index(
                fields=["name", "run", "last", "minimum", "maximum"], name="series_by_name"
            )
        ]
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


class ReplacedPoints(models.Model):
    """Points of one metric and attempt that a newer attempt has logged again, as logged."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="replaced_points")
    name = models.CharField(max_length=200)
    attempt = models.IntegerField()
    count = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["run", "name"], name="replaced_by_name")]
