from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [('rights', '0004_take_over')]

    operations = [
        migrations.RemoveField(
            model_name='party',
            name='ipi_name',
        ),
        migrations.RemoveField(
            model_name='party',
            name='isni',
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL("DROP TABLE rights_recording_works")],
            state_operations=[
                migrations.AlterField(
                    model_name='recording',
                    name='works',
                    field=models.ManyToManyField(related_name='recordings', through='rights.RecordingWork', to='rights.work'),
                ),
            ],
        ),
    ]
