from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("experiments", "0030_charts"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="background",
            field=models.BooleanField(default=False, help_text="Its runs start one at a time, and only while no other run waits or works.", verbose_name="In the background"),
        ),
    ]
