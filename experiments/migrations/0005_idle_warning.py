"""What a run's people are told while it is idle, and since when."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("experiments", "0004_money_and_cluster")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="warning",
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name="run",
            name="warned_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
