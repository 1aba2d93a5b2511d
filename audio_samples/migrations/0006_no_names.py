"""Apart from the one before: PostgreSQL alters no table whose rows it has yet to check."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ("audio_samples", "0005_statements_of_ids"),
    ]

    operations = [
        migrations.RemoveField(model_name="creditstatement", name="body"),
    ]
