from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audio_samples", "0010_words_of_flags"),
    ]

    operations = [
        migrations.AddField(
            model_name="sample",
            name="sound",
            field=models.CharField(blank=True, db_index=True, default="", max_length=64),
        ),
    ]
