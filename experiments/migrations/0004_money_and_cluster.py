"""What the cluster says of an attempt, what it cost, and what a project may take."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("experiments", "0003_batch_digest")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="gpu_quota",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Runs beyond it wait. Empty: no limit.",
                null=True,
                verbose_name="GPUs at once",
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="gpu_hour_quota",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="What runs and waits together may take at most. Empty: no limit.",
                null=True,
                verbose_name="GPU-hours",
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="max_attempts",
            field=models.IntegerField(default=5),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="state",
            field=models.CharField(
                choices=[
                    ("claimed", "Claimed"),
                    ("created", "Created"),
                    ("running", "Running"),
                    ("succeeded", "Succeeded"),
                    ("failed", "Failed"),
                    ("lost", "Lost"),
                    ("preempted", "Made room"),
                    ("stopped", "Stopped"),
                ],
                default="claimed",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="attempt",
            name="look",
            field=models.CharField(
                blank=True,
                help_text="The command that shows more of it on the cluster.",
                max_length=300,
            ),
        ),
        migrations.AddField(
            model_name="attempt",
            name="cost",
            field=models.DecimalField(blank=True, decimal_places=4, max_digits=12, null=True),
        ),
        migrations.CreateModel(
            name="ClusterEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uid", models.CharField(max_length=100)),
                ("at", models.DateTimeField()),
                ("kind", models.CharField(help_text="Normal or Warning.", max_length=10)),
                ("reason", models.CharField(max_length=100)),
                ("message", models.CharField(blank=True, max_length=1000)),
                ("count", models.IntegerField(default=1)),
                (
                    "attempt",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="experiments.attempt",
                    ),
                ),
            ],
            options={"ordering": ["at", "id"]},
        ),
        migrations.AddConstraint(
            model_name="clusterevent",
            constraint=models.UniqueConstraint(
                fields=("attempt", "uid"), name="cluster_event_once"
            ),
        ),
    ]
