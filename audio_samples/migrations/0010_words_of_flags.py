from django.db import migrations, models


class Migration(migrations.Migration):
    """A dismissed flag says no more that its sample may be heard: something else may silence it."""

    dependencies = [("audio_samples", "0009_clip_releases")]
    operations = [
        migrations.AlterField(
            model_name="sampleflag",
            name="state",
            field=models.CharField(
                choices=[
                    ("open", "Waiting to be looked at"),
                    ("upheld", "Upheld: it stays silent"),
                    ("dismissed", "Dismissed"),
                ],
                default="open",
                max_length=10,
            ),
        ),
    ]
