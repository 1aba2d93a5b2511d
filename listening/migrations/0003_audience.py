"""Who a test is open to. Tests from before were open to every listener, and stay so."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("listening", "0002_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="listeningtest",
            name="audience",
            field=models.CharField(
                choices=[
                    ("internal", "The lab's researchers only"),
                    ("outside", "Listeners from outside, too"),
                ],
                default="outside",
                max_length=10,
            ),
        ),
    ]
