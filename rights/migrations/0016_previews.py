import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """The marked thirty seconds that people hear who may not have the whole recording."""

    dependencies = [("portal", "0001_initial"), ("rights", "0015_causes_of_cases")]
    operations = [
        migrations.CreateModel(
            name="Preview",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.PositiveSmallIntegerField(help_text="Of how it is made.")),
                ("duration", models.FloatField(help_text="Seconds.")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "audio",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="portal.blob",
                    ),
                ),
                (
                    "recording",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="previews",
                        to="rights.recording",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("recording", "version"), name="preview_once")
                ]
            },
        ),
    ]
