# The run table reads what it orders and filters by from indexes alone: a metric of all runs (the old
# index had no run in it), and the narrow part of a project's runs without their configs.

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0022_configs_attempts_launches'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='series',
            name='series_by_last',
        ),
        migrations.AddIndex(
            model_name='series',
            index=models.Index(fields=['name', 'run', 'last', 'minimum', 'maximum'], name='series_by_name'),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(fields=['project', 'id', 'number', 'queued_at', 'state'], name='run_narrow'),
        ),
    ]
