# The run table reads a metric of all runs from the index alone; the old index had no run in it.

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0023_run_views'),
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
    ]
