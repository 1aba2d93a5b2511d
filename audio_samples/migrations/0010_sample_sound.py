from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audio_samples", "0009_clip_releases"),
    ]

    operations = [
        migrations.AddField(
            model_name="sample",
            name="sound",
            field=models.CharField(blank=True, db_index=True, default="", max_length=64),
        ),
    ]
